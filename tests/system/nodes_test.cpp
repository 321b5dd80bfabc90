// Regions on a machine with several memory nodes: every page where it shall be, and what is said
// where it cannot be there.
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>
#include <slidekit/system/runtime.hpp>

#include "child.hpp"
#include "deny.hpp"
#include "system/limits.hpp"

namespace slidekit::system::nodes_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::size_t kMiB = std::size_t{1} << 20;

const std::vector<Domain>& domains() {
    static const std::vector<Domain> domains = Topology::detect().domains;
    return domains;
}

std::vector<NodeId> nodes() {
    std::vector<NodeId> nodes;
    for (const Domain& domain : domains()) nodes.push_back(domain.os_node);
    return nodes;
}

std::size_t bytes_on(const RegionReport& report, NodeId node) {
    for (const NodeBytes& each : report.found.nodes)
        if (each.node == node) return each.bytes;
    return 0;
}

class Nodes : public ::testing::TestWithParam<HugePages> {
protected:
    void SetUp() override {
        if (domains().size() < 2) GTEST_SKIP() << "this machine has one memory node";
    }
    [[nodiscard]] Region region(std::size_t bytes, Placement placement) const {
        return Region({.bytes = bytes,
                       .tag = "test",
                       .huge_pages = GetParam(),
                       .placement = std::move(placement)});
    }
};
INSTANTIATE_TEST_SUITE_P(Region, Nodes, ::testing::Values(HugePages::prefer, HugePages::never));

void expect_all_placed(const RegionReport& report) {
    EXPECT_EQ(report.found.verified, Verified::move_pages);
    EXPECT_EQ(report.found.misplaced_bytes, 0U);
    EXPECT_EQ(report.found.unverified_bytes, 0U);
    std::size_t bytes = 0;
    for (const NodeBytes& each : report.found.nodes) bytes += each.bytes;
    EXPECT_EQ(bytes, report.mapped_bytes);
}

TEST_P(Nodes, ADomainHasAllPages) {
    for (const NodeId node : nodes()) {
        const Region placed = region(8 * kMiB + 5000, Placement::on(node));
        expect_all_placed(placed.report());
        EXPECT_EQ(bytes_on(placed.report(), node), placed.report().mapped_bytes);
        expect_all_placed(placed.report_now());
    }
}

TEST_P(Nodes, InterleavingGivesEachNodeItsShare) {
    const Region placed = region(64 * kMiB, Placement::interleaved(nodes()));
    expect_all_placed(placed.report());
    const std::size_t share = 64 * kMiB / nodes().size();
    for (const NodeId node : nodes()) EXPECT_GE(bytes_on(placed.report(), node), share - 4 * kMiB);
}

TEST_P(Nodes, EachPartOfASplitIsOnItsNode) {
    std::vector<std::size_t> ends;
    for (std::size_t i = 1; i <= nodes().size(); ++i) ends.push_back(i * (9 * kMiB + 12345));
    const Region placed = region(ends.back(), Placement::split(nodes(), ends));
    expect_all_placed(placed.report());
    for (const NodeId node : nodes()) EXPECT_GE(bytes_on(placed.report(), node), 7 * kMiB);
    if (placed.report().backing == Backing::thp) {
        EXPECT_GE(placed.report().huge_bytes, nodes().size() * 4 * kMiB);
    }
}

TEST_P(Nodes, PlacedByTouchingWhereBindingIsForbidden) {
    EXPECT_EQ(testing::exit_code_in_child([] {
                  if (!testing::deny({SYS_mbind, SYS_set_mempolicy}, EPERM)) return 1;
                  Runtime runtime({.threads = 4, .huge_pages = GetParam()});
                  std::vector<std::size_t> ends;
                  for (std::size_t i = 1; i <= nodes().size(); ++i) ends.push_back(i * 5 * kMiB);
                  for (const Placement& placement : {runtime.on_domain(0),
                                                     runtime.on_domain(1),
                                                     runtime.interleaved(),
                                                     runtime.split(ends)}) {
                      const Region placed = runtime.allocate(ends.back(), "test", placement);
                      expect_all_placed(placed.report());
                      EXPECT_THAT(placed.report().steps,
                                  ::testing::Contains(AllOf(HasSubstr("Operation not permitted"),
                                                            HasSubstr("first touch of threads"))));
                  }
                  return ::testing::Test::HasFailure() ? 2 : 0;
              }),
              0);
}

// More than the node has, but less than the machine has.
std::size_t more_than_node_has(NodeId node) {
    const auto memory = detail::node_memory(static_cast<int>(node));
    const std::size_t bytes = memory->free_bytes + memory->cache_bytes + 32 * kMiB;
    return bytes + bytes / 4 < available_memory_bytes() ? bytes : 0;
}

TEST_P(Nodes, AFullNodeIsSaidWherePreferred) {
    const NodeId last = nodes().back();
    const std::size_t bytes = more_than_node_has(last);
    if (bytes == 0) GTEST_SKIP() << "the other nodes have no room for what one has not";
    const Region placed = region(bytes, Placement::on(last));
    EXPECT_GT(placed.report().found.misplaced_bytes, 0U);
    EXPECT_THAT(placed.report().steps,
                ::testing::Contains(AllOf(HasSubstr("are on other nodes"), HasSubstr("MiB free"))));
}

TEST_P(Nodes, AFullNodeIsRefusedWhereRequired) {
    const NodeId last = nodes().back();
    const std::size_t bytes = more_than_node_has(last);
    if (bytes == 0) GTEST_SKIP() << "the machine's free memory would refuse it first";
    try {
        const Region placed({.bytes = bytes,
                             .tag = "weights",
                             .huge_pages = GetParam(),
                             .placement = Placement::on(last),
                             .placement_strictness = Strictness::require});
        FAIL() << "not refused";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::memory);
        EXPECT_THAT(error.what(),
                    AllOf(HasSubstr("weights: placement is required"),
                          HasSubstr("node " + std::to_string(static_cast<int>(last)) + ": "),
                          HasSubstr("MiB needed")));
    }
}

// One node's part of the pool, as it was afterwards.
class NodePool {
public:
    NodePool(NodeId node, std::size_t pages)
        : file_("/sys/devices/system/node/node" + std::to_string(static_cast<int>(node)) +
                "/hugepages/hugepages-2048kB/nr_hugepages"),
          before_(detail::read_number(file_).value_or(0)) {
        std::ofstream(file_) << pages;
        usable_ = detail::read_number(file_) == pages;
    }
    ~NodePool() { std::ofstream(file_) << before_; }
    NodePool(const NodePool&) = delete;
    NodePool& operator=(const NodePool&) = delete;

    [[nodiscard]] bool usable() const { return usable_; }

private:
    std::string file_;
    std::size_t before_;
    bool usable_ = false;
};

// Pages at home go before huge pages elsewhere, and the empty pool is no signal.
TEST_P(Nodes, AnEmptyPoolOfOneNodeIsAStepDownThere) {
    const NodePool first(nodes().front(), 8);
    const NodePool last(nodes().back(), 1);
    if (!first.usable() || !last.usable()) GTEST_SKIP() << "pools of huge pages are not ours";
    const Region poor = region(8 * kMiB, Placement::on(nodes().back()));
    expect_all_placed(poor.report());
    EXPECT_EQ(bytes_on(poor.report(), nodes().back()), 8 * kMiB);
    EXPECT_NE(poor.report().backing, Backing::hugetlb_2m);
    if (GetParam() == HugePages::never) return;
    EXPECT_THAT(poor.report().steps, ::testing::Contains(HasSubstr("has 1 of 4 pages free")));
    const Region rich = region(8 * kMiB, Placement::on(nodes().front()));
    EXPECT_EQ(rich.report().backing, Backing::hugetlb_2m);
    expect_all_placed(rich.report());
    expect_all_placed(
        region(8 * kMiB, Placement::split({nodes().front(), nodes().back()}, {6 * kMiB, 8 * kMiB}))
            .report());
}

TEST_P(Nodes, RequiredPlacementIsBoundAndKept) {
    for (const NodeId node : nodes()) {
        const Region placed({.bytes = 8 * kMiB,
                             .tag = "test",
                             .huge_pages = GetParam(),
                             .placement = Placement::on(node),
                             .placement_strictness = Strictness::require});
        expect_all_placed(placed.report());
    }
}

TEST_P(Nodes, TheControlPlacesEverythingOnTheFirst) {
    Runtime runtime({.threads = 1, .huge_pages = GetParam(), .memory_place = MemoryPlace::first});
    for (const Placement& placement : {runtime.on_domain(1), runtime.interleaved()}) {
        const Region placed = runtime.allocate(4 * kMiB, "test", placement);
        EXPECT_EQ(bytes_on(placed.report(), nodes().front()), 4 * kMiB);
    }
}

TEST_P(Nodes, ReplicasAreOneADomain) {
    Runtime runtime({.threads = 2, .huge_pages = GetParam()});
    const std::vector<Region> replicas = runtime.replicate(3 * kMiB, "input");
    ASSERT_EQ(replicas.size(), domains().size());
    for (std::size_t domain = 0; domain < replicas.size(); ++domain) {
        EXPECT_EQ(replicas[domain].report().tag, "input." + std::to_string(domain));
        expect_all_placed(replicas[domain].report());
        EXPECT_EQ(bytes_on(replicas[domain].report(), domains()[domain].os_node),
                  replicas[domain].report().mapped_bytes);
    }
}

}  // namespace
}  // namespace slidekit::system::nodes_test
