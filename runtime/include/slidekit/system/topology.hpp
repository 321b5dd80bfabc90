// What the machine is made of, as plain data: one domain for each memory node that has processors
// of ours.
#pragma once

#include <cstdint>
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
};

/// Most domains that a machine is cut into.
inline constexpr unsigned kMostDomains = 64;

/// Domains ascending by os_node. Never empty: where detection fails, one domain with all
/// processors.
struct Topology {
    std::vector<Domain> domains;
    std::vector<NodeId> memory_only;  // nodes without processors (HBM, CXL)
    std::string note;                 // why detection fell short; empty when it did not

    /// Reads the machine through hwloc, within this process's cpuset (taskset, cgroups).
    [[nodiscard]] static SLIDEKIT_API Topology detect();
    /// Processors over all domains.
    [[nodiscard]] SLIDEKIT_API unsigned processors() const noexcept;
    /// The same machine as `count` domains: neighbours joined where there are more (of several
    /// nodes together os_node is unknown), the processors of a node divided where there are fewer.
    /// 0: as it is. Throws Error (usage) above kMostDomains.
    [[nodiscard]] SLIDEKIT_API Topology cut(unsigned count) const;
};

}  // namespace slidekit::system
