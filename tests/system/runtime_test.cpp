// The runtime: one thread count, one page policy, and a list of what was got.
#include <slidekit/system/runtime.hpp>

#include <atomic>
#include <utility>

#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>

namespace slidekit::system::runtime_test {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(Runtime, KeepsTheReportsOfItsRegions) {
    Runtime runtime({.threads = 2, .huge_pages = HugePages::never});
    const Region weights = runtime.allocate(3 * kMiB, "weights");
    const Region nothing = runtime.allocate(0, "nothing");
    ASSERT_EQ(runtime.reports().size(), 2U);
    EXPECT_EQ(runtime.reports()[0].tag, "weights");
    EXPECT_EQ(runtime.reports()[0].bytes, 3 * kMiB);
    EXPECT_EQ(runtime.reports()[0].backing, Backing::base_4k);
    EXPECT_EQ(runtime.reports()[1].tag, "nothing");
}

TEST(Runtime, ARefusalLeavesNoReport) {
    Runtime runtime({.threads = 1});
    EXPECT_THROW(static_cast<void>(runtime.allocate(std::size_t{1} << 60, "too much")), Error);
    EXPECT_TRUE(runtime.reports().empty());
}

TEST(Runtime, WorksAfterAMove) {
    Runtime first({.threads = 2});
    Runtime runtime(std::move(first));
    EXPECT_EQ(runtime.executor().threads(), 2U);
    EXPECT_FALSE(runtime.topology().domains.empty());
    std::atomic<int> runs = 0;
    runtime.executor().for_each(10, [&](std::size_t, Worker) { ++runs; });
    EXPECT_EQ(runs.load(), 10);
}

}  // namespace
}  // namespace slidekit::system::runtime_test
