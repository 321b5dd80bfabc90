// Puts topology, executor and page policy together; the only state of its own is the list of
// reports.
#include <slidekit/system/runtime.hpp>

#include <algorithm>
#include <utility>

namespace slidekit::system {

namespace {

// One node, or page after page over several.
Placement on_nodes(std::vector<NodeId> nodes) {
    return nodes.size() == 1 ? Placement::on(nodes.front())
                             : Placement::interleaved(std::move(nodes));
}

bool has_one_node(const Topology& topology) {
    return topology.domains.size() == 1 && topology.domains.front().joined.empty();
}

}  // namespace

Runtime::Runtime(const RuntimeConfig& config)
    : config_(config),
      topology_(Topology::detect().cut(config.domains)),
      executor_(topology_, config.threads, config.pinning) {}

RegionSpec Runtime::spec(std::size_t bytes, std::string tag, Placement placement) const {
    return {.bytes = bytes,
            .tag = std::move(tag),
            .huge_pages = config_.huge_pages,
            .gigantic_pages = config_.gigantic_pages,
            .placement = std::move(placement),
            .placement_strictness = config_.placement_strictness};
}

Region Runtime::allocate(std::size_t bytes, std::string tag, Placement placement) {
    RegionSpec region_spec = spec(bytes, std::move(tag), std::move(placement));
    region_spec.run_on = [this](NodeId node, const std::function<void()>& function) {
        run_on(node, function);
    };
    Region region(region_spec);
    reports_.push_back(region.report());
    return region;
}

std::unique_ptr<Pool> Runtime::make_pool(std::size_t domain, std::string tag) const {
    constexpr std::size_t kChunk = std::size_t{8} << 20;
    return std::make_unique<Pool>(spec(kChunk, std::move(tag), on_domain(domain)));
}

std::vector<Region> Runtime::replicate(std::size_t bytes, const std::string& tag) {
    std::vector<Region> replicas;
    for (std::size_t domain = 0; domain < topology_.domains.size(); ++domain)
        replicas.push_back(allocate(bytes, tag + "." + std::to_string(domain), on_domain(domain)));
    return replicas;
}

// A node without processors of ours has nobody to touch its pages.
void Runtime::run_on(NodeId node, const std::function<void()>& function) {
    for (std::size_t domain = 0; domain < topology_.domains.size(); ++domain) {
        const std::vector<NodeId> own = topology_.domains[domain].nodes();
        if (std::find(own.begin(), own.end(), node) != own.end())
            return executor_.run_in_domain(domain, function);
    }
    function();
}

Placement Runtime::on_first() const { return on_nodes(topology_.domains.front().nodes()); }

Placement Runtime::on_domain(std::size_t domain) const {
    if (has_one_node(topology_)) return {};
    if (config_.memory_place == MemoryPlace::first) return on_first();
    return on_nodes(topology_.domains[domain].nodes());
}

Placement Runtime::interleaved() const {
    if (has_one_node(topology_)) return {};
    if (config_.memory_place == MemoryPlace::first) return on_first();
    std::vector<NodeId> all;
    for (const Domain& domain : topology_.domains)
        for (const NodeId node : domain.nodes()) all.push_back(node);
    return Placement::interleaved(std::move(all));
}

Placement Runtime::split(std::vector<std::size_t> ends) const {
    if (has_one_node(topology_)) return {};
    if (config_.memory_place == MemoryPlace::first) return on_first();
    // The nodes of a domain share its part.
    std::vector<NodeId> nodes;
    std::vector<std::size_t> node_ends;
    std::size_t begin = 0;
    for (std::size_t domain = 0; domain < ends.size(); ++domain) {
        const std::vector<NodeId> own = topology_.domains[domain].nodes();
        for (std::size_t i = 0; i < own.size(); ++i) {
            nodes.push_back(own[i]);
            node_ends.push_back(begin + (ends[domain] - begin) * (i + 1) / own.size());
        }
        begin = ends[domain];
    }
    return Placement::split(std::move(nodes), std::move(node_ends));
}

}  // namespace slidekit::system
