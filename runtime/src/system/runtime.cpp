// Puts topology, executor and page policy together; the only state of its own is the list of
// reports.
#include <slidekit/system/runtime.hpp>

#include <utility>

namespace slidekit::system {

Runtime::Runtime(const RuntimeConfig& config)
    : huge_pages_(config.huge_pages),
      topology_(Topology::detect()),
      executor_(topology_, config.threads) {}

Region Runtime::allocate(std::size_t bytes, std::string tag) {
    Region region({.bytes = bytes, .tag = std::move(tag), .huge_pages = huge_pages_});
    reports_.push_back(region.report());
    return region;
}

}  // namespace slidekit::system
