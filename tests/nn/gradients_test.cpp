// Gradients of every layer, under every output, against finite differences of a plain
// double-precision loss.
//
// A step of gradient descent with learning rate 1 takes the gradient off the weights, which shows
// it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/random.hpp>

#include "reference_network.hpp"
#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::gradients_test {
namespace {

using testing::ReferenceNetwork;
using testing::ToyPoints;
using ActiveSets = std::vector<std::vector<std::uint32_t>>;

constexpr std::uint32_t kFeatures = 12;
constexpr std::uint32_t kHidden = 19;  // neither a multiple of a vector's width nor below it
constexpr std::uint32_t kLabels = 41;
constexpr std::uint64_t kSeed = 5;
constexpr std::uint64_t kStep = 3;

ToyPoints points_of_every_kind() {
    ToyPoints points(kFeatures, kLabels);
    points.add({.features = {{0, 1.0F}, {5, -0.7F}, {11, 0.4F}}, .labels = {7}});
    points.add({.features = {{3, 0.9F}, {5, 1.2F}}, .labels = {0, 7, 40}});
    points.add({.features = {{1, 0.5F}, {2, 0.5F}, {5, 0.8F}}, .labels = {}});
    points.add({.features = {}, .labels = {12, 13}});
    points.add({.features = {{9, -2.0F}, {4, 1.5F}}, .labels = {39}});
    // One of these two is right where all neurons are active.
    testing::ToyPoint even{.features = {{6, 1.0F}, {10, 0.3F}}, .labels = {}};
    testing::ToyPoint odd = even;
    for (std::uint32_t label = 0; label < kLabels; ++label)
        (label % 2 == 0 ? even : odd).labels.push_back(label);
    points.add(even).add(odd);
    return points;
}

// The active sets as network.hpp and the sources document them: drawn, not hashed.
ActiveSets active_sets(const OutputConfig& config, const data::PointsView& batch) {
    ActiveSets sets(batch.points);
    const auto* lsh = std::get_if<LshOutput>(&config);
    const auto* uniform = std::get_if<UniformOutput>(&config);
    std::vector<std::uint32_t> shared(batch.label_ids.begin(), batch.label_ids.end());
    if (uniform != nullptr) {
        system::Stream stream(kSeed, system::Purpose::uniform_negatives, kStep);
        for (std::uint32_t i = 0; i < uniform->negatives; ++i)
            shared.push_back(stream.below(kLabels));
    }
    std::vector<std::uint32_t> labelled;
    for (std::uint32_t s = 0; s < batch.points; ++s) {
        if (!batch.labels_of(s).empty()) labelled.push_back(s);
    }
    for (std::uint32_t s = 0; s < batch.points; ++s) {
        const auto own = batch.labels_of(s);
        if (uniform != nullptr) {
            sets[s] = shared;
        } else if (lsh == nullptr || lsh->mix.lsh > 0) {
            sets[s].resize(kLabels);
            std::iota(sets[s].begin(), sets[s].end(), 0U);
        } else {
            sets[s].assign(own.begin(), own.end());
            system::Stream stream(kSeed, system::Purpose::batch_negatives, kStep, s);
            system::Stream drawn(
                kSeed, system::Purpose::uniform_negatives, kStep, s / lsh->mix.uniform_group);
            for (std::uint32_t i = 0; i < lsh->mix.batch; ++i) {
                const auto theirs = batch.labels_of(
                    labelled[stream.below(static_cast<std::uint32_t>(labelled.size()))]);
                sets[s].push_back(theirs[stream.below(static_cast<std::uint32_t>(theirs.size()))]);
            }
            for (std::uint32_t i = 0; i < lsh->mix.uniform; ++i)
                sets[s].push_back(drawn.below(kLabels));
        }
        std::sort(sets[s].begin(), sets[s].end());
        sets[s].erase(std::unique(sets[s].begin(), sets[s].end()), sets[s].end());
    }
    return sets;
}

struct Case {
    std::string name;
    OutputConfig output;
    float label_smoothing = 0;
};

class Gradients : public ::testing::TestWithParam<Case> {
protected:
    Gradients()
        : runtime_({.threads = 2}),
          points_(points_of_every_kind()),
          network_(runtime_,
                   {.features = kFeatures,
                    .hidden = kHidden,
                    .labels = kLabels,
                    .output = GetParam().output,
                    .optimizer = Optimizer::sgd,
                    .initial_deviation = 0.5F,
                    .seed = kSeed}) {
        testing::set_biases(network_);
        network_.rebuild_tables();
        active_ = active_sets(GetParam().output, points_.view());
        before_ = ReferenceNetwork::of(network_);
        report_ = network_.train_step(points_.view(),
                                      testing::sgd(1),
                                      kStep,
                                      {.label_smoothing = GetParam().label_smoothing});
    }

    double loss() const {
        return before_.loss(
            points_.view(), active_, static_cast<double>(GetParam().label_smoothing));
    }

    // Central differences of the mean loss in each of `values`, which belong to before_.
    std::vector<double> differences(std::vector<double>& values) {
        constexpr double kStepSize = 1e-5;
        std::vector<double> slopes;
        for (double& value : values) {
            const double kept = value;
            value = kept + kStepSize;
            const double above = loss();
            value = kept - kStepSize;
            const double below = loss();
            value = kept;
            slopes.push_back((above - below) / (2 * kStepSize) / points_.view().points);
        }
        return slopes;
    }

    // fp32 keeps weights of size 1 to 6e-8; a logit's error of 20 roundings is 1e-6.
    void expect_step_takes_gradient_off(std::vector<double>& before,
                                        const std::vector<double>& after) {
        constexpr double kTolerance = 2e-6;
        const std::vector<double> slopes = differences(before);
        ASSERT_EQ(before.size(), after.size());
        for (std::size_t i = 0; i < slopes.size(); ++i)
            ASSERT_NEAR(before[i] - after[i], slopes[i], kTolerance) << i;
        EXPECT_GT(std::abs(*std::max_element(slopes.begin(), slopes.end())), 100 * kTolerance);
    }

    system::Runtime runtime_;
    ToyPoints points_;
    Network network_;
    ActiveSets active_;
    ReferenceNetwork before_;
    StepReport report_;
};

TEST_P(Gradients, LossAgreesWithTheReference) { EXPECT_NEAR(report_.loss, loss(), 1e-5); }

TEST_P(Gradients, HitsAgreeWithTheReference) {
    EXPECT_EQ(report_.correct, before_.correct(points_.view(), active_));
}

TEST_P(Gradients, ActiveSetsAreTheDocumentedOnes) {
    std::uint64_t pairs = 0;
    for (std::size_t s = 0; s < active_.size(); ++s)
        pairs += points_.view().labels_of(s).empty() ? 0 : active_[s].size();
    EXPECT_EQ(report_.active, pairs);
    EXPECT_EQ(report_.samples, 6U);
    EXPECT_EQ(report_.labels, 7U + kLabels);
}

TEST_P(Gradients, OutputWeightsAgreeWithFiniteDifferences) {
    expect_step_takes_gradient_off(before_.output, ReferenceNetwork::of(network_).output);
}

TEST_P(Gradients, OutputBiasesAgreeWithFiniteDifferences) {
    expect_step_takes_gradient_off(before_.output_bias, ReferenceNetwork::of(network_).output_bias);
}

TEST_P(Gradients, InputWeightsAgreeWithFiniteDifferences) {
    expect_step_takes_gradient_off(before_.input, ReferenceNetwork::of(network_).input);
}

TEST_P(Gradients, HiddenBiasesAgreeWithFiniteDifferences) {
    expect_step_takes_gradient_off(before_.hidden_bias, ReferenceNetwork::of(network_).hidden_bias);
}

LshOutput drawn(std::uint32_t batch, std::uint32_t uniform, std::uint32_t group = 16) {
    return {.hash = {.k = 2, .l = 2},
            .mix = {.lsh = 0, .batch = batch, .uniform = uniform, .uniform_group = group}};
}

INSTANTIATE_TEST_SUITE_P(Outputs,
                         Gradients,
                         ::testing::Values(Case{"Full", FullOutput{}},
                                           Case{"Uniform", UniformOutput{.negatives = 15}},
                                           Case{"LshEveryNeuron", testing::every_neuron(kLabels)},
                                           Case{"LshBatchDraws", drawn(5, 0)},
                                           Case{"LshUniformDraws", drawn(0, 15)},
                                           Case{"LshUniformDrawsOfEachSample", drawn(0, 15, 1)},
                                           Case{"LshBothDraws", drawn(4, 10, 3)},
                                           Case{"LshLabelsOnly", drawn(0, 0)},
                                           Case{"FullSmoothed", FullOutput{}, 0.3F},
                                           Case{"UniformSmoothed", UniformOutput{15}, 0.3F},
                                           Case{"LshSmoothed", drawn(4, 10, 3), 0.3F}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace slidekit::nn::gradients_test
