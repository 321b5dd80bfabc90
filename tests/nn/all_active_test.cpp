// With every neuron active the sampled softmax is the full one: same loss, same update.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/nn/network.hpp>

#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::all_active_test {
namespace {

constexpr std::uint32_t kFeatures = 200;
constexpr std::uint32_t kLabels = 300;
constexpr std::uint32_t kSamples = 70;

struct Outcome {
    StepReport report;
    std::vector<float> weights;
};

Outcome one_step(const OutputConfig& output, Optimizer optimizer, const UpdateRule& rule) {
    system::Runtime runtime({.threads = 2});
    Network network(runtime,
                    {.features = kFeatures,
                     .hidden = 33,
                     .labels = kLabels,
                     .output = output,
                     .optimizer = optimizer,
                     .initial_deviation = 0.3F});
    testing::set_biases(network);
    network.rebuild_tables();
    const testing::ToyPoints points = testing::random_points(kSamples, kFeatures, kLabels, 8, 1);
    const StepReport report = network.train_step(points.view(), rule, 0);
    return {report, testing::weights_of(network)};
}

float largest_difference(const Outcome& a, const Outcome& b) {
    float largest = 0;
    for (std::size_t i = 0; i < a.weights.size(); ++i)
        largest = std::max(largest, std::abs(a.weights[i] - b.weights[i]));
    return largest;
}

void expect_same_loss(const Outcome& lsh, const Outcome& full) {
    ASSERT_EQ(lsh.report.active, std::uint64_t{kSamples} * kLabels);
    EXPECT_EQ(full.report.active, lsh.report.active);
    EXPECT_EQ(full.report.rows_touched, lsh.report.rows_touched);
    EXPECT_EQ(full.report.labels, lsh.report.labels);
    EXPECT_EQ(full.report.samples, lsh.report.samples);
    EXPECT_NEAR(full.report.loss, lsh.report.loss, 1e-6 * full.report.loss);
}

TEST(AllNeuronsActive, SgdStepsOfLshAndFullAgree) {
    const UpdateRule rule = testing::sgd(1);
    const Outcome lsh = one_step(testing::every_neuron(kLabels), Optimizer::sgd, rule);
    const Outcome full = one_step(FullOutput{}, Optimizer::sgd, rule);
    expect_same_loss(lsh, full);
    // Gradients are sums of up to 300 terms of size 1/70: within 300 roundings of them, weights to
    // 1e-7.
    EXPECT_LE(largest_difference(lsh, full), 1e-6F);
}

TEST(AllNeuronsActive, AdamStepsOfLshAndFullAgree) {
    // The first step has slope lr (1 - b1) / epsilon at gradient 0, so that gradients that differ
    // by 1e-7 move a weight by 1e-2 * 0.1 / 1e-4 * 1e-7 = 1e-6 at most.
    const UpdateRule rule = kernels::AdamStep{.lr = 1e-2F, .epsilon = 1e-4F};
    const Outcome lsh = one_step(testing::every_neuron(kLabels), Optimizer::adam, rule);
    const Outcome full = one_step(FullOutput{}, Optimizer::adam, rule);
    expect_same_loss(lsh, full);
    EXPECT_LE(largest_difference(lsh, full), 2e-6F);
}

// Of two equal samples one names the even neurons and one the odd: exactly one of them has the best
// neuron.
testing::ToyPoints evens_and_odds(std::uint32_t pairs) {
    testing::ToyPoints points(kFeatures, kLabels);
    for (std::uint32_t i = 0; i < pairs; ++i) {
        for (const std::uint32_t parity : {0U, 1U}) {
            testing::ToyPoint point{.features = {{i, 3.0F}, {i + 50, 2.0F}}, .labels = {}};
            for (std::uint32_t label = parity; label < kLabels; label += 2)
                point.labels.push_back(label);
            points.add(point);
        }
    }
    return points;
}

TEST(AllNeuronsActive, EveryOutputCountsTheSamplesThatItGetsRight) {
    for (const OutputConfig& output : {OutputConfig(testing::every_neuron(kLabels)),
                                       OutputConfig(FullOutput{}),
                                       OutputConfig(UniformOutput{.negatives = 20'000})}) {
        system::Runtime runtime({.threads = 2});
        Network network(runtime,
                        {.features = kFeatures,
                         .hidden = 33,
                         .labels = kLabels,
                         .output = output,
                         .initial_deviation = 0.3F});
        network.rebuild_tables();
        EXPECT_EQ(network.train_step(evens_and_odds(40).view(), testing::adam(0.01F), 0).correct,
                  40U);
    }
}

TEST(AllNeuronsActive, UniformWithManyDrawsAgreesWithFull) {
    // 300 neurons, 20,000 draws: the chance that one is left out is 300 e^-66.
    const UpdateRule rule = testing::sgd(1);
    const Outcome uniform = one_step(UniformOutput{.negatives = 20'000}, Optimizer::sgd, rule);
    const Outcome full = one_step(FullOutput{}, Optimizer::sgd, rule);
    expect_same_loss(uniform, full);
    EXPECT_LE(largest_difference(uniform, full), 1e-6F);
}

}  // namespace
}  // namespace slidekit::nn::all_active_test
