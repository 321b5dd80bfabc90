// Where memory stands: the nodes that pages shall be on, and those that they were found on.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/ids.hpp>

namespace slidekit::system {

/// Which nodes a region's pages shall stand on.
struct Placement {
    enum class Policy {
        local,       // the node of the thread that touches a page first
        domain,      // one node
        interleave,  // page after page on the next of several nodes
        split,       // cut into consecutive parts, each on a node of its own
    };
    Policy policy = Policy::local;
    std::vector<NodeId> nodes = {};  // domain: one; split: one a part; unknown among them is local
    std::vector<std::size_t> ends =
        {};  // split: where each part ends, in bytes, ascending; the last is the size

    [[nodiscard]] static Placement on(NodeId node) { return {Policy::domain, {node}, {}}; }
    [[nodiscard]] static Placement interleaved(std::vector<NodeId> nodes) {
        return {Policy::interleave, std::move(nodes), {}};
    }
    /// A page over a cut belongs to the part that it begins in.
    [[nodiscard]] static Placement split(std::vector<NodeId> nodes, std::vector<std::size_t> ends) {
        return {Policy::split, std::move(nodes), std::move(ends)};
    }
};

/// prefer: pages that do not fit on their node stand on another one, and the report says so.
/// require: refused, with every reason.
enum class Strictness { prefer, require };

/// Runs a function on the processors of a node. Pages are placed by it where the kernel refuses to
/// bind them: they stand on the node of the thread that touches them first.
using RunOnNode = std::function<void(NodeId node, const std::function<void()>& function)>;

/// How it is known on which nodes pages stand: there is only one; the kernel was asked for each
/// page; it was asked for sums; not at all.
enum class Verified { one_node, move_pages, numa_maps, unknown };

[[nodiscard]] SLIDEKIT_API std::string_view verified_name(Verified verified) noexcept;

struct NodeBytes {
    NodeId node = NodeId::unknown;
    std::size_t bytes = 0;
};

/// The nodes that pages were found on.
struct FoundPages {
    std::vector<NodeBytes> nodes;      // ascending, those that hold pages
    std::size_t misplaced_bytes = 0;   // not on the node that their placement names; by numa_maps
                                       // so many at least
    std::size_t unverified_bytes = 0;  // the kernel does not say (swapped out, no permission)
    Verified verified = Verified::unknown;
};

}  // namespace slidekit::system
