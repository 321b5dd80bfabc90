// Updates of rows against the formulas in double precision, and the fused passes against the
// parts that they fuse, bit for bit.
#include <slidekit/kernels/optimizer.hpp>

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

namespace slidekit::kernels::optimizer_test {
namespace {

using test::Draw;
using test::Guard;
using test::GuardedBuffer;
using test::GuardedMatrix;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr AdamStep kAdam{
    .lr = 0.01F, .beta1 = 0.9F, .beta2 = 0.999F, .epsilon = 1e-8F, .decay = 0.001F};
constexpr SgdStep kSgd{.lr = 0.1F, .decay = 0.001F};
constexpr std::uint32_t kRows = 30;
constexpr std::uint32_t kVectors = 11;

class AdamRow : public test::LevelTest {};
class SgdRow : public test::LevelTest {};
class AdamGroups : public test::LevelTest {};
class SgdGroups : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(AdamRow);
SLIDEKIT_ON_EACH_LEVEL(SgdRow);
SLIDEKIT_ON_EACH_LEVEL(AdamGroups);
SLIDEKIT_ON_EACH_LEVEL(SgdGroups);

std::vector<float> squares(Draw& draw, std::size_t count) {
    std::vector<float> values = draw.normals(count);
    for (float& value : values) value *= value;
    return values;
}

TEST_P(AdamRow, FollowsTheFormulaOnEveryTail) {
    Draw draw(1);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            const GuardedBuffer<float> w(draw.normals(dim), guard);
            const GuardedBuffer<float> m(draw.normals(dim), guard);
            const GuardedBuffer<float> v(squares(draw, dim), guard);
            const GuardedBuffer<float> g(draw.normals(dim), guard);
            const std::vector<float> w0 = w.values(), m0 = m.values(), v0 = v.values();
            adam_row(w.data(), m.data(), v.data(), g.data(), dim, kAdam);
            for (std::size_t k = 0; k < dim; ++k) {
                const double gradient = static_cast<double>(g[k]);
                const double beta1 = static_cast<double>(kAdam.beta1),
                             beta2 = static_cast<double>(kAdam.beta2);
                const double first = beta1 * static_cast<double>(m0[k]) + (1 - beta1) * gradient;
                const double second =
                    beta2 * static_cast<double>(v0[k]) + (1 - beta2) * gradient * gradient;
                const double moved =
                    static_cast<double>(kAdam.lr) * first / (std::sqrt(second) + 1e-8);
                const double old = static_cast<double>(w0[k]);
                // 1 - beta2 is exact in fp32, but beta2 itself is not: hence no double literals
                // above.
                EXPECT_NEAR(
                    m[k],
                    first,
                    4 * kEpsilon * (std::abs(first) + std::abs(static_cast<double>(m0[k]))));
                EXPECT_NEAR(v[k], second, 4 * kEpsilon * second);
                EXPECT_NEAR(w[k],
                            old - moved - static_cast<double>(kAdam.decay) * old,
                            4 * kEpsilon * (std::abs(old) + 1) + 8 * kEpsilon * std::abs(moved))
                    << "dim " << dim;
            }
        }
    }
}

TEST_P(AdamRow, WithoutHistoryOrGradientStaysPut) {
    std::vector<float> w(20, 1.0F), m(20, 0.0F), v(20, 0.0F);
    const std::vector<float> g(20, 0.0F);
    adam_row(w.data(), m.data(), v.data(), g.data(), 20, {.lr = 0.1F});
    for (const float value : w) EXPECT_EQ(value, 1.0F);
}

TEST_P(AdamRow, OverAWholeMatrixIsDenseAdam) {
    constexpr std::size_t kDim = 37;
    Draw draw(6);
    std::vector<float> w = draw.normals(kRows * kDim), m = draw.normals(kRows * kDim);
    std::vector<float> v = squares(draw, kRows * kDim), g = draw.normals(kRows * kDim);
    // Every other row has no gradient, and moves all the same.
    for (std::size_t k = 0; k < g.size(); ++k) g[k] = k / kDim % 2 == 0 ? 0.0F : g[k];
    std::vector<float> w1 = w, m1 = m, v1 = v;
    adam_row(w.data(), m.data(), v.data(), g.data(), w.size(), kAdam);
    for (std::size_t at = 0; at < w1.size(); at += kDim)
        adam_row(&w1[at], &m1[at], &v1[at], &g[at], kDim, kAdam);
    EXPECT_EQ(w, w1);
    EXPECT_EQ(m, m1);
    EXPECT_EQ(v, v1);
}

TEST(AdamBiasCorrectedLr, FollowsTheFormula) {
    EXPECT_DOUBLE_EQ(adam_bias_corrected_lr(0.5, 0.9, 0.999, 1), 0.5 * std::sqrt(1 - 0.999) / 0.1);
    for (const std::uint64_t step : {2U, 3U, 10U, 1000U, 4095U, 1000000U}) {
        const auto t = static_cast<double>(step);
        const double exact = std::sqrt(1 - std::pow(0.999, t)) / (1 - std::pow(0.9, t));
        EXPECT_NEAR(adam_bias_corrected_lr(1, 0.9, 0.999, step), exact, 1e-12 * exact) << step;
    }
}

TEST_P(SgdRow, FollowsTheFormulaOnEveryTail) {
    Draw draw(2);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            const GuardedBuffer<float> w(draw.normals(dim), guard);
            const GuardedBuffer<float> g(draw.normals(dim), guard);
            const std::vector<float> before = w.values();
            sgd_row(w.data(), g.data(), dim, kSgd);
            for (std::size_t k = 0; k < dim; ++k) {
                const double old = static_cast<double>(before[k]);
                const double moved = static_cast<double>(kSgd.lr) * static_cast<double>(g[k]);
                const double expected = old - moved - static_cast<double>(kSgd.decay) * old;
                EXPECT_NEAR(w[k], expected, 3 * kEpsilon * (std::abs(old) + std::abs(moved)))
                    << "dim " << dim;
            }
        }
    }
}

// A matrix with moments and biases, and the vectors of a batch with what flows back to them.
struct Layer {
    GuardedMatrix<float> weights, first, second, vectors, back;
    GuardedBuffer<float> bias, bias_first, bias_second;

    Layer(Draw& draw, std::size_t dim, Guard guard)
        : weights(kRows, dim, guard, [&] { return draw.normal(); }),
          first(kRows, dim, guard, [&] { return draw.normal(); }),
          second(kRows, dim, guard, [&] { return draw.uniform() + 1; }),
          vectors(kVectors, dim, guard, [&] { return draw.normal(); }),
          back(kVectors, dim, guard, [&] { return draw.normal(); }),
          bias(draw.normals(kRows), guard),
          bias_first(draw.normals(kRows), guard),
          bias_second(squares(draw, kRows), guard) {}

    [[nodiscard]] AdamRows adam_rows() const {
        return {weights.view(), first.view().data, second.view().data};
    }
    [[nodiscard]] AdamBias adam_bias() const {
        return {bias.data(), bias_first.data(), bias_second.data()};
    }
};

void expect_same(const GuardedMatrix<float>& a,
                 const GuardedMatrix<float>& b,
                 std::size_t rows,
                 const char* what) {
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t k = 0; k < a.view().dim; ++k)
            ASSERT_EQ(a.at(i, k), b.at(i, k)) << what << ' ' << i << ", " << k;
    }
    EXPECT_TRUE(a.padding_is_untouched());
}

void expect_same(const Layer& a, const Layer& b) {
    expect_same(a.weights, b.weights, kRows, "weights");
    expect_same(a.first, b.first, kRows, "first");
    expect_same(a.second, b.second, kRows, "second");
    expect_same(a.back, b.back, kVectors, "back");
    for (std::size_t i = 0; i < kRows; ++i) EXPECT_NEAR(a.bias[i], b.bias[i], 1e-6);
}

// One group's part of the backward pass, in the order and with the roundings that adam_groups and
// sgd_groups promise: what bag_rows and scatter_rows give on every level that fuses.
struct ComposedGroup {
    std::vector<float> gradient;
    float bias_gradient = 0;

    ComposedGroup(const GroupsView& groups, std::size_t g, const float* values, const Layer& layer)
        : gradient(layer.weights.view().dim) {
        const float* row = layer.weights.view().row(groups.ids[g]);
        for (std::uint32_t p = groups.starts[g]; p < groups.starts[g + 1]; ++p) {
            const float value = values[groups.members[p].slot];
            const float* vector = layer.vectors.view().row(groups.members[p].vector);
            float* back = layer.back.view().row(groups.members[p].vector);
            bias_gradient += value;
            for (std::size_t k = 0; k < gradient.size(); ++k) {
                gradient[k] = std::fma(value, vector[k], gradient[k]);
                back[k] = std::fma(value, row[k], back[k]);
            }
        }
    }
};

TEST_P(AdamGroups, EqualsItsPartsComposed) {
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            Draw draw(3), same(3);
            const Layer fused(draw, dim, guard), parts(same, dim, guard);
            const test::RandomGroups groups(
                draw, {.rows = kRows, .groups = 21, .vectors = kVectors, .most_members = 6});
            const GuardedBuffer<float> values(draw.normals(groups.slots()), guard);
            adam_groups(groups.view(),
                        values.data(),
                        fused.vectors.view(),
                        fused.back.view(),
                        fused.adam_rows(),
                        fused.adam_bias(),
                        kAdam);
            AdamStep bias_step = kAdam;
            bias_step.decay = 0;
            for (std::size_t g = 0; g < groups.view().count; ++g) {
                const ComposedGroup part(groups.view(), g, values.data(), parts);
                const std::size_t id = groups.view().ids[g];
                const AdamRows rows = parts.adam_rows();
                const std::size_t at = id * rows.weights.stride;
                adam_row(rows.weights.row(id),
                         rows.first + at,
                         rows.second + at,
                         part.gradient.data(),
                         dim,
                         kAdam);
                adam_row(&parts.bias[id],
                         &parts.bias_first[id],
                         &parts.bias_second[id],
                         &part.bias_gradient,
                         1,
                         bias_step);
            }
            expect_same(fused, parts);
        }
    }
}

TEST_P(AdamGroups, LeavesOutBackAndBiasWhereThereIsNone) {
    Draw draw(4), same(4);
    const Layer with(draw, 100, Guard::after), without(same, 100, Guard::after);
    const test::RandomGroups groups(
        draw, {.rows = kRows, .groups = 21, .vectors = kVectors, .most_members = 6});
    const std::vector<float> values = draw.normals(groups.slots());
    const std::vector<float> bias = without.bias.values();
    adam_groups(groups.view(),
                values.data(),
                with.vectors.view(),
                with.back.view(),
                with.adam_rows(),
                with.adam_bias(),
                kAdam);
    adam_groups(
        groups.view(), values.data(), without.vectors.view(), {}, without.adam_rows(), {}, kAdam);
    expect_same(with.weights, without.weights, kRows, "weights");
    expect_same(with.first, without.first, kRows, "first");
    EXPECT_EQ(without.bias.values(), bias);
}

TEST_P(SgdGroups, EqualsItsPartsComposed) {
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            Draw draw(5), same(5);
            const Layer fused(draw, dim, guard), parts(same, dim, guard);
            const test::RandomGroups groups(
                draw, {.rows = kRows, .groups = 21, .vectors = kVectors, .most_members = 6});
            const GuardedBuffer<float> values(draw.normals(groups.slots()), guard);
            sgd_groups(groups.view(),
                       values.data(),
                       fused.vectors.view(),
                       fused.back.view(),
                       fused.weights.view(),
                       fused.bias.data(),
                       kSgd);
            for (std::size_t g = 0; g < groups.view().count; ++g) {
                const ComposedGroup part(groups.view(), g, values.data(), parts);
                const std::size_t id = groups.view().ids[g];
                sgd_row(parts.weights.view().row(id), part.gradient.data(), dim, kSgd);
                parts.bias[id] -= kSgd.lr * part.bias_gradient;
            }
            expect_same(fused, parts);
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::optimizer_test
