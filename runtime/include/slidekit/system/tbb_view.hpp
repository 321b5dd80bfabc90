// How TBB's own NUMA support sees the machine, beside our topology.
//
// Executor builds its arenas from our list and binds threads by itself, so nothing depends on it:
// it is told to the user, because programs that share the process may use it. Its source and
// executor.cpp are the two files that know TBB.
#pragma once

#include <string>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/topology.hpp>

namespace slidekit::system {

struct TbbView {
    std::vector<int> nodes;  // TBB's node ids; {-1} where its binding library is missing; empty
                             // where it was not asked
    bool agrees = false;     // it has every domain's tbb_id
    std::string note;        // one sentence where it does not
};

/// Asks TBB, which loads its binding library at the first call. Thread-safe.
[[nodiscard]] SLIDEKIT_API TbbView tbb_view(const Topology& topology);

}  // namespace slidekit::system
