// Random streams: fixed numbers, no overlap between names, right distributions within computed
// bounds.
#include <slidekit/system/random.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace slidekit::system::random_test {
namespace {

// From a second implementation, in Python. A change here changes every model: it is a decision.
TEST(Stream, GoldenValues) {
    Stream plain(1, Purpose::initial_weights);
    EXPECT_EQ(plain(), 0x43dc01a311fe64a6U);
    EXPECT_EQ(plain(), 0x1703a5db35211958U);
    EXPECT_EQ(plain(), 0xd2575bc3b3f3f0f2U);
    Stream indexed(1, Purpose::shuffle, 7, 3);
    EXPECT_EQ(indexed(), 0x58aa6907bf083ffaU);
    EXPECT_EQ(indexed(), 0x79fd0f792afebc02U);
    EXPECT_EQ(indexed(), 0x7cf10ac8b06655a3U);
}

TEST(Stream, IsAConstant) {
    constexpr std::uint64_t kFirst = Stream(1, Purpose::initial_weights)();
    static_assert(kFirst == 0x43dc01a311fe64a6U);
}

TEST(Stream, NeighbouringNamesShareNoNumbers) {
    std::set<std::uint64_t> seen;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
        for (const Purpose purpose : {Purpose::initial_weights, Purpose::shuffle, Purpose::test}) {
            for (std::uint64_t index = 0; index < 4; ++index) {
                for (std::uint64_t subindex = 0; subindex < 4; ++subindex) {
                    Stream stream(seed, purpose, index, subindex);
                    for (int draw = 0; draw < 50; ++draw) seen.insert(stream());
                }
            }
        }
    }
    EXPECT_EQ(seen.size(), 4U * 3 * 4 * 4 * 50);
}

// Two neighbours would correlate if the key were used as it is; 5 standard errors of a product of
// uniforms.
TEST(Stream, NeighbouringIndicesAreUncorrelated) {
    constexpr int kDraws = 20'000;
    Stream left(5, Purpose::test, 1);
    Stream right(5, Purpose::test, 2);
    double sum = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
        sum += (static_cast<double>(left.uniform()) - 0.5) *
               (static_cast<double>(right.uniform()) - 0.5);
    }
    EXPECT_LT(std::abs(sum / kDraws), 5 * (1.0 / 12) / std::sqrt(kDraws));
}

// Chi-square with 96 degrees of freedom is under 96 + 5 * sqrt(2 * 96) = 165 but once in some 10^5
// seeds.
TEST(Stream, BelowIsUniform) {
    constexpr std::uint32_t kBound = 97;
    constexpr double kDraws = 97'000;
    std::array<double, kBound> counts{};
    Stream stream(11, Purpose::test);
    for (int draw = 0; draw < static_cast<int>(kDraws); ++draw) counts[stream.below(kBound)] += 1;
    double chi_square = 0;
    for (const double count : counts)
        chi_square += (count - kDraws / kBound) * (count - kDraws / kBound);
    EXPECT_LT(chi_square / (kDraws / kBound), 165);
}

TEST(Stream, BelowKeepsItsBound) {
    Stream stream(12, Purpose::test);
    for (int draw = 0; draw < 100; ++draw) EXPECT_EQ(stream.below(1), 0U);
    std::uint32_t largest = 0;
    for (int draw = 0; draw < 100; ++draw) largest = std::max(largest, stream.below(0xffffffffU));
    EXPECT_GT(largest, 0xe0000000U);
    EXPECT_LT(largest, 0xffffffffU);
}

TEST(Stream, UniformIsInTheHalfOpenUnitInterval) {
    Stream stream(13, Purpose::test);
    double sum = 0;
    for (int draw = 0; draw < 100'000; ++draw) {
        const float value = stream.uniform();
        ASSERT_GE(value, 0.0F);
        ASSERT_LT(value, 1.0F);
        sum += static_cast<double>(value);
    }
    EXPECT_NEAR(sum / 100'000, 0.5, 5 * std::sqrt(1.0 / 12 / 100'000));
}

// Five standard errors for each moment: var(z) = 1, var(z^2) = 2, var(z^3) = 15, var(z^4) = 96.
TEST(Stream, NormalHasTheMomentsOfANormal) {
    constexpr int kDraws = 200'000;
    Stream stream(14, Purpose::test);
    std::array<double, 5> moments{};
    for (int draw = 0; draw < kDraws; ++draw) {
        const double value = static_cast<double>(stream.normal());
        ASSERT_TRUE(std::isfinite(value));
        for (int power = 1; power <= 4; ++power)
            moments[static_cast<std::size_t>(power)] += std::pow(value, power) / kDraws;
    }
    const double error = 5 / std::sqrt(kDraws);
    EXPECT_NEAR(moments[1], 0, error);
    EXPECT_NEAR(moments[2], 1, error * std::sqrt(2));
    EXPECT_NEAR(moments[3], 0, error * std::sqrt(15));
    EXPECT_NEAR(moments[4], 3, error * std::sqrt(96));
}

TEST(Stream, NormalRepeats) {
    Stream first(15, Purpose::test);
    Stream second(15, Purpose::test);
    for (int draw = 0; draw < 100; ++draw) EXPECT_EQ(first.normal(), second.normal());
}

TEST(Stream, ServesStandardAlgorithms) {
    std::vector<int> values = {1, 2, 3, 4, 5, 6, 7, 8};
    std::shuffle(values.begin(), values.end(), Stream(16, Purpose::shuffle));
    EXPECT_TRUE(std::is_permutation(
        values.begin(), values.end(), std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8}.begin()));
}

}  // namespace
}  // namespace slidekit::system::random_test
