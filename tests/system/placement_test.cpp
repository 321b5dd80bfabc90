// The parts of a region, what nodes and pools lack, and where pages are found.
#include "system/placement.hpp"

#include <sys/mman.h>

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/region.hpp>

#include "fake_root.hpp"
#include "system/found_pages.hpp"
#include "system/pages.hpp"

namespace slidekit::system::detail::placement_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr NodeId kNode0{0};
constexpr NodeId kNode1{1};
constexpr NodeId kNowhere{900};
constexpr std::size_t kMiB = std::size_t{1} << 20;

// begin, end and nodes of each part
std::string text_of(const std::vector<Part>& parts) {
    std::string text;
    for (const Part& part : parts) {
        text += fmt::format("{}-{} on", part.begin, part.end);
        for (const NodeId node : part.nodes) text += fmt::format(" {}", static_cast<int>(node));
        text += "; ";
    }
    return text;
}

TEST(PartsOf, EachPolicyCoversTheRegion) {
    EXPECT_EQ(text_of(parts_of({}, 8192, 4096)), "0-8192 on; ");
    EXPECT_EQ(text_of(parts_of(Placement::on(kNode1), 8192, 4096)), "0-8192 on 1; ");
    EXPECT_EQ(text_of(parts_of(Placement::on(NodeId::unknown), 8192, 4096)), "0-8192 on; ");
    EXPECT_EQ(text_of(parts_of(Placement::interleaved({kNode0, kNode1}), 8192, 4096)),
              "0-8192 on 0 1; ");
}

TEST(PartsOf, APageOverACutBelongsToThePartThatItBeginsIn) {
    const auto split = [](std::size_t cut, std::size_t page) {
        return text_of(parts_of(Placement::split({kNode0, kNode1}, {cut, 20000}), 20480, page));
    };
    EXPECT_EQ(split(8192, 4096), "0-8192 on 0; 8192-20480 on 1; ");
    EXPECT_EQ(split(8193, 4096), "0-12288 on 0; 12288-20480 on 1; ");
    EXPECT_EQ(split(0, 4096), "0-20480 on 1; ");
    EXPECT_EQ(split(1, 20480), "0-20480 on 0; ");
    EXPECT_EQ(split(99999, 4096), "0-20480 on 0; ");
}

TEST(PartsOf, NeighboursOnOneNodeAreOnePart) {
    const Placement placement =
        Placement::split({kNode0, kNode0, NodeId::unknown, kNode1}, {4096, 8192, 12288, 16384});
    EXPECT_EQ(text_of(parts_of(placement, 16384, 4096)),
              "0-8192 on 0; 8192-12288 on; "
              "12288-16384 on 1; ");
}

TEST(NodeShortages, NameEachNodeWithItsFigures) {
    const slidekit::testing::FakeRoot machine;
    machine.write("sys/devices/system/node/node0/meminfo", "Node 0 MemFree:      102400 kB\n");
    machine.write("sys/devices/system/node/node1/meminfo",
                  "Node 1 MemTotal:    999999 kB\nNode 1 MemFree:      10240 kB\n"
                  "Node 1 Active(file):    2048 kB\nNode 1 Inactive(file):    4096 kB\n"
                  "Node 1 SReclaimable:     1024 kB\n");
    const std::vector<Part> small = {{0, 8 * kMiB, {kNode0, kNode1}}};
    EXPECT_THAT(node_shortages(small, machine.root()), ElementsAre());
    const std::vector<Part> large = {
        {0, 64 * kMiB, {kNode0}}, {64 * kMiB, 96 * kMiB, {kNode1}}, {96 * kMiB, 97 * kMiB, {}}};
    EXPECT_THAT(node_shortages(large, machine.root()),
                ElementsAre(AllOf(HasSubstr("node 1: 34.0 MiB needed"),
                                  HasSubstr("10.0 MiB free and 7.0 MiB of page cache"),
                                  HasSubstr("drop_caches"))));
    EXPECT_THAT(node_shortages(std::vector<Part>{{0, 4096, {kNowhere}}}, machine.root()),
                ElementsAre(HasSubstr("node 900: there is no such node")));
}

TEST(PoolShortage, CountsWhatIsFreeAndNotReserved) {
    const slidekit::testing::FakeRoot machine;
    const std::string pool = "sys/kernel/mm/hugepages/hugepages-2048kB/";
    machine.write(pool + "nr_hugepages", "10\n");
    machine.write(pool + "free_hugepages", "8\n");
    machine.write(pool + "resv_hugepages", "3\n");
    EXPECT_FALSE(pool_shortage(kHugetlb2M, 5, machine.root()));
    EXPECT_EQ(pool_shortage(kHugetlb2M, 6, machine.root()),
              "hugetlb 2M: 5 of 6 pages are free (sysctl vm.nr_hugepages=11)");
    EXPECT_THAT(pool_shortage(kHugetlb1G, 1, machine.root()).value_or(""),
                AllOf(HasSubstr("hugetlb 1G: 0 of 1 pages are free (echo 1 > "),
                      HasSubstr("hugepages-1048576kB/nr_hugepages)")));
}

TEST(PoolShortage, OfANodeHasTheNodesFigures) {
    const slidekit::testing::FakeRoot machine;
    const std::string pool = "sys/devices/system/node/node1/hugepages/hugepages-2048kB/";
    machine.write(pool + "nr_hugepages", "10\n");
    machine.write(pool + "free_hugepages", "4\n");
    EXPECT_FALSE(pool_shortage(kHugetlb2M, 4, kNode1, machine.root()));
    EXPECT_FALSE(pool_shortage(kHugetlb2M, 4, kNowhere, machine.root()));  // binding tells
    EXPECT_THAT(pool_shortage(kHugetlb2M, 6, kNode1, machine.root()).value_or(""),
                AllOf(HasSubstr("node 1 has 4 of 6 pages free (echo 12 > "),
                      HasSubstr("node1/hugepages/hugepages-2048kB/nr_hugepages)")));
}

TEST(ThpObstacle, NamesTheRemedyWhereTheyAreOff) {
    const slidekit::testing::FakeRoot machine;
    EXPECT_THAT(thp_obstacle(machine.root()).value_or(""), HasSubstr("this kernel has none"));
    const std::string mode = "sys/kernel/mm/transparent_hugepage/enabled";
    machine.write(mode, "always madvise [never]\n");
    EXPECT_THAT(thp_obstacle(machine.root()).value_or(""),
                AllOf(HasSubstr("they are off (echo madvise > "), HasSubstr(mode)));
    machine.write(mode, "always [madvise] never\n");
    EXPECT_FALSE(thp_obstacle(machine.root()));
}

// Two mappings of a region on 4K and huge pages, between those of others.
constexpr const char* kNumaMaps =
    "7f0000000000 default anon=9 N0=9 kernelpagesize_kB=4\n"
    "7f0000400000 prefer:0 anon=512 dirty=512 N0=500 N1=12 kernelpagesize_kB=4\n"
    "7f0000600000 prefer:1 huge anon=1 dirty=1 N1=1 kernelpagesize_kB=2048\n"
    "7f0000800000 default anon=9 N0=9 kernelpagesize_kB=4\n";
// NOLINTNEXTLINE(performance-no-int-to-ptr): an address, never read
const auto* const kStart = reinterpret_cast<const std::byte*>(0x7f0000400000);

TEST(NumaMaps, SumsUpTheMappingsOfTheRegionAlone) {
    const slidekit::testing::FakeRoot machine;
    machine.write("proc/self/numa_maps", kNumaMaps);
    const std::vector<Part> parts = {{0, 2 * kMiB, {kNode0}}, {2 * kMiB, 4 * kMiB, {kNode1}}};
    const FoundPages found = find_by_numa_maps(kStart, parts, machine.root());
    EXPECT_EQ(found.verified, Verified::numa_maps);
    ASSERT_EQ(found.nodes.size(), 2U);
    EXPECT_EQ(found.nodes[0].bytes, 500 * 4096U);
    EXPECT_EQ(found.nodes[1].bytes, 2 * kMiB + 12 * 4096U);
    EXPECT_EQ(found.misplaced_bytes, 12 * 4096U);
    EXPECT_EQ(found.unverified_bytes, 0U);
    EXPECT_EQ(find_by_numa_maps(
                  kStart, std::vector<Part>{{0, 4 * kMiB, {kNode0, kNode1}}}, machine.root())
                  .misplaced_bytes,
              0U);
    EXPECT_EQ(find_by_numa_maps(kStart, std::vector<Part>{{0, 8 * kMiB, {}}}, machine.root())
                  .unverified_bytes,
              4 * kMiB - 9 * 4096U);
}

TEST(NumaMaps, WithoutThemNothingIsKnown) {
    const slidekit::testing::FakeRoot machine;
    const std::vector<Part> parts = {{0, 4 * kMiB, {kNode0}}};
    const FoundPages found = find_by_numa_maps(kStart, parts, machine.root());
    EXPECT_EQ(found.verified, Verified::unknown);
    EXPECT_EQ(found.unverified_bytes, 4 * kMiB);
    EXPECT_THAT(misplacement(found, parts), HasSubstr("is not told by move_pages or numa_maps"));
}

class FindPages : public ::testing::Test {
protected:
    void SetUp() override {
        if (find_by_move_pages(region.data(), whole, base_page()).verified == Verified::unknown)
            GTEST_SKIP() << "move_pages is not permitted here";
    }
    Region region{{.bytes = 64 * kMiB, .tag = "test", .huge_pages = HugePages::never}};
    std::vector<Part> whole = {{0, 64 * kMiB, {}}};
};

TEST_F(FindPages, SeesEveryPageByEachWay) {
    for (const FoundPages& found : {find_by_move_pages(region.data(), whole, base_page()),
                                    find_by_numa_maps(region.data(), whole)}) {
        std::size_t bytes = 0;
        for (const NodeBytes& node : found.nodes) bytes += node.bytes;
        EXPECT_EQ(bytes, 64 * kMiB) << verified_name(found.verified);
        EXPECT_EQ(found.unverified_bytes, 0U);
        EXPECT_EQ(found.misplaced_bytes, 0U);
        EXPECT_NE(found.verified, Verified::unknown);
    }
}

TEST_F(FindPages, TellsThePagesOfThePartThatIsElsewhere) {
    const std::vector<Part> parts = {{0, 40 * kMiB, {}}, {40 * kMiB, 64 * kMiB, {kNowhere}}};
    const FoundPages exact = find_by_move_pages(region.data(), parts, base_page());
    EXPECT_EQ(exact.misplaced_bytes, 24 * kMiB);
    EXPECT_THAT(
        misplacement(exact, parts),
        AllOf(HasSubstr(std::to_string(24 * kMiB) + " of"), HasSubstr("there is no node 900")));
    const std::vector<Part> other = {{0, 64 * kMiB, {kNowhere}}};
    EXPECT_EQ(find_by_numa_maps(region.data(), other).misplaced_bytes, 64 * kMiB);
    EXPECT_EQ(misplacement(find_by_move_pages(region.data(), whole, base_page()), whole), "");
}

TEST_F(FindPages, PagesThatWereNeverTouchedAreUnknown) {
    Mapping mapping(
        ::mmap(nullptr, 64 * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        64 * kMiB);
    ASSERT_EQ(populate_or_touch(mapping.start() + kMiB, base_page()), 0);
    const std::vector<Part> parts = {{0, 64 * kMiB, {kNode0, kNode1, NodeId{2}, NodeId{3}}}};
    const FoundPages found = find_by_move_pages(mapping.start(), parts, base_page());
    EXPECT_GE(found.unverified_bytes, 60 * kMiB);
    EXPECT_LT(found.unverified_bytes, 64 * kMiB);
    EXPECT_THAT(misplacement(found, parts), HasSubstr("is not told by move_pages"));
}

}  // namespace
}  // namespace slidekit::system::detail::placement_test
