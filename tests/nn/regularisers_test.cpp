// The bound that clipping keeps. Label smoothing is tested with the gradients.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/nn/network.hpp>

#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::regularisers_test {
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
}  // namespace slidekit::nn::regularisers_test
