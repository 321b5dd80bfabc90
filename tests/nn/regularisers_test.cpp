// Label smoothing against finite differences of the loss, and the bound that clipping keeps.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/nn/network.hpp>

#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn {
namespace {

constexpr std::uint32_t kFeatures = 12, kLabels = 9;

Network toy_network(system::Runtime& runtime) {
    Network network(runtime,
                    {.features = kFeatures,
                     .hidden = 7,
                     .labels = kLabels,
                     .output = testing::every_neuron(kLabels),
                     .optimizer = Optimizer::sgd,
                     .initial_deviation = 0.5F});
    testing::set_biases(network);
    network.rebuild_tables();
    return network;
}

testing::ToyPoints one_point() {
    testing::ToyPoints points(kFeatures, kLabels);
    points.add({.features = {{1, 1.0F}, {4, -2.0F}, {7, 1.5F}}, .labels = {2, 5}});
    return points;
}

TEST(LabelSmoothing, GivesTheGradientOfItsLoss) {
    system::Runtime runtime({.threads = 1});
    const testing::ToyPoints points = one_point();
    const Regularisers smooth{.label_smoothing = 0.3F};
    Network stepped = toy_network(runtime);
    (void)stepped.train_step(points.view(), testing::sgd(1), 0, smooth);
    Network still = toy_network(runtime);
    const auto loss_with = [&](std::uint32_t label, float shift) {
        still.output().bias()[label] += shift;
        const double loss = still.train_step(points.view(), testing::sgd(0), 0, smooth).loss;
        still.output().bias()[label] -= shift;
        return loss;
    };
    for (std::uint32_t label = 0; label < kLabels; ++label) {
        const double slope = (loss_with(label, 0.01F) - loss_with(label, -0.01F)) / 0.02;
        const auto moved =
            static_cast<double>(still.output().bias()[label] - stepped.output().bias()[label]);
        EXPECT_NEAR(moved, slope, 1e-3) << label;
    }
}

double bias_move(float clip_norm) {
    system::Runtime runtime({.threads = 1});
    const testing::ToyPoints points = one_point();
    Network network = toy_network(runtime);
    const std::vector<float> before(network.hidden_bias().begin(), network.hidden_bias().end());
    (void)network.train_step(points.view(), testing::sgd(1), 0, {.clip_norm = clip_norm});
    double squares = 0;
    for (std::size_t k = 0; k < before.size(); ++k)
        squares += std::pow(static_cast<double>(network.hidden_bias()[k] - before[k]), 2);
    return std::sqrt(squares);
}

TEST(ClipNorm, ShortensWhatASampleSendsBackAndNothingElse) {
    const double free = bias_move(0);
    EXPECT_GT(free, 0.02);
    EXPECT_LE(bias_move(0.01F), 0.0101);
    EXPECT_GT(bias_move(0.01F), 0.001);
    EXPECT_EQ(bias_move(1000), free);
}

}  // namespace
}  // namespace slidekit::nn
