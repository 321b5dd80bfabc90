// Topology through hwloc: the one file that knows it.
//
// The flags are those of TBB's own binding library, so that tbb_id (hwloc's logical index) means
// the same node to both. A node without processors borrows the processors next to it in hwloc's
// tree; only the kernel says which node really owns them.
#include <slidekit/system/topology.hpp>

#include <hwloc.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>

namespace slidekit::system {

namespace {

struct DestroyTopology {
    void operator()(hwloc_topology_t topology) const noexcept { hwloc_topology_destroy(topology); }
};
using TopologyHandle = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, DestroyTopology>;

struct FreeBitmap {
    void operator()(hwloc_bitmap_t bitmap) const noexcept { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<std::remove_pointer_t<hwloc_bitmap_t>, FreeBitmap>;

// True where hwloc describes this machine, and not a file or a pattern (tests, studies of other
// machines).
bool describes_this_machine(hwloc_topology_t topology) {
    return hwloc_topology_is_thissystem(topology) != 0 && std::getenv("HWLOC_XMLFILE") == nullptr &&
           std::getenv("HWLOC_SYNTHETIC") == nullptr && std::getenv("HWLOC_FSROOT") == nullptr;
}

bool kernel_gives_processors(unsigned os_node) {
    std::ifstream stream("/sys/devices/system/node/node" + std::to_string(os_node) + "/cpulist");
    std::string list;
    // A kernel without NUMA has no such file, and then the one node has all processors.
    return !stream || static_cast<bool>(stream >> list);
}

std::vector<int> processors_of(hwloc_const_bitmap_t set) {
    std::vector<int> cpus;
    for (int cpu = hwloc_bitmap_first(set); cpu >= 0; cpu = hwloc_bitmap_next(set, cpu))
        cpus.push_back(cpu);
    return cpus;
}

std::vector<int> processors_by_affinity() {
    std::vector<int> cpus;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
        }
    } else {  // more processors than the set holds: their count is all that is left to know
        cpus.resize(std::max(1U, std::thread::hardware_concurrency()));
        std::iota(cpus.begin(), cpus.end(), 0);
    }
    return cpus;
}

Topology one_domain(std::string note) {
    Topology topology;
    topology.domains.push_back({.cpus = processors_by_affinity()});
    topology.note = std::move(note);
    return topology;
}

TopologyHandle load() {
    hwloc_topology_t raw = nullptr;
    if (hwloc_topology_init(&raw) != 0) return nullptr;
    TopologyHandle handle(raw);
    constexpr unsigned long kFlags =
        HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING | HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM;
    if (hwloc_topology_set_flags(raw, kFlags) != 0 || hwloc_topology_load(raw) != 0) return nullptr;
    return handle;
}

}  // namespace

Topology Topology::detect() {
    const TopologyHandle handle = load();
    if (!handle) return one_domain("hwloc could not read the machine: one domain is assumed");
    const bool real = describes_this_machine(handle.get());

    Topology topology;
    const Bitmap seen(hwloc_bitmap_alloc());
    hwloc_obj_t node = nullptr;
    while ((node = hwloc_get_next_obj_by_type(handle.get(), HWLOC_OBJ_NUMANODE, node)) != nullptr) {
        const auto os_node = static_cast<NodeId>(node->os_index);
        const bool owner = real ? kernel_gives_processors(node->os_index)
                                : hwloc_bitmap_intersects(seen.get(), node->cpuset) == 0;
        if (!owner) {
            topology.memory_only.push_back(os_node);
            continue;
        }
        if (hwloc_bitmap_iszero(node->cpuset) != 0) continue;  // its processors are not for us
        hwloc_bitmap_or(seen.get(), seen.get(), node->cpuset);
        const hwloc_obj_t package =
            hwloc_get_ancestor_obj_by_type(handle.get(), HWLOC_OBJ_PACKAGE, node);
        topology.domains.push_back({
            .os_node = os_node,
            .tbb_id = static_cast<int>(node->logical_index),
            .package = package == nullptr ? -1 : static_cast<int>(package->os_index),
            .cpus = processors_of(node->cpuset),
            .bytes = node->attr->numanode.local_memory,
        });
    }
    if (topology.domains.empty())
        return one_domain("hwloc shows no memory node with processors: one domain is assumed");
    std::sort(topology.domains.begin(),
              topology.domains.end(),
              [](const Domain& a, const Domain& b) { return a.os_node < b.os_node; });
    std::sort(topology.memory_only.begin(), topology.memory_only.end());
    return topology;
}

unsigned Topology::processors() const noexcept {
    std::size_t count = 0;
    for (const Domain& domain : domains) count += domain.cpus.size();
    return static_cast<unsigned>(count);
}

namespace {

Domain join(std::span<const Domain> parts) {
    Domain joined = parts.front();
    for (const Domain& part : parts.subspan(1)) {
        joined.cpus.insert(joined.cpus.end(), part.cpus.begin(), part.cpus.end());
        joined.bytes += part.bytes;
        if (part.os_node != joined.os_node) joined.os_node = NodeId::unknown;
        if (part.tbb_id != joined.tbb_id) joined.tbb_id = -1;
        if (part.package != joined.package) joined.package = -1;
    }
    std::sort(joined.cpus.begin(), joined.cpus.end());
    return joined;
}

// Part `index` of `count`; a node with fewer processors gives the same one to several parts.
Domain divide(const Domain& whole, std::size_t index, std::size_t count) {
    Domain part = whole;
    const std::size_t cpus = whole.cpus.size();
    const std::size_t begin = cpus * index / count;
    const std::size_t end = std::max(begin + 1, cpus * (index + 1) / count);
    part.cpus.assign(whole.cpus.begin() + static_cast<std::ptrdiff_t>(begin),
                     whole.cpus.begin() + static_cast<std::ptrdiff_t>(std::min(end, cpus)));
    part.bytes = whole.bytes / count;
    return part;
}

}  // namespace

Topology Topology::cut(unsigned count) const {
    if (count > kMostDomains) {
        throw Error(ErrorCode::usage,
                    "domains",
                    fmt::format("{} asked, at most {} can be had", count, kMostDomains));
    }
    if (count == 0 || count == domains.size()) return *this;
    Topology cut;
    cut.memory_only = memory_only;
    cut.note = note;
    const std::size_t nodes = domains.size();
    if (count < nodes) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t begin = nodes * i / count;
            cut.domains.push_back(
                join(std::span(domains).subspan(begin, nodes * (i + 1) / count - begin)));
        }
        return cut;
    }
    for (std::size_t node = 0; node < nodes; ++node) {
        const std::size_t parts = count * (node + 1) / nodes - count * node / nodes;
        for (std::size_t i = 0; i < parts; ++i)
            cut.domains.push_back(divide(domains[node], i, parts));
    }
    return cut;
}

}  // namespace slidekit::system
