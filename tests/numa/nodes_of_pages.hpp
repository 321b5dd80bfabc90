// Where memory stands, asked of the kernel by the plainest call: the oracle for what the runtime
// reports about itself.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <vector>

#include <slidekit/system/ids.hpp>

namespace slidekit::testing {

/// The node of each page of 4 KiB (all those of a huge page have its node); a negative number is
/// the kernel's errno.
inline std::vector<NodeId> nodes_of_pages(const std::byte* start, std::size_t bytes) {
    std::vector<const void*> pages;
    for (std::size_t at = 0; at < bytes; at += 4096) pages.push_back(start + at);
    std::vector<int> status(pages.size(), -1);
    ::syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, status.data(), 0);
    std::vector<NodeId> nodes;
    for (const int node : status) nodes.push_back(static_cast<NodeId>(node));
    return nodes;
}

}  // namespace slidekit::testing
