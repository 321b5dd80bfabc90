// The machine as a training run sees it: topology, worker threads, page policy, and a list of what
// was got.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/executor.hpp>
#include <slidekit/system/pool.hpp>
#include <slidekit/system/region.hpp>
#include <slidekit/system/topology.hpp>

namespace slidekit::system {

/// Where a domain's memory stands: on its own node, or (to measure what that is worth) all of it on
/// the first domain's.
enum class MemoryPlace { owner, first };

struct RuntimeConfig {
    unsigned threads = 0;  // as Executor takes it: 0 for one a processor that this process may use
    HugePages huge_pages = HugePages::prefer;
    bool gigantic_pages = false;  // as RegionSpec
    unsigned domains = 0;         // as Topology::cut takes it: 0 for one a memory node
    Pinning pinning = Pinning::domain;
    Strictness placement_strictness = Strictness::prefer;
    MemoryPlace memory_place = MemoryPlace::owner;
};

/// Made once by a program and lent to what it builds. Thread-compatible. Must outlive what borrows
/// it.
class SLIDEKIT_API Runtime {
public:
    explicit Runtime(const RuntimeConfig& config);

    [[nodiscard]] const Topology& topology() const noexcept { return topology_; }
    [[nodiscard]] Executor& executor() noexcept { return executor_; }

    /// A zeroed region under this runtime's page policy; its report is kept. Throws Error (memory).
    [[nodiscard]] Region allocate(std::size_t bytes, std::string tag, Placement placement = {});
    /// The same on each domain's node, for what is read everywhere: one region a domain, tagged
    /// "tag.0", "tag.1", ... The caller keeps them equal.
    [[nodiscard]] std::vector<Region> replicate(std::size_t bytes, const std::string& tag);
    /// A pool on a domain's node. It takes memory 8 MiB at a time; its reports are its own.
    [[nodiscard]] std::unique_ptr<Pool> make_pool(std::size_t domain, std::string tag) const;

    /// Placements for allocate(): on a domain's node; page by page over all nodes; cut at `ends`
    /// (bytes, one a domain), each part on its domain's node. Nodes joined to one domain share what
    /// is its. With one node: local.
    [[nodiscard]] Placement on_domain(std::size_t domain) const;
    [[nodiscard]] Placement interleaved() const;
    [[nodiscard]] Placement split(std::vector<std::size_t> ends) const;

    /// Reports of all regions made so far.
    [[nodiscard]] const std::vector<RegionReport>& reports() const noexcept { return reports_; }

private:
    [[nodiscard]] RegionSpec spec(std::size_t bytes, std::string tag, Placement placement) const;
    [[nodiscard]] Placement on_first() const;
    void run_on(NodeId node, const std::function<void()>& function);

    RuntimeConfig config_;
    Topology topology_;
    Executor executor_;
    std::vector<RegionReport> reports_;
};

}  // namespace slidekit::system
