// Momentum, plain and with Nesterov's look-ahead, against the formulas in double precision; the
// fused pass against the kernels that it fuses.
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

namespace slidekit::kernels::momentum_test {
namespace {

using test::Draw;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr MomentumStep kPlain{.lr = 0.1F, .momentum = 0.75F, .decay = 0.001F};
constexpr MomentumStep kNesterov{.lr = 0.1F, .momentum = 0.75F, .decay = 0.001F, .nesterov = 1};

class Momentum : public test::LevelTest {};
SLIDEKIT_ON_EACH_LEVEL(Momentum);

TEST_P(Momentum, RowFollowsTheFormulasOnEveryTail) {
    Draw draw(1);
    for (const MomentumStep& step : {kPlain, kNesterov}) {
        const auto lr = static_cast<double>(step.lr), mu = static_cast<double>(step.momentum);
        for (const std::size_t dim : test::kTailLengths) {
            const std::vector<float> w0 = draw.normals(dim), u0 = draw.normals(dim);
            const std::vector<float> gradient = draw.normals(dim);
            std::vector<float> w = w0, u = u0;
            momentum_row(w.data(), u.data(), gradient.data(), dim, step);
            for (std::size_t k = 0; k < dim; ++k) {
                const auto g = static_cast<double>(gradient[k]), old = static_cast<double>(w0[k]);
                const double velocity = mu * static_cast<double>(u0[k]) + g;
                const double direction = step.nesterov != 0 ? g + mu * velocity : velocity;
                const double scale = 1 + std::abs(old) + std::abs(g) + std::abs(velocity);
                EXPECT_NEAR(u[k], velocity, 4 * kEpsilon * scale);
                EXPECT_NEAR(w[k],
                            old - static_cast<double>(step.decay) * old - lr * direction,
                            4 * kEpsilon * scale);
            }
        }
    }
}

TEST_P(Momentum, OfZeroIsGradientDescent) {
    Draw draw(2);
    const std::vector<float> gradient = draw.normals(100);
    std::vector<float> w = draw.normals(100), u(100), sgd = w;
    momentum_row(w.data(), u.data(), gradient.data(), 100, {.lr = 0.1F, .momentum = 0});
    sgd_row(sgd.data(), gradient.data(), 100, {.lr = 0.1F});
    EXPECT_EQ(w, sgd);
    EXPECT_EQ(u, gradient);
}

TEST_P(Momentum, GroupsEqualTheirPartsComposed) {
    constexpr std::size_t kRows = 12, kVectors = 5, kDim = 133;
    for (const MomentumStep& step : {kPlain, kNesterov}) {
        Draw draw(3);
        const test::RandomGroups groups(
            draw, {.rows = kRows, .groups = 9, .vectors = kVectors, .most_members = 4});
        const std::vector<float> values = draw.normals(groups.slots());
        const std::vector<float> vectors = draw.normals(kVectors * kDim);
        std::vector<float> w = draw.normals(kRows * kDim), u = draw.normals(kRows * kDim);
        std::vector<float> bias = draw.normals(kRows), bias_u = draw.normals(kRows);
        std::vector<float> w1 = w, u1 = u, b1 = bias, bu1 = bias_u, back(kVectors * kDim),
                           back1 = back;
        momentum_groups(groups.view(),
                        values.data(),
                        {vectors.data(), kVectors, kDim, kDim},
                        {back.data(), kVectors, kDim, kDim},
                        {{w.data(), kRows, kDim, kDim}, u.data()},
                        {bias.data(), bias_u.data()},
                        step);
        MomentumStep bias_step = step;
        bias_step.decay = 0;
        const GroupsView view = groups.view();
        for (std::size_t g = 0; g < view.count; ++g) {
            const std::size_t id = view.ids[g];
            std::vector<float> gradient(kDim);
            float of_bias = 0;
            for (std::uint32_t p = view.starts[g]; p < view.starts[g + 1]; ++p) {
                const Member member = view.members[p];
                const float value = values[member.slot];
                for (std::size_t k = 0; k < kDim; ++k) {
                    const std::size_t at = member.vector * kDim + k;
                    gradient[k] = std::fma(value, vectors[at], gradient[k]);
                    back1[at] = std::fma(value, w1[id * kDim + k], back1[at]);
                }
                of_bias += value;
            }
            momentum_row(&w1[id * kDim], &u1[id * kDim], gradient.data(), kDim, step);
            momentum_row(&b1[id], &bu1[id], &of_bias, 1, bias_step);
        }
        EXPECT_EQ(w, w1);
        EXPECT_EQ(u, u1);
        EXPECT_EQ(back, back1);
        EXPECT_EQ(bias, b1);
        EXPECT_EQ(bias_u, bu1);
    }
}

}  // namespace
}  // namespace slidekit::kernels::momentum_test
