// Which system calls this process may make: each is made for real, on memory and threads of its
// own.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
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

/// Bytes of touched memory by the node that they stand on; NodeId::unknown for those that the
/// kernel does not tell. Empty where it refuses.
[[nodiscard]] std::map<NodeId, std::size_t> bytes_by_node(const std::byte* start,
                                                          std::size_t bytes);

}  // namespace slidekit::cli
