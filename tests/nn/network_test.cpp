// The network as a whole: initial weights, which rows a step touches, decay, unusual batches.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/error.hpp>

#include "reference_network.hpp"
#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::network_test {
namespace {

constexpr std::uint32_t kFeatures = 60;
constexpr std::uint32_t kHidden = 20;
constexpr std::uint32_t kLabels = 90;

Network network_of(system::Runtime& runtime, const OutputConfig& output, Optimizer optimizer) {
    Network network(runtime,
                    {.features = kFeatures,
                     .hidden = kHidden,
                     .labels = kLabels,
                     .output = output,
                     .optimizer = optimizer,
                     .initial_deviation = 0.1F});
    network.rebuild_tables();
    return network;
}

std::vector<OutputConfig> all_outputs() {
    return {FullOutput{},
            UniformOutput{.negatives = 9},
            UniformOutput{.negatives = 0},
            testing::some_neurons(5, 5, 5),
            testing::some_neurons(5, 0, 0),
            testing::some_neurons(0, 0, 0)};
}

TEST(Network, InitialWeightsAreNormalAndBiasesZero) {
    system::Runtime runtime({.threads = 2});
    const Network network(runtime,
                          {.features = 2000,
                           .hidden = 50,
                           .labels = 30,
                           .output = FullOutput{},
                           .initial_deviation = 0.5F});
    const std::vector<double> weights = testing::ReferenceNetwork::values_of(network.input());
    double sum = 0;
    double squares = 0;
    for (const double weight : weights) {
        sum += weight;
        squares += weight * weight;
    }
    const auto count = static_cast<double>(weights.size());
    EXPECT_NEAR(sum / count, 0, 5 * 0.5 / std::sqrt(count));
    EXPECT_NEAR(squares / count, 0.25, 5 * 0.25 * std::sqrt(2 / count));
    for (const float bias : network.hidden_bias()) EXPECT_EQ(bias, 0);
    for (const float bias : network.output().bias()) EXPECT_EQ(bias, 0);
}

TEST(Network, InitialWeightsDependOnTheSeedAlone) {
    const auto bits = [](unsigned threads, std::uint64_t seed) {
        system::Runtime runtime({.threads = threads});
        return testing::bits_of(Network(
            runtime,
            {.features = 3000, .hidden = 7, .labels = 2000, .output = FullOutput{}, .seed = seed}));
    };
    EXPECT_TRUE(bits(1, 1) == bits(3, 1));
    EXPECT_FALSE(bits(1, 1) == bits(1, 2));
}

TEST(Network, RefusesLayersWithoutNeurons) {
    system::Runtime runtime({.threads = 1});
    const NetworkConfig good{
        .features = 3, .hidden = 3, .labels = 3, .output = testing::some_neurons(1, 1, 1)};
    NetworkConfig no_features = good;
    no_features.features = 0;
    NetworkConfig no_hidden = good;
    no_hidden.hidden = 0;
    NetworkConfig no_labels = good;
    no_labels.labels = 0;
    for (const NetworkConfig& config : {no_features, no_hidden, no_labels}) {
        try {
            const Network network(runtime, config);
            ADD_FAILURE() << "was made";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::usage);
        }
    }
}

TEST(Network, RefusesGroupsWithoutSamples) {
    system::Runtime runtime({.threads = 1});
    LshOutput output = testing::some_neurons(1, 1, 1);
    output.mix.uniform_group = 0;
    EXPECT_THROW(Network(runtime, {.features = 3, .hidden = 3, .labels = 3, .output = output}),
                 Error);
}

TEST(Network, LayersDrawFromStreamsOfTheirOwn) {
    system::Runtime runtime({.threads = 1});
    const Network network(runtime,
                          {.features = 4, .hidden = 6, .labels = 4, .output = FullOutput{}});
    for (std::size_t i = 0; i < 4; ++i) {
        for (std::size_t k = 0; k < 6; ++k)
            EXPECT_NE(network.input().weights().row(i)[k], network.output().weights().row(i)[k]);
    }
}

TEST(Network, DeviationZeroGivesZeroWeights) {
    system::Runtime runtime({.threads = 1});
    const Network network(
        runtime,
        {.features = 5, .hidden = 4, .labels = 3, .output = FullOutput{}, .initial_deviation = 0});
    for (const float weight : testing::weights_of(network)) EXPECT_EQ(weight, 0);
}

TEST(Network, StepTouchesTheFeaturesOfItsBatchAlone) {
    for (const OutputConfig& output : all_outputs()) {
        system::Runtime runtime({.threads = 2});
        Network network = network_of(runtime, output, Optimizer::adam);
        testing::set_biases(network);
        const auto before = testing::ReferenceNetwork::of(network).input;
        testing::ToyPoints points(kFeatures, kLabels);
        points.add({.features = {{7, 1.0F}, {21, 2.0F}}, .labels = {3, 4}})
            .add({.features = {{50, 1.0F}}, .labels = {80, 81}});
        network.train_step(points.view(), testing::adam(0.01F), 0);
        const auto after = testing::ReferenceNetwork::of(network).input;
        for (std::uint32_t f = 0; f < kFeatures; ++f) {
            const bool moved = !std::equal(before.begin() + f * kHidden,
                                           before.begin() + (f + 1) * kHidden,
                                           after.begin() + f * kHidden);
            EXPECT_EQ(moved, f == 7 || f == 21 || f == 50) << f;
        }
    }
}

// With a learning rate of 0 a step does nothing but decay.
TEST(Network, DecayShrinksTouchedRowsAndNoBias) {
    for (const Optimizer optimizer : {Optimizer::adam, Optimizer::sgd}) {
        system::Runtime runtime({.threads = 2});
        Network network = network_of(runtime, FullOutput{}, optimizer);
        testing::set_biases(network);
        const auto before = testing::ReferenceNetwork::of(network);
        testing::ToyPoints points(kFeatures, kLabels);
        points.add({.features = {{7, 1.0F}}, .labels = {3}});
        const UpdateRule rule = optimizer == Optimizer::adam
                                    ? UpdateRule(kernels::AdamStep{.lr = 0, .decay = 0.25F})
                                    : UpdateRule(kernels::SgdStep{.lr = 0, .decay = 0.25F});
        network.train_step(points.view(), rule, 0);
        const auto after = testing::ReferenceNetwork::of(network);
        EXPECT_EQ(after.hidden_bias, before.hidden_bias);
        EXPECT_EQ(after.output_bias, before.output_bias);
        for (std::size_t i = 0; i < after.output.size(); ++i)
            ASSERT_NEAR(after.output[i], 0.75 * before.output[i], 1e-7);
        for (std::size_t i = 0; i < after.input.size(); ++i) {
            ASSERT_NEAR(after.input[i], (i / kHidden == 7 ? 0.75 : 1) * before.input[i], 1e-7);
        }
    }
}

TEST(Network, BatchWithoutLabelsTeachesNothing) {
    for (const OutputConfig& output : all_outputs()) {
        system::Runtime runtime({.threads = 2});
        Network network = network_of(runtime, output, Optimizer::sgd);
        const std::vector<float> before = testing::weights_of(network);
        testing::ToyPoints points(kFeatures, kLabels);
        points.add({.features = {{7, 1.0F}}, .labels = {}}).add({.features = {}, .labels = {}});
        const StepReport report = network.train_step(points.view(), testing::sgd(1), 0);
        EXPECT_EQ(report.loss, 0);
        EXPECT_EQ(report.samples, 0U);
        EXPECT_EQ(report.active, 0U);
        EXPECT_EQ(testing::weights_of(network), before);
    }
}

TEST(Network, LongBatchLeavesNothingBehindForAShortOne) {
    // A learning rate of 0 leaves scratch memory alone to tell. Not for hashed outputs: those keep
    // a running mean of the activations.
    for (const OutputConfig& output : {OutputConfig(FullOutput{}),
                                       OutputConfig(UniformOutput{.negatives = 9}),
                                       OutputConfig(testing::some_neurons(0, 5, 5))}) {
        std::vector<std::vector<float>> weights;
        for (const std::uint32_t samples_before : {0U, 300U}) {
            system::Runtime runtime({.threads = 2});
            Network network = network_of(runtime, output, Optimizer::sgd);
            const testing::ToyPoints before =
                testing::random_points(samples_before, kFeatures, kLabels, 5, 1);
            if (samples_before > 0) network.train_step(before.view(), testing::sgd(0), 9);
            network.train_step(
                testing::random_points(3, kFeatures, kLabels, 5, 2).view(), testing::sgd(1), 0);
            weights.push_back(testing::weights_of(network));
        }
        EXPECT_EQ(weights[0], weights[1]);
    }
}

TEST(Network, StaysUsableWhenMoved) {
    for (const OutputConfig& output : all_outputs()) {
        system::Runtime runtime({.threads = 2});
        Network network = network_of(runtime, output, Optimizer::adam);
        Network moved = std::move(network);
        const testing::ToyPoints points = testing::random_points(20, kFeatures, kLabels, 5, 1);
        EXPECT_GT(moved.train_step(points.view(), testing::adam(0.01F), 0).samples, 0U);
        EXPECT_EQ(moved.predict(points.view(), 2).size(), 40U);
    }
}

TEST(Network, RowsStartOnCacheLines) {
    system::Runtime runtime({.threads = 1});
    const Network network = network_of(runtime, FullOutput{}, Optimizer::adam);
    for (const Parameters* layer : {&network.input(), &network.output()}) {
        for (std::size_t i = 0; i < 3; ++i)
            EXPECT_EQ(std::bit_cast<std::uintptr_t>(layer->weights().row(i)) % 64, 0U);
    }
}

TEST(Network, BytesCoverWhatTheRegionsTake) {
    for (const OutputConfig& output : all_outputs()) {
        system::Runtime runtime({.threads = 1});
        const Network network = network_of(runtime, output, Optimizer::adam);
        std::size_t taken = 0;
        for (const system::RegionReport& report : runtime.reports()) taken += report.bytes;
        EXPECT_GE(Network::bytes(network.config(), 64), taken);
    }
}

}  // namespace
}  // namespace slidekit::nn::network_test
