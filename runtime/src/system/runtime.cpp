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
    : huge_pages_(config.huge_pages),
      topology_(Topology::detect().cut(config.domains)),
      executor_(topology_, config.threads, config.pinning) {}

Region Runtime::allocate(std::size_t bytes, std::string tag, Placement placement) {
    Region region({.bytes = bytes,
                   .tag = std::move(tag),
                   .huge_pages = huge_pages_,
                   .placement = std::move(placement)});
    reports_.push_back(region.report());
    return region;
}

Placement Runtime::on_domain(std::size_t domain) const {
    if (topology_.domains.size() == 1) return {};
    return Placement::on(topology_.domains[domain].os_node);
}

Placement Runtime::interleaved() const {
    if (topology_.domains.size() == 1) return {};
    return Placement::interleaved(nodes_of(topology_));
}

Placement Runtime::split(std::vector<std::size_t> ends) const {
    if (topology_.domains.size() == 1) return {};
    return Placement::split(nodes_of(topology_), std::move(ends));
}

}  // namespace slidekit::system
