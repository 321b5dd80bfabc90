// What the machine is made of, as plain data: one domain for each memory node that has processors
// of ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/ids.hpp>

namespace slidekit::system {

/// A NUMA node with the processors that this process may use there.
struct Domain {
    NodeId os_node = NodeId::unknown;  // the kernel's number, as mbind takes it
    int tbb_id = -1;                   // hwloc's logical index, as TBB takes it
    int package = -1;                  // socket
    std::vector<int> cpus;             // the kernel's processor numbers, ascending
    std::uint64_t bytes = 0;           // memory of the node; 0: unknown
    std::vector<NodeId> joined = {};   // its nodes where several are one domain: os_node is unknown

    /// The nodes of its memory.
    [[nodiscard]] std::vector<NodeId> nodes() const {
        return joined.empty() ? std::vector<NodeId>{os_node} : joined;
    }
};

/// Most domains that a machine is cut into.
inline constexpr unsigned kMostDomains = 64;

/// A NUMA node without processors (HBM, CXL).
struct MemoryNode {
    NodeId os_node = NodeId::unknown;
    std::uint64_t bytes = 0;  // 0: unknown
    std::size_t nearest = 0;  // index of the domain that is closest to it
};

/// Domains ascending by os_node. Never empty: where detection fails, one domain with all
/// processors. Processors of ours whose own node is not (cpuset.mems leaves it out, it has no
/// memory) belong to the nearest domain, among equally near ones to that with the fewest.
struct Topology {
    std::vector<Domain> domains;
    std::vector<MemoryNode> memory_only;      // ascending by os_node
    std::string note;                         // what fell short, and why; empty when nothing did
    std::optional<unsigned> quota;            // processors' worth of time by cpu.max, rounded up
    std::optional<std::uint64_t> memory_max;  // bytes by the cgroups around this process

    /// Reads the machine through hwloc, within this process's cpuset (taskset, cgroups). Follows
    /// HWLOC_XMLFILE and HWLOC_SYNTHETIC where they are set.
    [[nodiscard]] static SLIDEKIT_API Topology detect();
    /// Another machine, for tests and studies: a description such as "pack:2 [numa(memory=1GB)]
    /// core:4 pu:2", or a file that lstopo wrote. No limit of this machine or process is applied.
    /// Throws Error (usage for the description, input for the file).
    [[nodiscard]] static SLIDEKIT_API Topology from_synthetic(const std::string& description);
    [[nodiscard]] static SLIDEKIT_API Topology from_xml(const std::string& file);

    /// Processors over all domains.
    [[nodiscard]] SLIDEKIT_API unsigned processors() const noexcept;
    /// The same machine as `count` domains: neighbours joined where there are more (memory
    /// is then spread over their nodes), the processors of a node divided where there are fewer.
    /// 0: as it is. Throws Error (usage) above kMostDomains.
    [[nodiscard]] SLIDEKIT_API Topology cut(unsigned count) const;
};

}  // namespace slidekit::system
