// Which system calls this process may make: each is made for real, on memory and threads of its
// own.
#pragma once

#include <string>
#include <vector>

#include <slidekit/system/ids.hpp>

namespace slidekit::cli {

struct SystemCall {
    std::string name;
    int error = 0;  // errno; 0: it works
};

/// mbind, set_mempolicy, move_pages, madvise_populate, sched_setaffinity, perf_event_open. node:
/// one that memory may be placed on.
[[nodiscard]] std::vector<SystemCall> try_system_calls(NodeId node);

}  // namespace slidekit::cli
