// Where memory stands, asked of the kernel by the plainest call: the oracle for what the runtime
// reports about itself.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include <slidekit/system/ids.hpp>

namespace slidekit::testing {

/// The node of each page of 4 KiB that has been written (all those of a huge page have its node); a
/// negative number is the kernel's errno. A page that the kernel moves at this moment, to make room
/// for a huge one, stands nowhere: reading it waits until it is there, and it is asked for again.
inline std::vector<NodeId> nodes_of_pages(const std::byte* start, std::size_t bytes) {
    std::vector<NodeId> nodes;
    for (std::size_t at = 0; at < bytes; at += 4096) {
        const void* page = start + at;
        int status = -ENOENT;
        for (int asked = 0; status == -ENOENT && asked < 3; ++asked) {
            (void)*static_cast<const volatile std::byte*>(page);
            ::syscall(SYS_move_pages, 0, 1, &page, nullptr, &status, 0);
        }
        nodes.push_back(static_cast<NodeId>(status));
    }
    return nodes;
}

}  // namespace slidekit::testing
