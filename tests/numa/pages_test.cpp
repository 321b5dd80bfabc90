// Every page of a region on the node that its placement names, asked of the kernel and not of the
// report; and what happens where that node has no pages left.
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/runtime.hpp>

#include "guest.hpp"
#include "nodes_of_pages.hpp"

namespace slidekit::system::pages_test {
namespace {

using testing::nodes_of_pages;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kPage = 4096;

std::vector<NodeId> nodes_of(const Region& region) {
    return nodes_of_pages(region.data(), region.report().mapped_bytes);
}

std::size_t count_of(const std::vector<NodeId>& nodes, NodeId node) {
    return static_cast<std::size_t>(std::count(nodes.begin(), nodes.end(), node));
}

class Pages : public ::testing::TestWithParam<HugePages> {
protected:
    void SetUp() override {
        if (runtime.topology().domains.size() < 2)
            GTEST_SKIP() << "this machine has one memory node";
    }
    [[nodiscard]] NodeId node(std::size_t domain) const {
        return runtime.topology().domains[domain].os_node;
    }
    [[nodiscard]] std::size_t domains() const { return runtime.topology().domains.size(); }

    Runtime runtime{{.huge_pages = GetParam()}};
};
INSTANTIATE_TEST_SUITE_P(On,
                         Pages,
                         ::testing::Values(HugePages::prefer, HugePages::never),
                         [](const auto& tested) {
                             return tested.param == HugePages::prefer ? "HugePages" : "SmallPages";
                         });

TEST_P(Pages, OfADomainAreOnItsNode) {
    for (std::size_t domain = 0; domain < domains(); ++domain) {
        for (const std::size_t bytes : {kPage, 100 * kPage, 6 * kMiB, 6 * kMiB + 1}) {
            const Region region = runtime.allocate(bytes, "test", runtime.on_domain(domain));
            const std::vector<NodeId> nodes = nodes_of(region);
            EXPECT_EQ(count_of(nodes, node(domain)), nodes.size()) << bytes << " bytes";
            EXPECT_EQ(region.report().found.misplaced_bytes, 0U);
        }
    }
}

TEST_P(Pages, InterleavedAreOnAllNodesEvenly) {
    const Region region = runtime.allocate(64 * kMiB, "test", runtime.interleaved());
    const std::vector<NodeId> nodes = nodes_of(region);
    const std::size_t share = nodes.size() / domains();
    for (std::size_t domain = 0; domain < domains(); ++domain)
        EXPECT_NEAR(static_cast<double>(count_of(nodes, node(domain))),
                    static_cast<double>(share),
                    2 * kMiB / kPage);
    EXPECT_EQ(region.report().found.misplaced_bytes, 0U);
}

TEST_P(Pages, OfASplitAreOnTheNodeOfThePartTheyBeginIn) {
    std::vector<std::size_t> ends;
    for (std::size_t domain = 0; domain < domains(); ++domain)
        ends.push_back((domain + 1) * 7 * kMiB + domain * 100);
    const Region region = runtime.allocate(ends.back(), "test", runtime.split(ends));
    const std::vector<NodeId> nodes = nodes_of(region);
    for (std::size_t page = 0; page < nodes.size(); ++page) {
        const auto part =
            std::upper_bound(ends.begin(), ends.end() - 1, page * kPage) - ends.begin();
        ASSERT_EQ(nodes[page], node(static_cast<std::size_t>(part))) << "page " << page;
    }
    EXPECT_EQ(region.report().found.misplaced_bytes, 0U);
}

TEST_P(Pages, StayWhereTheyAreWhenAnotherNodeWrites) {
    const Region region = runtime.allocate(8 * kMiB, "test", runtime.on_domain(0));
    runtime.executor().run_in_domain(1, [&] { std::memset(region.data(), 1, region.bytes()); });
    const std::vector<NodeId> nodes = nodes_of(region);
    EXPECT_EQ(count_of(nodes, node(0)), nodes.size());
}

// ---- in a guest, where nobody else needs the memory ----

std::size_t free_bytes(NodeId node) {
    std::ifstream file("/sys/devices/system/node/node" + std::to_string(static_cast<int>(node)) +
                       "/meminfo");
    for (std::string word; file >> word;) {
        std::size_t kib = 0;
        if (word == "MemFree:" && file >> kib) return kib * 1024;
    }
    return 0;
}

// Pages of 2 MiB reserved on one node.
class Pool {
public:
    Pool(NodeId node, std::size_t pages)
        : file_("/sys/devices/system/node/node" + std::to_string(static_cast<int>(node)) +
                "/hugepages/hugepages-2048kB/nr_hugepages") {
        set(pages);
    }
    ~Pool() { set(0); }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

private:
    void set(std::size_t pages) const {
        std::ofstream(file_) << pages;
        std::size_t got = ~pages;
        std::ifstream(file_) >> got;
        EXPECT_EQ(got, pages) << file_;
    }
    std::string file_;
};

class GuestPages : public Pages {
protected:
    void SetUp() override {
        if (testing::guest().empty()) GTEST_SKIP() << "for guests of scripts/numa_vm_test.sh";
        Pages::SetUp();
    }
};
INSTANTIATE_TEST_SUITE_P(On,
                         GuestPages,
                         ::testing::Values(HugePages::prefer, HugePages::never),
                         [](const auto& tested) {
                             return tested.param == HugePages::prefer ? "HugePages" : "SmallPages";
                         });

// A process that touches a page of an empty pool dies of SIGBUS.
TEST_P(GuestPages, AreNotTakenFromThePoolOfAnotherNode) {
    const Pool pool(node(0), 16);
    const Region region = runtime.allocate(12 * kMiB, "test", runtime.on_domain(1));
    std::memset(region.data(), 1, region.bytes());
    const std::vector<NodeId> nodes = nodes_of(region);
    EXPECT_EQ(count_of(nodes, node(1)), nodes.size());
    EXPECT_NE(region.report().backing, Backing::hugetlb_2m);
    EXPECT_EQ(region.report().found.misplaced_bytes, 0U);
    EXPECT_EQ(region.report().steps.empty(), GetParam() == HugePages::never);
}

TEST_P(GuestPages, ComeFromThePoolOfTheirNode) {
    const Pool pool(node(1), 16);
    const Region region = runtime.allocate(12 * kMiB, "test", runtime.on_domain(1));
    std::memset(region.data(), 1, region.bytes());
    const std::vector<NodeId> nodes = nodes_of(region);
    EXPECT_EQ(count_of(nodes, node(1)), nodes.size());
    EXPECT_EQ(region.report().backing == Backing::hugetlb_2m, GetParam() == HugePages::prefer);
}

TEST_P(GuestPages, OfASplitOverAPoolOnOneNodeAreOnTheirNodes) {
    const Pool pool(node(0), 16);
    const Region region = runtime.allocate(domains() * 6 * kMiB, "test", runtime.split([&] {
        std::vector<std::size_t> ends;
        for (std::size_t domain = 0; domain < domains(); ++domain)
            ends.push_back((domain + 1) * 6 * kMiB);
        return ends;
    }()));
    std::memset(region.data(), 1, region.bytes());
    const std::vector<NodeId> nodes = nodes_of(region);
    for (std::size_t domain = 0; domain < domains(); ++domain)
        EXPECT_EQ(count_of(nodes, node(domain)), 6 * kMiB / kPage) << "domain " << domain;
}

// Bound to its node, this would be the out-of-memory killer's.
TEST_P(GuestPages, ThatANodeHasNoRoomForAreOnOthersAndSaid) {
    if (GetParam() == HugePages::prefer) GTEST_SKIP() << "a second time takes half a minute";
    const std::size_t bytes = free_bytes(node(1)) + 48 * kMiB;
    const Region region = runtime.allocate(bytes, "test", runtime.on_domain(1));
    const std::vector<NodeId> nodes = nodes_of(region);
    const std::size_t elsewhere = nodes.size() - count_of(nodes, node(1));
    EXPECT_GE(elsewhere * kPage, 40 * kMiB);
    EXPECT_LT(elsewhere, nodes.size() / 2);
    EXPECT_EQ(region.report().found.misplaced_bytes, elsewhere * kPage);
    EXPECT_THAT(region.report().steps,
                ::testing::Contains(
                    ::testing::HasSubstr("node " + std::to_string(static_cast<int>(node(1))))));
}

// High-bandwidth and far memory is nobody's domain, and can be had by its number.
TEST_P(GuestPages, OfANodeWithoutProcessorsCanBeAskedFor) {
    if (runtime.topology().memory_only.empty()) GTEST_SKIP() << "all nodes have processors";
    for (const MemoryNode& memory : runtime.topology().memory_only) {
        const Region region = runtime.allocate(8 * kMiB, "test", Placement::on(memory.os_node));
        const std::vector<NodeId> nodes = nodes_of(region);
        EXPECT_EQ(count_of(nodes, memory.os_node), nodes.size());
        EXPECT_EQ(region.report().found.misplaced_bytes, 0U);
    }
}

}  // namespace
}  // namespace slidekit::system::pages_test
