// Held-out points: a share of them, the same for a seed, whatever the number of points.
#include <slidekit/data/split.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace slidekit::data::split_test {
namespace {

using Points = std::vector<std::uint32_t>;

TEST(Split, EachPointIsInOnePart) {
    const Split split = split_points(1000, 0.3, 1);
    Points all = split.kept;
    all.insert(all.end(), split.held_out.begin(), split.held_out.end());
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all.size(), 1000U);
    for (std::uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(all[i], i);
    EXPECT_TRUE(std::is_sorted(split.kept.begin(), split.kept.end()));
    EXPECT_TRUE(std::is_sorted(split.held_out.begin(), split.held_out.end()));
}

TEST(Split, HoldsOutAboutTheShare) {
    for (const double share : {0.0, 0.01, 0.25, 0.9}) {
        const auto held_out = static_cast<double>(split_points(40'000, share, 5).held_out.size());
        EXPECT_NEAR(held_out, 40'000 * share, 400) << share;  // four deviations at 1/4: 346
    }
    EXPECT_TRUE(split_points(40'000, 0, 5).held_out.empty());
}

TEST(Split, DependsOnSeedAndPointOnly) {
    const Points out = split_points(500, 0.2, 7).held_out;
    EXPECT_NE(out, split_points(500, 0.2, 8).held_out);
    const Points of_more = split_points(900, 0.2, 7).held_out;
    ASSERT_GT(of_more.size(), out.size());
    EXPECT_TRUE(std::equal(out.begin(), out.end(), of_more.begin()));
    const Points larger_share = split_points(500, 0.4, 7).held_out;
    EXPECT_TRUE(std::includes(larger_share.begin(), larger_share.end(), out.begin(), out.end()));
}

}  // namespace
}  // namespace slidekit::data::split_test
