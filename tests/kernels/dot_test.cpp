// Inner products against sums in double precision.
#include <slidekit/kernels/dot.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "groups.hpp"
#include "guarded_buffer.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::dot_test {
namespace {

using test::Draw;
using test::Guard;
using test::GuardedBuffer;
using test::GuardedMatrix;

struct ExactDot {
    double sum = 0;
    double magnitude = 0;

    ExactDot(const float* x, const float* y, std::size_t dim) {
        for (std::size_t k = 0; k < dim; ++k) {
            const double product = static_cast<double>(x[k]) * static_cast<double>(y[k]);
            sum += product;
            magnitude += std::abs(product);
        }
        bound = (static_cast<double>(dim) + 1) * std::numeric_limits<float>::epsilon() * magnitude;
    }
    double bound = 0;
};

class Dot : public test::LevelTest {};
class DotRows : public test::LevelTest {};
class DotRowsI8 : public test::LevelTest {};
class DotGroups : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(Dot);
SLIDEKIT_ON_EACH_LEVEL(DotRows);
SLIDEKIT_ON_EACH_LEVEL(DotRowsI8);
SLIDEKIT_ON_EACH_LEVEL(DotGroups);

TEST_P(Dot, AgreesWithExactSumOnEveryTail) {
    Draw draw(1);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            const GuardedBuffer<float> x(draw.normals(dim), guard);
            const GuardedBuffer<float> y(draw.normals(dim), guard);
            const ExactDot exact(x.data(), y.data(), dim);
            EXPECT_NEAR(dot(x.data(), y.data(), dim), exact.sum, exact.bound) << "dim " << dim;
        }
    }
}

TEST_P(DotRows, AgreesWithExactSumOnEveryTail) {
    Draw draw(2);
    const auto normal = [&] { return draw.normal(); };
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            for (const std::size_t count : {0U, 1U, 3U, 4U, 5U, 16U, 21U, 50U}) {
                const GuardedMatrix<float> rows(9, dim, guard, normal);
                const GuardedBuffer<float> x(draw.normals(dim), guard);
                const GuardedBuffer<std::uint32_t> ids(count, guard);
                for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(draw.below(9));
                const GuardedBuffer<float> out(count, guard);
                dot_rows(x.data(), rows.view(), ids.data(), count, out.data());
                for (std::size_t i = 0; i < count; ++i) {
                    const ExactDot exact(x.data(), rows.view().row(ids[i]), dim);
                    ASSERT_NEAR(out[i], exact.sum, exact.bound)
                        << "dim " << dim << ", row " << i << " of " << count;
                }
            }
        }
    }
}

TEST_P(DotRows, GivesTheSameBitsAloneAndBesideOthers) {
    Draw draw(3);
    const auto normal = [&] { return draw.normal(); };
    for (const std::size_t dim : {100U, 128U}) {
        const GuardedMatrix<float> rows(30, dim, Guard::after, normal);
        const std::vector<float> x = draw.normals(dim);
        std::vector<std::uint32_t> ids(30);
        for (std::uint32_t i = 0; i < 30; ++i) ids[i] = i;
        std::vector<float> together(30);
        dot_rows(x.data(), rows.view(), ids.data(), 30, together.data());
        for (std::size_t i = 0; i < 30; ++i) {
            float alone = 0;
            dot_rows(x.data(), rows.view(), &ids[i], 1, &alone);
            EXPECT_EQ(alone, together[i]) << "dim " << dim << ", row " << i;
        }
    }
}

TEST_P(DotRowsI8, IsExactOnEveryTailAndAtTheLimits) {
    Draw draw(4);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            const GuardedMatrix<std::int8_t> rows(9, dim, guard, [&] {
                return static_cast<std::int8_t>(static_cast<int>(draw.below(256)) - 128);
            });
            for (std::size_t k = 0; k < dim; ++k)
                rows.at(0, k) = -128;  // the largest sums of pairs
            const GuardedBuffer<std::uint8_t> x(dim, guard);
            for (std::uint8_t& value : x) value = static_cast<std::uint8_t>(127 - draw.below(3));
            const GuardedBuffer<std::uint32_t> ids(
                std::vector<std::uint32_t>{0, 8, 1, 7, 2, 6, 3, 5, 4, 0, 8}, guard);
            const GuardedBuffer<std::int32_t> out(ids.size(), guard);
            dot_rows_i8(x.data(), rows.view(), ids.data(), ids.size(), out.data());
            for (std::size_t i = 0; i < ids.size(); ++i) {
                std::int32_t sum = 0;
                for (std::size_t k = 0; k < dim; ++k) sum += x[k] * rows.at(ids[i], k);
                ASSERT_EQ(out[i], sum) << "dim " << dim << ", row " << i;
            }
        }
    }
}

TEST_P(DotRowsI8, TakesSignsAndScalesOfBothSides) {
    Draw draw(7);
    const auto byte = [&] {
        return static_cast<std::int8_t>(static_cast<int>(draw.below(256)) - 128);
    };
    for (const std::size_t dim : test::kTailLengths) {
        const GuardedMatrix<std::int8_t> rows(9, dim, Guard::after, byte);
        const GuardedBuffer<std::int8_t> x(dim, Guard::after);
        for (std::int8_t& value : x) value = byte();
        for (std::size_t k = 0; k < dim; ++k) rows.at(0, k) = x[k] = -128;  // the largest sum
        const std::vector<float> scales = draw.normals(9);
        const std::vector<std::uint32_t> ids{0, 8, 1, 7, 2, 6, 3, 5, 4, 0, 8};
        std::vector<float> out(ids.size());
        dot_rows_i8_scaled(
            x.data(), 0.37F, rows.view(), scales.data(), ids.data(), ids.size(), out.data());
        for (std::size_t i = 0; i < ids.size(); ++i) {
            std::int32_t sum = 0;
            for (std::size_t k = 0; k < dim; ++k) sum += x[k] * rows.at(ids[i], k);
            ASSERT_EQ(out[i], static_cast<float>(sum) * (0.37F * scales[ids[i]])) << "dim " << dim;
        }
    }
}

TEST_P(DotGroups, WritesEverySlotAndNoOther) {
    Draw draw(5);
    const auto normal = [&] { return draw.normal(); };
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            const test::RandomGroups groups(
                draw, {.rows = 40, .groups = 25, .vectors = 11, .most_members = 9});
            const GuardedMatrix<float> rows(40, dim, guard, normal);
            const GuardedMatrix<float> vectors(11, dim, guard, normal);
            const GuardedBuffer<float> bias(draw.normals(40), guard);
            const GuardedBuffer<float> out(groups.slots(), guard, -7.0F);
            dot_groups(groups.view(), rows.view(), bias.data(), vectors.view(), out.data());
            std::vector<bool> used(groups.slots());
            groups.for_each_pair([&](std::uint32_t row, Member member) {
                const ExactDot exact(rows.view().row(row), vectors.view().row(member.vector), dim);
                const double shift = static_cast<double>(bias[row]);
                EXPECT_NEAR(out[member.slot], exact.sum + shift, exact.bound + 1e-6)
                    << "dim " << dim;
                used[member.slot] = true;
            });
            for (std::size_t slot = 0; slot < groups.slots(); ++slot) {
                EXPECT_TRUE(used[slot] || out[slot] == -7.0F) << "slot " << slot;
            }
        }
    }
}

TEST_P(DotGroups, EqualsDotRowsBitForBitWithoutBias) {
    Draw draw(6);
    const auto normal = [&] { return draw.normal(); };
    for (const std::size_t dim : {5U, 100U, 128U, 130U}) {
        const test::RandomGroups groups(
            draw, {.rows = 40, .groups = 25, .vectors = 11, .most_members = 9});
        const GuardedMatrix<float> rows(40, dim, Guard::after, normal);
        const GuardedMatrix<float> vectors(11, dim, Guard::after, normal);
        std::vector<float> out(groups.slots());
        dot_groups(groups.view(), rows.view(), nullptr, vectors.view(), out.data());
        groups.for_each_pair([&](std::uint32_t row, Member member) {
            float expected = 0;
            dot_rows(vectors.view().row(member.vector), rows.view(), &row, 1, &expected);
            EXPECT_EQ(out[member.slot], expected) << "dim " << dim;
        });
    }
}

}  // namespace
}  // namespace slidekit::kernels::dot_test
