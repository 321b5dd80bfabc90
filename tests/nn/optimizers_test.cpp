// Optimisers of a network: dense Adam against plain double precision, and weights in halves.
#include <cmath>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/nn/parameters.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::nn::optimizers_test {
namespace {

constexpr std::uint32_t kRows = 40, kDim = 19;

UpdateRule rule_of(Optimizer optimizer) {
    if (optimizer == Optimizer::sgd) return kernels::SgdStep{.lr = 0.1F, .decay = 0.01F};
    if (optimizer == Optimizer::momentum) return kernels::MomentumStep{.lr = 0.1F, .decay = 0.01F};
    if (optimizer == Optimizer::adagrad_row)
        return kernels::AdagradStep{.lr = 0.1F, .decay = 0.01F};
    return kernels::AdamStep{.lr = 0.1F, .decay = 0.01F};
}

// Rows that have a gradient at a step, each from one vector of its own.
struct Gradients {
    std::vector<std::uint32_t> ids, starts{0};
    std::vector<kernels::Member> members;
    std::vector<float> values, vectors;

    explicit Gradients(std::uint64_t step) {
        system::Stream stream(5, system::Purpose::test, step);
        for (std::uint32_t i = static_cast<std::uint32_t>(step); i < kRows; i += 3) {
            const auto slot = static_cast<std::uint32_t>(ids.size());
            ids.push_back(i);
            members.push_back({slot, slot});
            starts.push_back(slot + 1);
            values.push_back(stream.normal());
            for (std::uint32_t k = 0; k < kDim; ++k) vectors.push_back(stream.normal());
        }
    }
    [[nodiscard]] kernels::GroupsView view() const {
        return {ids.data(), starts.data(), members.data(), ids.size(), values.size()};
    }
};

struct Trained {
    std::vector<std::vector<float>> rows;
    std::vector<float> bias;
};

Trained trained(Optimizer optimizer, Precision precision, unsigned threads, std::uint64_t steps) {
    system::Runtime runtime({.threads = threads});
    Parameters p(runtime, "p", kRows, kDim, optimizer, Bias::per_row, precision);
    p.initialize(runtime.executor(), 3, 0, 1.0F);
    for (std::uint64_t step = 0; step < steps; ++step) {
        const Gradients g(step);
        const kernels::RowMatrix<const float> vectors{g.vectors.data(), g.ids.size(), kDim, kDim};
        p.update_groups(g.view(), g.values.data(), vectors, {}, rule_of(optimizer));
        p.update_others(runtime.executor(), g.view(), rule_of(optimizer), 0, kRows);
    }
    Trained result{{}, {p.bias().begin(), p.bias().end()}};
    for (std::uint32_t i = 0; i < kRows; ++i) p.copy_row(i, result.rows.emplace_back(kDim).data());
    return result;
}

// One number of dense Adam in double precision.
struct Exact {
    double w = 0, m = 0, v = 0;
    void move(double g, double decay) {
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        w = w - 0.1 * m / (std::sqrt(v) + 1e-8) - decay * w;
    }
};

TEST(AdamDense, MovesAllRowsAsPlainAdamDoes) {
    constexpr std::uint64_t kSteps = 6;
    const Trained start = trained(Optimizer::adam_dense, Precision::fp32, 1, 0);
    const Trained end = trained(Optimizer::adam_dense, Precision::fp32, 2, kSteps);
    for (std::uint32_t i = 0; i < kRows; ++i) {
        for (std::uint32_t k = 0; k <= kDim; ++k) {
            const bool bias = k == kDim;
            Exact exact{bias ? 0.0 : static_cast<double>(start.rows[i][k])};
            for (std::uint64_t step = 0; step < kSteps; ++step) {
                const Gradients g(step);
                double gradient = 0;
                for (std::size_t r = 0; r < g.ids.size(); ++r) {
                    if (g.ids[r] != i) continue;
                    const auto value = static_cast<double>(g.values[r]);
                    gradient = bias ? value : value * static_cast<double>(g.vectors[r * kDim + k]);
                }
                exact.move(gradient, bias ? 0 : static_cast<double>(0.01F));
            }
            EXPECT_NEAR(bias ? end.bias[i] : end.rows[i][k], exact.w, 2e-4) << i << ", " << k;
        }
    }
}

TEST(AdamLazy, LeavesRowsWithoutGradient) {
    const Trained start = trained(Optimizer::adam, Precision::fp32, 1, 0);
    const Trained end = trained(Optimizer::adam, Precision::fp32, 1, 1);
    EXPECT_EQ(start.rows[1], end.rows[1]);
    EXPECT_NE(start.rows[0], end.rows[0]);
}

TEST(Halves, AreUpdatedToTheBitsOfWholeWeights) {
    for (const Optimizer optimizer : {Optimizer::adam,
                                      Optimizer::adam_dense,
                                      Optimizer::adagrad_row,
                                      Optimizer::sgd,
                                      Optimizer::momentum}) {
        const Trained whole = trained(optimizer, Precision::fp32, 1, 5);
        const Trained halves = trained(optimizer, Precision::bf16, 2, 5);
        EXPECT_EQ(whole.rows, halves.rows);
        EXPECT_EQ(whole.bias, halves.bias);
    }
}

TEST(Parameters, NameTheFirstRowThatIsNotFinite) {
    system::Runtime runtime({.threads = 2});
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
        Parameters p(runtime, "p", 9000, kDim, Optimizer::sgd, Bias::per_row, precision);
        EXPECT_EQ(p.first_nonfinite(runtime.executor()), std::nullopt);
        std::vector<float> row(kDim);
        row[kDim - 1] = std::nanf("");
        p.set_row(8001, row.data());
        p.bias()[8000] = HUGE_VALF;
        EXPECT_EQ(p.first_nonfinite(runtime.executor()), 8000U);
        p.bias()[8000] = 0;
        EXPECT_EQ(p.first_nonfinite(runtime.executor()), 8001U);
    }
}

}  // namespace
}  // namespace slidekit::nn::optimizers_test
