// bf16: rounding and its special cases, the law of random rounding, halves, and products of rows.
#include <slidekit/kernels/bf16.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/dot.hpp>

#include "groups.hpp"
#include "guarded_buffer.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::bf16_test {
namespace {

using test::Draw;
using test::Guard;
using test::GuardedBuffer;

class ConvertBf16 : public test::LevelTest {};
class RoundBf16 : public test::LevelTest {};
class DotBf16 : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(ConvertBf16);
SLIDEKIT_ON_EACH_LEVEL(RoundBf16);
SLIDEKIT_ON_EACH_LEVEL(DotBf16);

float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }

std::uint16_t converted(float x) {
    Bf16 out;
    convert_f32_to_bf16(&x, 1, &out);
    return out.bits;
}

std::vector<Bf16> converted(const std::vector<float>& x) {
    std::vector<Bf16> out(x.size());
    convert_f32_to_bf16(x.data(), x.size(), out.data());
    return out;
}

std::vector<float> widened(const std::vector<Bf16>& x) {
    std::vector<float> out(x.size());
    convert_bf16_to_f32(x.data(), x.size(), out.data());
    return out;
}

TEST_P(ConvertBf16, RoundsToNearestEven) {
    EXPECT_EQ(converted(1.0F), 0x3f80);
    EXPECT_EQ(converted(from_bits(0x3f808000)), 0x3f80);  // a tie: down to even
    EXPECT_EQ(converted(from_bits(0x3f818000)), 0x3f82);  // a tie: up to even
    EXPECT_EQ(converted(from_bits(0x3f808001)), 0x3f81);
    EXPECT_EQ(converted(from_bits(0x3f817fff)), 0x3f81);
    EXPECT_EQ(converted(from_bits(0xbf818000)), 0xbf82);
    EXPECT_EQ(converted(-0.0F), 0x8000);
}

TEST_P(ConvertBf16, KeepsTheEndsOfTheRange) {
    EXPECT_EQ(converted(std::numeric_limits<float>::max()), 0x7f80);  // to infinity
    EXPECT_EQ(converted(from_bits(0x7f7f7fff)), 0x7f7f);
    EXPECT_EQ(converted(std::numeric_limits<float>::infinity()), 0x7f80);
    EXPECT_EQ(converted(-std::numeric_limits<float>::infinity()), 0xff80);
    EXPECT_EQ(converted(from_bits(0x00018000)), 0x0002);  // below 2^-126
    EXPECT_EQ(converted(from_bits(0x80010000)), 0x8001);
    EXPECT_EQ(converted(from_bits(0x00000001)), 0x0000);
}

TEST_P(ConvertBf16, LeavesNoNanBehindAsInfinity) {
    EXPECT_EQ(converted(from_bits(0x7f800001)), 0x7fc0);
    EXPECT_EQ(converted(from_bits(0xff800001)), 0xffc0);
    EXPECT_EQ(converted(from_bits(0x7fffffff)), 0x7fff);
    EXPECT_EQ(converted(from_bits(0xffffffff)), 0xffff);
}

TEST_P(ConvertBf16, ReadsBackEveryBf16) {
    std::vector<Bf16> all(65536);
    for (std::uint32_t i = 0; i < 65536; ++i) all[i].bits = static_cast<std::uint16_t>(i);
    const std::vector<float> floats = widened(all);
    const std::vector<Bf16> back = converted(floats);
    for (std::uint32_t i = 0; i < 65536; ++i) {
        const bool is_nan = (i & 0x7fffU) > 0x7f80U;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(floats[i]), i << 16);
        ASSERT_EQ(back[i].bits, is_nan ? i | 0x40U : i);
    }
}

TEST_P(ConvertBf16, JoinsTheHalvesOfAnyBits) {
    Draw draw(1);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t count : test::kTailLengths) {
            const GuardedBuffer<float> x(count, guard), back(count, guard);
            for (float& value : x) value = from_bits(static_cast<std::uint32_t>(draw.bits()));
            const GuardedBuffer<Bf16> high(count, guard);
            const GuardedBuffer<std::uint16_t> low(count, guard);
            split_f32(x.data(), count, high.data(), low.data());
            join_f32(high.data(), low.data(), count, back.data());
            for (std::size_t i = 0; i < count; ++i) {
                const auto bits = std::bit_cast<std::uint32_t>(x[i]);
                ASSERT_EQ(high[i].bits, bits >> 16);
                ASSERT_EQ(low[i], bits & 0xffffU);
                ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]), bits);
            }
        }
    }
}

// Ups among n draws of a number that lies `low` / 2^16 of the way to its neighbour: binomial; five
// standard deviations are exceeded once in two million times, and the seed is fixed.
TEST_P(RoundBf16, RoundsUpAsOftenAsTheRestIsLarge) {
    constexpr std::size_t kCount = 100'000;
    for (const std::uint32_t low : {0U, 1U, 0x1000U, 0x8000U, 0xc000U, 0xffffU}) {
        for (const std::uint32_t sign : {0U, 0x80000000U}) {
            const std::vector<float> x(kCount, from_bits(sign | 0x3f820000U | low));
            std::vector<Bf16> out(kCount);
            round_bf16_stochastic(x.data(), kCount, {.seed = 7, .counter = low}, out.data());
            std::size_t ups = 0;
            for (const Bf16 value : out) {
                ASSERT_EQ(value.bits | 1U, (sign >> 16) | 0x3f83U);
                ups += value.bits & 1U;
            }
            const double p = low / 65536.0;
            EXPECT_NEAR(static_cast<double>(ups), p * kCount, 5 * std::sqrt(kCount * p * (1 - p)));
        }
    }
}

TEST_P(RoundBf16, LeavesInfinityNanAndWhatIsExact) {
    for (std::uint64_t counter = 0; counter < 100; ++counter) {
        const float x[] = {from_bits(0x7f800000),
                           from_bits(0xff800000),
                           0.0F,
                           -0.0F,
                           -1.5F,
                           from_bits(0x7f800001),
                           from_bits(0xffffffff),
                           from_bits(0x00010000)};
        Bf16 out[8];
        round_bf16_stochastic(x, 8, {.seed = 1, .counter = counter}, out);
        const std::uint16_t expected[] = {
            0x7f80, 0xff80, 0, 0x8000, 0xbfc0, 0x7fc0, 0xffff, 0x0001};
        for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(out[i].bits, expected[i]) << i;
    }
}

// A change of these is a decision: runs with random rounding then give other bits.
TEST_P(RoundBf16, DrawsTheBitsItHasAlwaysDrawn) {
    // Half way: the first bit of each number decides.
    const std::vector<float> x(32, from_bits(0x3f808000));
    std::vector<Bf16> out(32);
    const auto ups = [&](BitStream random) {
        round_bf16_stochastic(x.data(), 32, random, out.data());
        std::uint32_t word = 0;
        for (std::size_t i = 0; i < 32; ++i) word |= (out[i].bits & 1U) << i;
        return word;
    };
    EXPECT_EQ(ups({.seed = 0, .counter = 0}), 0x58a390ecU);
    EXPECT_EQ(ups({.seed = 1, .counter = 0}), 0xa888ae9bU);
    EXPECT_EQ(ups({.seed = 1, .counter = 1}), 0x2857e6c0U);
    EXPECT_EQ(ups({.seed = 0x123456789abcdefULL, .counter = 1ULL << 40}), 0xd7388c55U);
}

// Neighbouring counters, as rows of a matrix have them: no pair of streams agrees more often than
// chance, at any small shift.
TEST_P(RoundBf16, GivesNeighbouringStreamsNumbersOfTheirOwn) {
    constexpr std::size_t kCount = 20'000;
    constexpr std::size_t kShifts = 8;
    const std::vector<float> x(kCount, from_bits(0x3f808000));
    std::vector<Bf16> a(kCount), b(kCount);
    for (std::uint64_t counter = 0; counter < 10; ++counter) {
        round_bf16_stochastic(x.data(), kCount, {.seed = 3, .counter = counter}, a.data());
        round_bf16_stochastic(x.data(), kCount, {.seed = 3, .counter = counter + 1}, b.data());
        for (std::size_t shift = 0; shift < kShifts; ++shift) {
            double same = 0;
            for (std::size_t i = 0; i + kShifts < kCount; ++i)
                same += (a[i + shift].bits & 1U) == (b[i].bits & 1U) ? 1 : 0;
            const double n = kCount - kShifts;
            EXPECT_NEAR(same, n / 2, 5 * std::sqrt(n) / 2) << counter << ", " << shift;
        }
    }
}

struct Rows {
    std::vector<Bf16> rows, x;
    std::vector<float> wide_rows, wide_x;
    std::vector<std::uint32_t> ids;
    std::size_t dim;

    static constexpr std::size_t kRows = 50;

    Rows(Draw& draw, std::size_t columns)
        : rows(converted(draw.normals(kRows * columns))),
          x(converted(draw.normals(columns))),
          wide_rows(widened(rows)),
          wide_x(widened(x)),
          ids(75),
          dim(columns) {
        for (auto& id : ids) id = static_cast<std::uint32_t>(draw.below(kRows));
    }
    [[nodiscard]] RowMatrix<const Bf16> view() const { return {rows.data(), kRows, dim, dim}; }

    // Of row i and `with`, and what fp32 sums may be off by.
    struct Exact {
        double sum = 0;
        double bound = 0;
    };
    [[nodiscard]] Exact exact(std::size_t i, const std::vector<float>& with) const {
        Exact out;
        double magnitude = 0;
        for (std::size_t k = 0; k < dim; ++k) {
            const double product = static_cast<double>(with[k]) * wide_rows[ids[i] * dim + k];
            out.sum += product;
            magnitude += std::abs(product);
        }
        out.bound = (static_cast<double>(dim) + 1) * 0x1p-23 * magnitude;
        return out;
    }
};

TEST_P(DotBf16, SumsInFp32) {
    Draw draw(2);
    for (const std::size_t dim : test::kTailLengths) {
        const Rows rows(draw, dim);
        const std::vector<float> x = draw.normals(dim);
        std::vector<float> both(rows.ids.size()), mixed(rows.ids.size());
        dot_rows_bf16(rows.x.data(), rows.view(), rows.ids.data(), both.size(), both.data());
        dot_rows_mixed(x.data(), rows.view(), rows.ids.data(), mixed.size(), mixed.data());
        for (std::size_t i = 0; i < rows.ids.size(); ++i) {
            const Rows::Exact exact = rows.exact(i, rows.wide_x);
            ASSERT_NEAR(both[i], exact.sum, exact.bound) << "dim " << dim;
            const Bf16* row = rows.view().row(rows.ids[i]);
            ASSERT_NEAR(dot_bf16(rows.x.data(), row, dim), exact.sum, exact.bound) << "dim " << dim;
            const Rows::Exact with_floats = rows.exact(i, x);
            ASSERT_NEAR(mixed[i], with_floats.sum, with_floats.bound) << "dim " << dim;
        }
    }
}

TEST_P(DotBf16, GivesTheSameBitsAloneAndBesideOthers) {
    Draw draw(3);
    for (const std::size_t dim : {100U, 128U}) {
        const Rows rows(draw, dim);
        std::vector<float> both(rows.ids.size()), mixed(rows.ids.size());
        dot_rows_bf16(rows.x.data(), rows.view(), rows.ids.data(), both.size(), both.data());
        dot_rows_mixed(
            rows.wide_x.data(), rows.view(), rows.ids.data(), mixed.size(), mixed.data());
        for (std::size_t i = 0; i < rows.ids.size(); ++i) {
            float alone = 0;
            dot_rows_bf16(rows.x.data(), rows.view(), &rows.ids[i], 1, &alone);
            EXPECT_EQ(alone, both[i]) << "dim " << dim;
            dot_rows_mixed(rows.wide_x.data(), rows.view(), &rows.ids[i], 1, &alone);
            EXPECT_EQ(alone, mixed[i]) << "dim " << dim;
        }
    }
}

// The level's own instruction is known by the numbers that it takes for zeros.
TEST_P(DotBf16, TakesTinyNumbersForZerosAtItsOwnLevelOnly) {
    const Bf16 tiny{0x0040}, large{0x7f00};  // 2^-127, 2^127
    EXPECT_EQ(dot_bf16(&tiny, &large, 1), GetParam() == Isa::avx512bf16 ? 0.0F : 1.0F);
}

TEST_P(DotBf16, GivesGroupsWhatItGivesRows) {
    Draw draw(4);
    const test::RandomGroups groups(
        draw, {.rows = Rows::kRows, .groups = 25, .vectors = 11, .most_members = 9});
    for (const std::size_t dim : {5U, 100U, 128U, 130U}) {
        const Rows rows(draw, dim);
        const std::vector<Bf16> vectors = converted(draw.normals(11 * dim));
        const std::vector<float> wide = widened(vectors);
        const std::vector<float> bias = draw.normals(Rows::kRows);
        std::vector<float> both(groups.slots()), mixed(groups.slots());
        dot_groups_bf16(
            groups.view(), rows.view(), bias.data(), {vectors.data(), 11, dim, dim}, both.data());
        dot_groups_mixed(
            groups.view(), rows.view(), nullptr, {wide.data(), 11, dim, dim}, mixed.data());
        groups.for_each_pair([&](std::uint32_t row, Member member) {
            float expected = 0;
            dot_rows_bf16(&vectors[member.vector * dim], rows.view(), &row, 1, &expected);
            EXPECT_EQ(both[member.slot], expected + bias[row]) << "dim " << dim;
            EXPECT_NEAR(mixed[member.slot], expected, 1e-4) << "dim " << dim;
        });
    }
}

TEST_P(DotBf16, AddsUpBagsInFp32) {
    Draw draw(5);
    for (const std::size_t dim : test::kTailLengths) {
        const Rows rows(draw, dim);
        const std::vector<float> values = draw.normals(rows.ids.size());
        std::vector<float> out = draw.normals(dim);
        const std::vector<float> before = out;
        bag_rows_bf16({rows.ids.data(), values.data(), values.size()}, rows.view(), out.data());
        for (std::size_t k = 0; k < dim; ++k) {
            double sum = before[k], magnitude = std::abs(sum);
            for (std::size_t i = 0; i < values.size(); ++i) {
                const double product =
                    static_cast<double>(values[i]) * rows.wide_rows[rows.ids[i] * dim + k];
                sum += product;
                magnitude += std::abs(product);
            }
            ASSERT_NEAR(out[k], sum, 76 * 0x1p-23 * magnitude) << "dim " << dim;
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::bf16_test
