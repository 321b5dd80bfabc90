// Each ISA level trains to the same loss: levels differ in the order of sums only.
#include <cmath>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include <slidekit/kernels/isa.hpp>
#include <slidekit/nn/network.hpp>

#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::isa_levels_test {
namespace {

constexpr std::uint32_t kLabels = 300;

// The loss of the last of 15 steps over one batch, a sample: in mid-descent, where levels differ
// most.
double trained_loss(const OutputConfig& output) {
    constexpr std::uint32_t kSamples = 128;
    system::Runtime runtime({.threads = 2});
    const testing::ToyPoints points = testing::random_points(kSamples, 400, kLabels, 10, 2);
    Network network(runtime,
                    {.features = 400,
                     .hidden = 50,
                     .labels = kLabels,
                     .output = output,
                     .initial_deviation = 0.1F});
    StepReport last;
    for (std::uint64_t step = 0; step < 15; ++step) {
        if (step % 5 == 0) network.rebuild_tables();
        last = network.train_step(points.view(), testing::adam(1e-2F), step);
    }
    return last.loss / kSamples;
}

class IsaLevels : public ::testing::TestWithParam<kernels::Isa> {
protected:
    void SetUp() override {
        if (!kernels::is_supported(GetParam())) {
            GTEST_SKIP() << "this machine cannot run " << kernels::isa_name(GetParam());
        }
    }
    void TearDown() override { kernels::select_isa(before_); }

    void expect_scalar_loss(const OutputConfig& output, double tolerance) {
        ASSERT_TRUE(kernels::select_isa(kernels::Isa::scalar));
        const double expected = trained_loss(output);
        ASSERT_TRUE(kernels::select_isa(GetParam()));
        ASSERT_EQ(kernels::active_isa(), GetParam());
        EXPECT_NEAR(trained_loss(output), expected, tolerance * expected);
        EXPECT_LT(expected, 0.8 * std::log(double{kLabels}));
    }

    kernels::Isa before_ = kernels::active_isa();
};

TEST_P(IsaLevels, FullTrainsToTheScalarLoss) { expect_scalar_loss(FullOutput{}, 1e-4); }

TEST_P(IsaLevels, UniformTrainsToTheScalarLoss) {
    expect_scalar_loss(UniformOutput{.negatives = 100}, 1e-4);
}

// Candidates of almost equal rank may change places, and a rounding may turn a hash bit: looser.
TEST_P(IsaLevels, LshTrainsToAboutTheScalarLoss) {
    expect_scalar_loss(testing::some_neurons(60, 20, 20), 0.01);
}

INSTANTIATE_TEST_SUITE_P(Levels,
                         IsaLevels,
                         ::testing::ValuesIn(kernels::kIsaLevels),
                         [](const auto& tested) {
                             return std::string(kernels::isa_name(tested.param));
                         });

}  // namespace
}  // namespace slidekit::nn::isa_levels_test
