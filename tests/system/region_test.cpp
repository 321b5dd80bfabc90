// Regions: what is got and reported on each rung, and refusals that leave nothing behind.
#include <slidekit/system/region.hpp>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>

#include "child.hpp"
#include "sanitized.hpp"

namespace slidekit::system::region_test {
namespace {

using ::testing::AllOf;
using testing::exit_code_in_child;
using ::testing::HasSubstr;

constexpr std::size_t kMiB = std::size_t{1} << 20;

bool hugetlb_pool_is_empty() {
    std::ifstream stream("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    std::size_t pages = 0;
    return !(stream >> pages) || pages == 0;
}

std::size_t mapped_bytes_of_process() {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t physical_memory_bytes() {
    return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
           static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// The text of the refusal; empty where there was none.
std::string refusal(const RegionSpec& spec) {
    try {
        const Region region(spec);
        return {};
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::memory);
        EXPECT_EQ(error.where(), spec.tag);
        return error.what();
    }
}

class EachSize : public ::testing::TestWithParam<std::tuple<std::size_t, HugePages>> {};
INSTANTIATE_TEST_SUITE_P(
    Region,
    EachSize,
    ::testing::Combine(::testing::Values(1, 63, 4096, 4097, 2 * kMiB - 1, 2 * kMiB, 5 * kMiB + 3),
                       ::testing::Values(HugePages::prefer, HugePages::never)));

TEST_P(EachSize, IsZeroedAlignedAndWritable) {
    const auto [bytes, pages] = GetParam();
    const Region region({.bytes = bytes, .tag = "test", .huge_pages = pages});
    EXPECT_EQ(region.bytes(), bytes);
    EXPECT_GE(region.report().mapped_bytes, bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(region.data()) % (bytes >= 2 * kMiB ? 2 * kMiB : 64),
              0U);
    const auto all = region.as<std::uint8_t>();
    EXPECT_EQ(all.size(), bytes);
    EXPECT_TRUE(std::all_of(all.begin(), all.end(), [](std::uint8_t byte) { return byte == 0; }));
    std::fill(all.begin(), all.end(), std::uint8_t{0xff});
}

TEST_P(EachSize, ReportAgreesWithItself) {
    const auto [bytes, pages] = GetParam();
    const RegionReport report =
        Region({.bytes = bytes, .tag = "test", .huge_pages = pages}).report();
    EXPECT_EQ(report.tag, "test");
    EXPECT_LE(report.huge_bytes, report.mapped_bytes);
    EXPECT_EQ(report.huge_bytes == 0, report.backing == Backing::base_4k);
    const bool huge_tried = bytes >= 2 * kMiB && pages == HugePages::prefer;
    // A step down without a reason, or a reason without a step down, is a bug.
    EXPECT_EQ(report.steps.empty(), !huge_tried || report.backing == Backing::hugetlb_2m);
}

TEST(Region, OfNoBytesIsEmpty) {
    const Region region({.bytes = 0, .tag = "nothing", .huge_pages = HugePages::require});
    EXPECT_EQ(region.data(), nullptr);
    EXPECT_TRUE(region.as<float>().empty());
    EXPECT_EQ(region.report().tag, "nothing");
}

TEST(Region, SmallOnesAreOn4KEvenWhereHugePagesAreRequired) {
    const Region region({.bytes = kMiB, .tag = "small", .huge_pages = HugePages::require});
    EXPECT_EQ(region.report().backing, Backing::base_4k);
    EXPECT_TRUE(region.report().steps.empty());
}

TEST(Region, AnEmptyPoolIsAStepDownWithItsRemedy) {
    if (!hugetlb_pool_is_empty()) GTEST_SKIP() << "this machine has a pool of huge pages";
    const Region region({.bytes = 4 * kMiB, .tag = "test"});
    ASSERT_FALSE(region.report().steps.empty());
    EXPECT_THAT(region.report().steps[0],
                AllOf(HasSubstr("hugetlb 2M: 0 of 2"), HasSubstr("sysctl vm.nr_hugepages=")));
}

TEST(Region, StepsDownTo4KWhereThpIsOff) {
    if (!hugetlb_pool_is_empty()) GTEST_SKIP() << "this machine has a pool of huge pages";
    EXPECT_EQ(exit_code_in_child([] {
                  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
                  const Region region({.bytes = 4 * kMiB, .tag = "test"});
                  if (region.report().backing != Backing::base_4k) return 1;
                  return region.report().steps.size() == 2 ? 0 : 2;
              }),
              0);
}

TEST(Region, RequireNamesEveryReason) {
    if (!hugetlb_pool_is_empty()) GTEST_SKIP() << "this machine has a pool of huge pages";
    EXPECT_EQ(
        exit_code_in_child([] {
            prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
            const std::size_t before = mapped_bytes_of_process();
            const std::string text =
                refusal({.bytes = 64 * kMiB, .tag = "weights", .huge_pages = HugePages::require});
            EXPECT_THAT(
                text,
                AllOf(HasSubstr("weights: "), HasSubstr("vm.nr_hugepages="), HasSubstr("thp: ")));
            if (!testing::kSanitized) {
                EXPECT_LT(mapped_bytes_of_process(), before + 32 * kMiB);
            }
            return ::testing::Test::HasFailure() ? 1 : 0;
        }),
        0);
}

TEST(Region, RequireIsKeptOrRefused) {
    try {
        const Region region({.bytes = 4 * kMiB, .tag = "test", .huge_pages = HugePages::require});
        EXPECT_EQ(region.report().huge_bytes, region.report().mapped_bytes);
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("required"));
    }
}

TEST(Region, RefusesMoreThanThereIsWithTheFigures) {
    const std::size_t before = mapped_bytes_of_process();
    // So much that the kernel would refuse as well: were the check broken, the test must not eat
    // the machine.
    const std::size_t bytes = 4 * physical_memory_bytes();
    for (const HugePages pages : {HugePages::prefer, HugePages::never}) {
        EXPECT_THAT(refusal({.bytes = bytes, .tag = "weights", .huge_pages = pages}),
                    AllOf(HasSubstr("weights: " + std::to_string(bytes) + " bytes"),
                          HasSubstr("available by"),
                          HasSubstr("would not fit")));
    }
    if (!testing::kSanitized) {
        EXPECT_LT(mapped_bytes_of_process(), before + 32 * kMiB);
    }
}

TEST(Region, RefusesSizesThatWrapAround) {
    EXPECT_NE(refusal({.bytes = std::numeric_limits<std::size_t>::max(), .tag = "test"}), "");
    EXPECT_NE(refusal({.bytes = std::numeric_limits<std::size_t>::max() / 2 + 1, .tag = "test"}),
              "");
}

TEST(Region, AnAddressSpaceLimitIsAnErrorAndNotACrash) {
    if (testing::kSanitized) GTEST_SKIP() << "a sanitizer's shadow is past any such limit";
    for (const auto& [resource, name] :
         {std::pair{RLIMIT_AS, "RLIMIT_AS"}, std::pair{RLIMIT_DATA, "RLIMIT_DATA"}}) {
        EXPECT_EQ(exit_code_in_child([resource = resource, name = name] {
                      const rlim_t most = mapped_bytes_of_process() + 16 * kMiB;
                      const rlimit limit = {.rlim_cur = most, .rlim_max = most};
                      if (setrlimit(resource, &limit) != 0) return 1;
                      EXPECT_THAT(refusal({.bytes = 256 * kMiB, .tag = "weights"}),
                                  HasSubstr(name));
                      EXPECT_EQ(refusal({.bytes = kMiB, .tag = "small"}), "");
                      return ::testing::Test::HasFailure() ? 2 : 0;
                  }),
                  0);
    }
}

TEST(Region, NeighboursKeepMappingsOfTheirOwn) {
    const Region first({.bytes = 4 * kMiB, .tag = "first"});
    const Region second({.bytes = 4 * kMiB, .tag = "second"});
    for (const Region* region : {&first, &second}) {
        const auto start = reinterpret_cast<std::uintptr_t>(region->data());
        std::ifstream maps("/proc/self/maps");
        std::string line;
        std::size_t found = 0;
        while (std::getline(maps, line)) {
            const std::size_t dash = line.find('-');
            if (std::stoull(line.substr(0, dash), nullptr, 16) != start) continue;
            found = std::stoull(line.substr(dash + 1), nullptr, 16) - start;
        }
        EXPECT_EQ(found, region->report().mapped_bytes);
    }
}

TEST(Region, AWritePastTheMappingFaults) {
    EXPECT_EQ(
        exit_code_in_child([] {
            const rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
            setrlimit(RLIMIT_CORE, &no_core);
            std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would turn it into an exit
            const Region region({.bytes = 3 * kMiB, .tag = "test", .huge_pages = HugePages::never});
            *static_cast<volatile std::byte*>(region.data() + region.report().mapped_bytes) =
                std::byte{1};
            return 0;
        }),
        -1);
}

TEST(Region, AnUnknownNodeIsAStepAndNotAnError) {
    const Region region({.bytes = 4096, .tag = "test", .placement = Placement::on(NodeId{5000})});
    ASSERT_FALSE(region.report().steps.empty());
    EXPECT_THAT(region.report().steps[0], HasSubstr("node 5000"));
    EXPECT_EQ(region.report().found.misplaced_bytes, 4096U);
}

TEST(Region, MoveLeavesTheSourceEmptyAndFreesTheTarget) {
    Region source({.bytes = 4 * kMiB, .tag = "source"});
    std::byte* const data = source.data();
    data[0] = std::byte{42};
    Region moved(std::move(source));
    EXPECT_EQ(moved.data(), data);
    EXPECT_EQ(source.data(), nullptr);  // NOLINT(bugprone-use-after-move): the state is promised
    EXPECT_EQ(source.bytes(), 0U);

    Region target({.bytes = 64 * kMiB, .tag = "target", .huge_pages = HugePages::never});
    const std::size_t before = mapped_bytes_of_process();
    target = std::move(moved);
    EXPECT_EQ(target.data()[0], std::byte{42});
    EXPECT_EQ(target.report().tag, "source");
    EXPECT_LE(mapped_bytes_of_process() + 60 * kMiB, before);
}

TEST(Memory, AvailableIsSaneAndPeakFollowsUse) {
    EXPECT_GT(available_memory_bytes(), 0U);
    EXPECT_LE(available_memory_bytes(), physical_memory_bytes());
    const Region region({.bytes = 32 * kMiB, .tag = "test"});
    EXPECT_GE(peak_rss_bytes(), 32 * kMiB);
}

}  // namespace
}  // namespace slidekit::system::region_test
