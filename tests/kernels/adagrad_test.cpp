// Row-wise Adagrad against its formula in double precision: on a row, and fused, at widths that
// keep the row's gradient and at widths that gather it twice.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/optimizer.hpp>

#include "groups.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::adagrad_test {
namespace {

using test::Draw;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr AdagradStep kStep{.lr = 0.1F, .decay = 0.001F};

class Adagrad : public test::LevelTest {};
SLIDEKIT_ON_EACH_LEVEL(Adagrad);

// One row in double precision.
struct Exact {
    double state;
    std::vector<double> weights;

    Exact(const float* w, float s, const std::vector<double>& gradient, double decay) : state(s) {
        double squares = 0;
        for (const double g : gradient) squares += g * g;
        if (!gradient.empty()) state += squares / static_cast<double>(gradient.size());
        const double rate = static_cast<double>(kStep.lr) / (std::sqrt(state) + 1e-8);
        for (std::size_t k = 0; k < gradient.size(); ++k) {
            const auto old = static_cast<double>(w[k]);
            weights.push_back(old - decay * old - rate * gradient[k]);
        }
    }
};

TEST_P(Adagrad, RowFollowsTheFormulaOnEveryTail) {
    Draw draw(1);
    for (const std::size_t dim : test::kTailLengths) {
        const std::vector<float> before = draw.normals(dim), gradient = draw.normals(dim);
        std::vector<float> w = before;
        float state = 0.5F;
        adagrad_row(w.data(), &state, gradient.data(), dim, kStep);
        const Exact exact(before.data(),
                          0.5F,
                          {gradient.begin(), gradient.end()},
                          static_cast<double>(kStep.decay));
        EXPECT_NEAR(state, exact.state, static_cast<double>(dim + 4) * kEpsilon * exact.state);
        for (std::size_t k = 0; k < dim; ++k)
            EXPECT_NEAR(w[k], exact.weights[k], 16 * kEpsilon * (1 + std::abs(exact.weights[k])));
    }
}

TEST_P(Adagrad, OfNoGradientLeavesTheRow) {
    std::vector<float> w(20, 1.0F);
    const std::vector<float> gradient(20);
    float state = 0;
    adagrad_row(w.data(), &state, gradient.data(), 20, {.lr = 0.1F});
    EXPECT_EQ(w, std::vector<float>(20, 1.0F));
    EXPECT_EQ(state, 0.0F);
}

TEST_P(Adagrad, GroupsFollowTheFormulaAtEveryWidth) {
    constexpr std::size_t kRows = 12, kVectors = 5;
    for (const std::size_t dim : {1U, 17U, 64U, 128U, 133U, 1024U, 1025U}) {
        Draw draw(2);
        const test::RandomGroups groups(
            draw, {.rows = kRows, .groups = 9, .vectors = kVectors, .most_members = 4});
        const std::vector<float> values = draw.normals(groups.slots());
        const std::vector<float> vectors = draw.normals(kVectors * dim);
        const std::vector<float> before = draw.normals(kRows * dim);
        std::vector<float> w = before, state(kRows, 0.5F), bias(kRows, 1.0F), of_bias(kRows, 0.25F);
        std::vector<float> back(kVectors * dim);
        adagrad_groups(groups.view(),
                       values.data(),
                       {vectors.data(), kVectors, dim, dim},
                       {back.data(), kVectors, dim, dim},
                       {{w.data(), kRows, dim, dim}, state.data()},
                       {bias.data(), of_bias.data()},
                       kStep);
        std::vector<std::vector<double>> gradient(kRows, std::vector<double>(dim));
        std::vector<double> bias_gradient(kRows), flown(kVectors * dim);
        std::vector<bool> in_group(kRows);
        for (std::size_t g = 0; g < groups.view().count; ++g) in_group[groups.view().ids[g]] = true;
        groups.for_each_pair([&](std::uint32_t row, Member member) {
            const auto value = static_cast<double>(values[member.slot]);
            bias_gradient[row] += value;
            for (std::size_t k = 0; k < dim; ++k) {
                const std::size_t at = member.vector * dim + k;
                gradient[row][k] += value * static_cast<double>(vectors[at]);
                flown[at] += value * static_cast<double>(before[row * dim + k]);
            }
        });
        for (std::size_t r = 0; r < kRows; ++r) {
            const double decay = in_group[r] ? static_cast<double>(kStep.decay) : 0;
            const Exact row(&before[r * dim], 0.5F, gradient[r], decay);
            const Exact one(&bias[r], 0.25F, {bias_gradient[r]}, 0);
            EXPECT_NEAR(state[r], row.state, 200 * kEpsilon * row.state);
            EXPECT_NEAR(of_bias[r], one.state, 40 * kEpsilon * one.state);
            for (std::size_t k = 0; k < dim; ++k)
                ASSERT_NEAR(w[r * dim + k], row.weights[k], 1e-5) << "dim " << dim;
        }
        for (std::size_t i = 0; i < flown.size(); ++i) ASSERT_NEAR(back[i], flown[i], 1e-4);
    }
}

}  // namespace
}  // namespace slidekit::kernels::adagrad_test
