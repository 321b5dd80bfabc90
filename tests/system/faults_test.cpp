// Memory as it is refused by containers, limits and empty pools: each works less well and says so,
// or is one clear error.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>
#include <slidekit/system/runtime.hpp>

#include "child.hpp"
#include "deny.hpp"
#include "sanitized.hpp"
#include "system/found_pages.hpp"
#include "system/limits.hpp"
#include "system/pages.hpp"

namespace slidekit::system::faults_test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using testing::exit_code_in_child;
using ::testing::HasSubstr;

constexpr std::size_t kMiB = std::size_t{1} << 20;

NodeId first_node() {
    const NodeId node = Topology::detect().domains.front().os_node;
    return node == NodeId::unknown ? NodeId{0} : node;
}

std::string refusal(const RegionSpec& spec) {
    try {
        const Region region(spec);
        return {};
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::memory);
        return error.what();
    }
}

bool is_usable(const Region& region) {
    const auto bytes = region.as<std::uint8_t>();
    const bool zero = std::all_of(bytes.begin(), bytes.end(), [](auto byte) { return byte == 0; });
    std::fill(bytes.begin(), bytes.end(), std::uint8_t{1});
    return zero;
}

// ---- system calls that a container or a kernel does not give ----

struct Denial {
    int error;
    const char* words;  // in the report
};
class Denied : public ::testing::TestWithParam<Denial> {
protected:
    // A body's exit code where the kernel's NUMA calls fail.
    [[nodiscard]] static int run(const std::function<int()>& body) {
        return exit_code_in_child([&] {
            if (!testing::deny({SYS_mbind, SYS_set_mempolicy, SYS_get_mempolicy, SYS_move_pages},
                               GetParam().error))
                return 77;
            const int code = body();
            return ::testing::Test::HasFailure() ? 1 : code;
        });
    }
};
INSTANTIATE_TEST_SUITE_P(
    Calls, Denied, ::testing::Values(Denial{EPERM, "CAP_SYS_NICE"}, Denial{ENOSYS, "CONFIG_NUMA"}));

TEST_P(Denied, RegionsWorkAndSayHowTheyWerePlaced) {
    const int code = run([] {
        const Region region(
            {.bytes = 8 * kMiB, .tag = "test", .placement = Placement::on(first_node())});
        EXPECT_TRUE(is_usable(region));
        EXPECT_THAT(region.report().steps,
                    Contains(AllOf(HasSubstr("mbind: "),
                                   HasSubstr(GetParam().words),
                                   HasSubstr("first touch of the calling thread"))));
        EXPECT_NE(region.report().found.verified, Verified::move_pages);
        EXPECT_NE(region.report().found.verified, Verified::unknown);
        return 0;
    });
    if (code == 77) GTEST_SKIP() << "this kernel has no seccomp filters";
    EXPECT_EQ(code, 0);
}

TEST_P(Denied, PagesAreFoundBySumsAlone) {
    const int code = run([] {
        const Region region({.bytes = 4 * kMiB, .tag = "test", .huge_pages = HugePages::never});
        const std::vector<detail::Part> parts = {{0, 4 * kMiB, {}}};
        const FoundPages pages =
            detail::find_by_move_pages(region.data(), parts, detail::base_page());
        EXPECT_EQ(pages.verified, Verified::unknown);
        EXPECT_EQ(pages.unverified_bytes, 4 * kMiB);
        EXPECT_EQ(detail::find_by_numa_maps(region.data(), parts).unverified_bytes, 0U);
        return 0;
    });
    if (code == 77) GTEST_SKIP() << "this kernel has no seccomp filters";
    EXPECT_EQ(code, 0);
}

TEST_P(Denied, ARuntimeTrainsOnWhatItGets) {
    const int code = run([] {
        // One a node or more: a domain joined of several names no node for its memory.
        const auto nodes = static_cast<unsigned>(Topology::detect().domains.size());
        Runtime runtime({.threads = 2, .domains = std::max(2U, nodes)});
        std::vector<std::size_t> ends(runtime.topology().domains.size(), 6 * kMiB);
        ends.front() = kMiB;
        const Region split = runtime.allocate(6 * kMiB, "split", runtime.split(ends));
        const Region all = runtime.allocate(6 * kMiB, "interleaved", runtime.interleaved());
        EXPECT_TRUE(is_usable(split));
        EXPECT_TRUE(is_usable(all));
        for (const RegionReport& report : runtime.reports())
            EXPECT_THAT(report.steps, Contains(HasSubstr("first touch of threads there")));
        return 0;
    });
    if (code == 77) GTEST_SKIP() << "this kernel has no seccomp filters";
    EXPECT_EQ(code, 0);
}

TEST(RequiredPlacement, OnANodeThatIsMissingIsRefusedWithTheReason) {
    for (const HugePages pages : {HugePages::prefer, HugePages::never}) {
        EXPECT_THAT(refusal({.bytes = 4 * kMiB,
                             .tag = "weights",
                             .huge_pages = pages,
                             .placement = Placement::on(NodeId{900}),
                             .placement_strictness = Strictness::require}),
                    AllOf(HasSubstr("weights: placement is required"),
                          HasSubstr("node 900: "),
                          HasSubstr("no such node")));
    }
}

// The pool with so many pages; as it was afterwards.
class Pool {
public:
    explicit Pool(std::size_t pages) : before_(read()) {
        write(pages);
        usable_ = read() == pages && detail::read_number(kFolder / "free_hugepages") == pages;
    }
    ~Pool() { write(before_); }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    [[nodiscard]] bool usable() const { return usable_; }

private:
    inline static const std::filesystem::path kFolder = "/sys/kernel/mm/hugepages/hugepages-2048kB";
    [[nodiscard]] static std::size_t read() {
        return detail::read_number(kFolder / "nr_hugepages").value_or(0);
    }
    static void write(std::size_t pages) { std::ofstream(kFolder / "nr_hugepages") << pages; }

    std::size_t before_;
    bool usable_ = false;
};

// ---- limits ----

// A group of its own for what is run in it; gone afterwards.
class MemoryGroup {
public:
    explicit MemoryGroup(std::size_t bytes) {
        const detail::Cgroup own = detail::find_cgroup("memory");
        if (own.levels.empty()) return;
        const std::filesystem::path parent = own.levels.front();
        if (own.unified) std::ofstream(parent / "cgroup.subtree_control") << "+memory";
        folder_ = parent / ("slidekit-test-" + std::to_string(::getpid()));
        std::error_code error;
        std::filesystem::create_directory(folder_, error);
        std::ofstream limit(folder_ / (own.unified ? "memory.max" : "memory.limit_in_bytes"));
        usable_ = static_cast<bool>(limit << bytes << std::flush);
    }
    ~MemoryGroup() { ::rmdir(folder_.c_str()); }
    MemoryGroup(const MemoryGroup&) = delete;
    MemoryGroup& operator=(const MemoryGroup&) = delete;

    [[nodiscard]] bool usable() const { return usable_; }
    [[nodiscard]] bool enter() const {
        std::ofstream members(folder_ / "cgroup.procs");
        return static_cast<bool>(members << ::getpid() << std::flush);
    }

private:
    std::filesystem::path folder_;
    bool usable_ = false;
};

TEST(MemoryLimit, OfACgroupRefusesWhatTheKernelWouldKill) {
    if (testing::kSanitized) GTEST_SKIP() << "a sanitizer's own memory is over the limit";
    const Pool none(0);  // its pages are outside of the limit
    const MemoryGroup group(64 * kMiB);
    if (!group.usable()) GTEST_SKIP() << "this process may not make a cgroup with a memory limit";
    EXPECT_EQ(exit_code_in_child([&] {
                  if (!group.enter()) return 1;
                  for (const HugePages pages : {HugePages::prefer, HugePages::never}) {
                      EXPECT_THAT(
                          refusal({.bytes = 96 * kMiB, .tag = "weights", .huge_pages = pages}),
                          AllOf(HasSubstr("weights: 100663296 bytes"),
                                HasSubstr("the cgroup's memory limit"),
                                HasSubstr("raise memory.max")));
                  }
                  EXPECT_TRUE(is_usable(Region({.bytes = 16 * kMiB, .tag = "small"})));
                  return ::testing::Test::HasFailure() ? 2 : 0;
              }),
              0);
}

// ---- pools of huge pages ----

detail::Mapping map_huge(std::size_t bytes, int flags) {
    void* const start = ::mmap(nullptr,
                               bytes,
                               PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | flags,
                               -1,
                               0);
    return start == MAP_FAILED ? detail::Mapping() : detail::Mapping(start, bytes);
}

TEST(HugePool, IsUsedWhereThereIsOne) {
    const Pool pool(4);
    if (!pool.usable()) GTEST_SKIP() << "this process may not make a pool of huge pages";
    const Region region({.bytes = 7 * kMiB, .tag = "test", .huge_pages = HugePages::require});
    EXPECT_EQ(region.report().backing, Backing::hugetlb_2m);
    EXPECT_EQ(region.report().huge_bytes, 8 * kMiB);
    EXPECT_TRUE(region.report().steps.empty());
    EXPECT_EQ(region.report_now().found.unverified_bytes, 0U);
    EXPECT_TRUE(is_usable(region));
}

TEST(HugePool, ThatOthersHaveReservedIsAStepDown) {
    const Pool pool(4);
    if (!pool.usable()) GTEST_SKIP() << "this process may not make a pool of huge pages";
    const detail::Mapping other = map_huge(6 * kMiB, 0);  // reserved, not yet touched
    ASSERT_NE(other.start(), nullptr);
    const Region region({.bytes = 8 * kMiB, .tag = "test"});
    EXPECT_NE(region.report().backing, Backing::hugetlb_2m);
    ASSERT_FALSE(region.report().steps.empty());
    EXPECT_THAT(region.report().steps[0],
                HasSubstr("hugetlb 2M: 1 of 4 pages are free (sysctl vm.nr_hugepages=7)"));
    EXPECT_TRUE(is_usable(region));
}

TEST(HugePool, ThatRunsDryWhilePopulatingIsAnErrno) {
    const Pool pool(2);
    if (!pool.usable()) GTEST_SKIP() << "this process may not make a pool of huge pages";
    const detail::Mapping other = map_huge(6 * kMiB, MAP_NORESERVE);  // a touch would be SIGBUS
    ASSERT_NE(other.start(), nullptr);
    EXPECT_NE(detail::populate(other.start(), 6 * kMiB), 0);
}

TEST(HugePool, OfGiganticPagesIsTriedFirstAndOnlyWhereWanted) {
    const std::size_t gib = 1024 * kMiB;
    const bool there = !detail::pool_shortage(detail::kHugetlb1G, 1);
    const Pool none(0);
    if (!none.usable()) GTEST_SKIP() << "a pool of 2 MiB pages would serve instead";
    const int code = exit_code_in_child([&] {
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
        RegionSpec spec = {.bytes = gib, .tag = "test", .huge_pages = HugePages::require};
        EXPECT_THAT(refusal(spec), ::testing::Not(HasSubstr("hugetlb 1G")));
        spec.gigantic_pages = true;
        if (there) {
            EXPECT_EQ(Region(spec).report().backing, Backing::hugetlb_1g);
        } else {
            EXPECT_THAT(refusal(spec), HasSubstr("hugetlb 1G: 0 of 1 pages are free (echo 1 > "));
        }
        spec.bytes = 4 * kMiB;
        EXPECT_THAT(refusal(spec), ::testing::Not(HasSubstr("hugetlb 1G")));
        return ::testing::Test::HasFailure() ? 1 : 0;
    });
    EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace slidekit::system::faults_test
