// Pages onto nodes: the parts of a region, and how they are bound and populated.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <slidekit/system/placement.hpp>

namespace slidekit::system::detail {

/// Consecutive bytes of a region under one policy.
struct Part {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::vector<NodeId> nodes;  // none: the node of the thread that touches; several: interleaved
};

/// The parts of a region of `bytes`, a multiple of `page`; none is empty, and cuts are rounded up
/// to pages. Neighbours on the same node are one part.
[[nodiscard]] std::vector<Part> parts_of(const Placement& placement,
                                         std::size_t bytes,
                                         std::size_t page);

/// Adds to a sum in a list that ascends by node.
void add_bytes(std::vector<NodeBytes>& sums, NodeId node, std::size_t bytes);

/// Bytes that each node shall have, ascending by node.
[[nodiscard]] std::vector<NodeBytes> bytes_by_node(std::span<const Part> parts);

/// Why nodes do not have the memory for their parts, with the remedies; empty where they have. To
/// ask before binding strictly: a bound page for which its node has no room is answered by the
/// kernel's killer.
[[nodiscard]] std::vector<std::string> node_shortages(std::span<const Part> parts,
                                                      const std::filesystem::path& root = "/");

/// How parts are populated.
struct Filling {
    Strictness strictness = Strictness::prefer;  // require: binds; see node_shortages
    const RunOnNode& run_on;
    std::size_t stripe = 0;  // bytes in turns, where interleaving is done by touching
    int (*populate)(std::byte* start, std::size_t bytes);
};

/// Binds each part to its nodes and populates it; where the kernel refuses to bind, by threads of
/// the nodes. Refusals are added to `steps`. 0, or the errno of populating.
[[nodiscard]] int fill(std::byte* start,
                       std::span<const Part> parts,
                       const Filling& filling,
                       std::vector<std::string>& steps);

}  // namespace slidekit::system::detail
