// Topology through hwloc: the one file that knows it.
//
// The flags are those of TBB's own binding library, so that tbb_id (hwloc's logical index) means
// the same node to both. A node without processors borrows the processors next to it in hwloc's
// tree; only the kernel says which node really owns them. Of another machine that is described to
// us, the node with the fewest processors owns them, then the one with the lowest number.
#include <slidekit/system/topology.hpp>

#include <hwloc.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>

#include "limits.hpp"

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

TopologyHandle make_handle() {
    hwloc_topology_t raw = nullptr;
    return TopologyHandle(hwloc_topology_init(&raw) == 0 ? raw : nullptr);
}

// ---- from hwloc's tree to domains ----

enum class Subject { this_machine, another };

std::vector<hwloc_obj_t> nodes_by_locality(hwloc_topology_t topology) {
    std::vector<hwloc_obj_t> nodes;
    hwloc_obj_t node = nullptr;
    while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr)
        nodes.push_back(node);
    std::sort(nodes.begin(), nodes.end(), [](hwloc_obj_t a, hwloc_obj_t b) {
        const int a_cpus = hwloc_bitmap_weight(a->cpuset);
        const int b_cpus = hwloc_bitmap_weight(b->cpuset);
        return a_cpus != b_cpus ? a_cpus < b_cpus : a->os_index < b->os_index;
    });
    return nodes;
}

std::size_t shared_processors(const Domain& domain, hwloc_const_bitmap_t set) {
    return static_cast<std::size_t>(
        std::count_if(domain.cpus.begin(), domain.cpus.end(), [&](int cpu) {
            return hwloc_bitmap_isset(set, static_cast<unsigned>(cpu)) != 0;
        }));
}

// The domain that `cpu` is nearest to: among those below its deepest ancestor with any (by
// `own`, the processors that the domains had at first), the one with the fewest processors.
std::size_t nearest_domain(hwloc_topology_t topology,
                           int cpu,
                           const std::vector<Domain>& own,
                           const std::vector<Domain>& domains) {
    hwloc_obj_t at = hwloc_get_pu_obj_by_os_index(topology, static_cast<unsigned>(cpu));
    for (; at != nullptr; at = at->parent) {
        std::optional<std::size_t> best;
        for (std::size_t d = 0; d < domains.size(); ++d) {
            if (shared_processors(own[d], at->cpuset) == 0) continue;
            if (!best || domains[d].cpus.size() < domains[*best].cpus.size()) best = d;
        }
        if (best) return *best;
    }
    return 0;
}

// Gives processors that no domain has to the nearest; what to say about it.
std::string adopt_processors(hwloc_topology_t topology, std::vector<Domain>& domains) {
    const Bitmap left(hwloc_bitmap_dup(hwloc_topology_get_topology_cpuset(topology)));
    for (const Domain& domain : domains) {
        for (const int cpu : domain.cpus) hwloc_bitmap_clr(left.get(), static_cast<unsigned>(cpu));
    }
    const std::vector<int> orphans = processors_of(left.get());
    if (orphans.empty()) return {};
    const std::vector<Domain> own = domains;
    for (const int cpu : orphans)
        domains[nearest_domain(topology, cpu, own, domains)].cpus.push_back(cpu);
    for (Domain& domain : domains) std::sort(domain.cpus.begin(), domain.cpus.end());
    return fmt::format(
        "{} of the {} processors have no memory of their own node (cpuset.mems leaves it out, or "
        "it has none): they work on the nearest domain's",
        orphans.size(),
        hwloc_bitmap_weight(hwloc_topology_get_topology_cpuset(topology)));
}

std::size_t nearest_domain(const std::vector<Domain>& domains, hwloc_obj_t memory) {
    const auto less = [&](const Domain& a, const Domain& b) {
        return shared_processors(a, memory->cpuset) < shared_processors(b, memory->cpuset);
    };
    return static_cast<std::size_t>(std::max_element(domains.begin(), domains.end(), less) -
                                    domains.begin());
}

Domain domain_of(hwloc_topology_t topology, hwloc_obj_t node) {
    const hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, node);
    return {.os_node = static_cast<NodeId>(node->os_index),
            .tbb_id = static_cast<int>(node->logical_index),
            .package = package == nullptr ? -1 : static_cast<int>(package->os_index),
            .cpus = processors_of(node->cpuset),
            .bytes = node->attr->numanode.local_memory};
}

// No domains where the tree has no node with processors.
Topology read(hwloc_topology_t tree, Subject subject) {
    Topology topology;
    std::vector<hwloc_obj_t> memory_only;
    const std::vector<hwloc_obj_t> nodes = nodes_by_locality(tree);
    // Descriptions often leave sizes out, and a node without memory stands out only beside others.
    const bool sized = std::any_of(nodes.begin(), nodes.end(), [](hwloc_obj_t node) {
        return node->attr->numanode.local_memory > 0;
    });
    const Bitmap seen(hwloc_bitmap_alloc());
    for (const hwloc_obj_t node : nodes) {
        if (sized && node->attr->numanode.local_memory == 0) continue;
        const bool owner = subject == Subject::this_machine
                               ? kernel_gives_processors(node->os_index)
                               : hwloc_bitmap_intersects(seen.get(), node->cpuset) == 0;
        if (!owner) {
            memory_only.push_back(node);
            continue;
        }
        if (hwloc_bitmap_iszero(node->cpuset) != 0) continue;  // its processors are not for us
        hwloc_bitmap_or(seen.get(), seen.get(), node->cpuset);
        topology.domains.push_back(domain_of(tree, node));
    }
    if (topology.domains.empty()) return topology;
    std::sort(topology.domains.begin(),
              topology.domains.end(),
              [](const Domain& a, const Domain& b) { return a.os_node < b.os_node; });
    for (const hwloc_obj_t node : memory_only) {
        topology.memory_only.push_back({.os_node = static_cast<NodeId>(node->os_index),
                                        .bytes = node->attr->numanode.local_memory,
                                        .nearest = nearest_domain(topology.domains, node)});
    }
    std::sort(topology.memory_only.begin(),
              topology.memory_only.end(),
              [](const MemoryNode& a, const MemoryNode& b) { return a.os_node < b.os_node; });
    topology.note = adopt_processors(tree, topology.domains);
    return topology;
}

// ---- what to load ----

struct Loaded {
    TopologyHandle tree;
    Subject subject = Subject::this_machine;
    std::string note;
};

// hwloc follows its variables by itself, and passes over a broken one without a word.
Loaded load() {
    Loaded loaded{.tree = make_handle(), .note = {}};
    if (!loaded.tree) return loaded;
    const hwloc_topology_t tree = loaded.tree.get();
    const auto look_at = [&](const char* name, int (*set)(hwloc_topology_t, const char*)) {
        const char* const value = std::getenv(name);
        if (value == nullptr) return;
        const TopologyHandle trial = make_handle();
        if (trial && set(trial.get(), value) == 0) {
            loaded.subject = Subject::another;
        } else {
            loaded.note =
                fmt::format("{}={} cannot be followed: {}", name, value, std::strerror(errno));
        }
    };
    look_at("HWLOC_SYNTHETIC", &hwloc_topology_set_synthetic);
    look_at("HWLOC_XMLFILE", &hwloc_topology_set_xml);
    if (std::getenv("HWLOC_FSROOT") != nullptr) loaded.subject = Subject::another;
    constexpr unsigned long kFlags =
        HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING | HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM;
    if (hwloc_topology_set_flags(tree, kFlags) != 0 || hwloc_topology_load(tree) != 0)
        loaded.tree = nullptr;
    else if (hwloc_topology_is_thissystem(tree) == 0)
        loaded.subject = Subject::another;
    return loaded;
}

Topology detect_domains() {
    const Loaded loaded = load();
    const std::string before = loaded.note.empty() ? "" : loaded.note + "; ";
    if (!loaded.tree)
        return one_domain(before + "hwloc could not read the machine: one domain is assumed");
    Topology topology = read(loaded.tree.get(), loaded.subject);
    if (topology.domains.empty())
        return one_domain(before +
                          "hwloc shows no memory node with processors: one domain is assumed");
    if (!loaded.note.empty())
        topology.note = topology.note.empty() ? loaded.note : before + topology.note;
    return topology;
}

// Of another machine: `set` has told the tree which.
template <class Set>
Topology read_other(Set set, ErrorCode code, const std::string& where, const std::string& what) {
    const TopologyHandle tree = make_handle();
    if (tree && set(tree.get()) == 0 && hwloc_topology_load(tree.get()) == 0) {
        Topology topology = read(tree.get(), Subject::another);
        if (!topology.domains.empty()) return topology;
    }
    throw Error(code, where, what);
}

}  // namespace

Topology Topology::detect() {
    Topology topology = detect_domains();
    topology.quota = detail::processor_quota();
    topology.memory_max = detail::cgroup_memory_max();
    return topology;
}

Topology Topology::from_synthetic(const std::string& description) {
    return read_other(
        [&](hwloc_topology_t tree) {
            return hwloc_topology_set_synthetic(tree, description.c_str());
        },
        ErrorCode::usage,
        "topology",
        fmt::format(
            "\"{}\" describes no machine with memory nodes; two sockets are \"pack:2 [numa] "
            "core:4 pu:2\" (hwloc's synthetic topologies)",
            description));
}

Topology Topology::from_xml(const std::string& file) {
    return read_other(
        [&](hwloc_topology_t tree) { return hwloc_topology_set_xml(tree, file.c_str()); },
        ErrorCode::input,
        file,
        "is no topology with memory nodes; write one on the machine that is meant: lstopo "
        "FILE.xml");
}

unsigned Topology::processors() const noexcept {
    std::size_t count = 0;
    for (const Domain& domain : domains) count += domain.cpus.size();
    return static_cast<unsigned>(count);
}

}  // namespace slidekit::system
