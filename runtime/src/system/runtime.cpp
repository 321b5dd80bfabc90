// Puts topology, executor and page policy together; the only state of its own is the list of
// reports.
#include <slidekit/system/runtime.hpp>

#include <utility>

namespace slidekit::system {

namespace {

std::vector<NodeId> nodes_of(const Topology& topology) {
    std::vector<NodeId> nodes;
    for (const Domain& domain : topology.domains) nodes.push_back(domain.os_node);
    return nodes;
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
        if (topology_.domains[domain].os_node == node)
            return executor_.run_in_domain(domain, function);
    }
    function();
}

Placement Runtime::on_first() const { return Placement::on(topology_.domains.front().os_node); }

Placement Runtime::on_domain(std::size_t domain) const {
    if (topology_.domains.size() == 1) return {};
    if (config_.memory_place == MemoryPlace::first) return on_first();
    return Placement::on(topology_.domains[domain].os_node);
}

Placement Runtime::interleaved() const {
    if (topology_.domains.size() == 1) return {};
    if (config_.memory_place == MemoryPlace::first) return on_first();
    return Placement::interleaved(nodes_of(topology_));
}

Placement Runtime::split(std::vector<std::size_t> ends) const {
    if (topology_.domains.size() == 1) return {};
    if (config_.memory_place == MemoryPlace::first) return on_first();
    return Placement::split(nodes_of(topology_), std::move(ends));
}

}  // namespace slidekit::system
