// Updates without grouping: with one thread they are the grouped step in another order, with
// several they train, and what they do not know is refused.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/data/batches.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/error.hpp>

#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::hogwild_test {
namespace {

constexpr std::uint32_t kFeatures = 300;
constexpr std::uint32_t kLabels = 400;

LshOutput sampled_by(Sampling sampling) {
    LshOutput output = testing::some_neurons(30, 10, 10);
    output.sampling = sampling;
    return output;
}

// `steps` batches of `samples`, with the tables rebuilt in slices on the way.
struct Outcome {
    std::vector<float> weights;
    StepReport sums;
};
Outcome train(NetworkConfig config,
              Update update,
              const UpdateRule& rule,
              std::uint32_t samples,
              std::uint32_t steps) {
    system::Runtime runtime({.threads = 1});
    config.features = kFeatures;
    config.hidden = 33;
    config.labels = kLabels;
    config.initial_deviation = 0.3F;
    config.update = update;
    Network network(runtime, config);
    testing::set_biases(network);
    network.rebuild_tables();
    Outcome outcome;
    for (std::uint32_t step = 0; step < steps; ++step) {
        if (step == 1) network.begin_rebuild({.steps = 3});
        if (step == 4) network.finish_rebuild();
        const testing::ToyPoints points =
            testing::random_points(samples, kFeatures, kLabels, 8, step);
        outcome.sums += network.train_step(
            points.view(), rule, step, {.label_smoothing = 0.1F, .clip_norm = 0.5F});
    }
    outcome.weights = testing::weights_of(network);
    return outcome;
}

void expect_equal(const Outcome& tested, const Outcome& grouped, float tolerance) {
    ASSERT_EQ(tested.weights.size(), grouped.weights.size());
    float largest = 0;
    for (std::size_t i = 0; i < tested.weights.size(); ++i)
        largest = std::max(largest, std::abs(tested.weights[i] - grouped.weights[i]));
    EXPECT_LE(largest, tolerance);
    EXPECT_NEAR(tested.sums.loss, grouped.sums.loss, 1e-5 * grouped.sums.loss);
    EXPECT_EQ(tested.sums.samples, grouped.sums.samples);
    EXPECT_EQ(tested.sums.active, grouped.sums.active);
    EXPECT_EQ(tested.sums.rows_touched, grouped.sums.rows_touched);
    EXPECT_EQ(tested.sums.candidates, grouped.sums.candidates);
    EXPECT_EQ(tested.sums.labels_retrieved, grouped.sums.labels_retrieved);
    EXPECT_EQ(tested.sums.correct, grouped.sums.correct);
}

struct Case {
    std::string name;
    Optimizer optimizer;
    UpdateRule rule;
    Sampling sampling = Sampling::top_k;
};

// Adam's epsilon bounds what a rounding of a gradient near 0 does to its step.
const std::vector<Case> kCases = {
    {"Sgd", Optimizer::sgd, kernels::SgdStep{.lr = 0.5F, .decay = 1e-3F}},
    {"Adam", Optimizer::adam, kernels::AdamStep{.lr = 1e-2F, .epsilon = 1e-3F, .decay = 1e-3F}},
    {"Adagrad", Optimizer::adagrad_row, kernels::AdagradStep{.lr = 1e-2F, .epsilon = 1e-3F}},
    {"Momentum", Optimizer::momentum, kernels::MomentumStep{.lr = 0.1F}},
    {"Vanilla", Optimizer::sgd, kernels::SgdStep{.lr = 0.5F}, Sampling::vanilla},
    {"Exact", Optimizer::sgd, kernels::SgdStep{.lr = 0.5F}, Sampling::exact},
    {"None", Optimizer::sgd, kernels::SgdStep{.lr = 0.5F}, Sampling::none}};

class OneThread : public ::testing::TestWithParam<Case> {};

TEST_P(OneThread, RacySumsAreTheGroupedStep) {
    const Case& tested = GetParam();
    const NetworkConfig config{.output = sampled_by(tested.sampling),
                               .optimizer = tested.optimizer};
    const Outcome grouped = train(config, Update::grouped, tested.rule, 40, 1);
    ASSERT_GT(grouped.sums.loss, 0);
    expect_equal(train(config, Update::racy_sums, tested.rule, 40, 1), grouped, 2e-6F);
}

// The queries' centre, which a sample would move before it is hashed and a batch moves after,
// is left out.
TEST_P(OneThread, HogwildOfBatchesOfOneIsTheGroupedStep) {
    const Case& tested = GetParam();
    LshOutput output = sampled_by(tested.sampling);
    output.centre = Centre::off;
    const NetworkConfig config{.output = output, .optimizer = tested.optimizer};
    const Outcome grouped = train(config, Update::grouped, tested.rule, 1, 6);
    expect_equal(train(config, Update::hogwild, tested.rule, 1, 6), grouped, 1e-5F);
}

INSTANTIATE_TEST_SUITE_P(Updates, OneThread, ::testing::ValuesIn(kCases), [](const auto& tested) {
    return tested.param.name;
});

TEST(OneThreadOfHogwild, FirstBatchIsHashedAsTheGroupedOne) {
    const NetworkConfig config{.output = sampled_by(Sampling::top_k), .optimizer = Optimizer::sgd};
    const UpdateRule still = testing::sgd(0);
    const Outcome grouped = train(config, Update::grouped, still, 40, 1);
    expect_equal(train(config, Update::hogwild, still, 40, 1), grouped, 0);
}

TEST(OneThreadOfRacySums, DenseAdamMovesAllRows) {
    const NetworkConfig config{.output = sampled_by(Sampling::top_k),
                               .optimizer = Optimizer::adam_dense};
    const UpdateRule rule = kernels::AdamStep{.lr = 1e-2F, .epsilon = 1e-3F};
    const Outcome grouped = train(config, Update::grouped, rule, 40, 3);
    expect_equal(train(config, Update::racy_sums, rule, 40, 3), grouped, 1e-5F);
}

// What ThreadSanitizer is for: more threads than samples have rows of their own.
class FourThreads : public ::testing::TestWithParam<std::tuple<Update, Sampling>> {};

TEST_P(FourThreads, LearnWhatCanBeLearnt) {
    constexpr std::uint32_t kToyLabels = 60;
    constexpr std::uint32_t kBatch = 64;
    constexpr std::uint64_t kSteps = 60;
    const auto [update, sampling] = GetParam();
    LshOutput output = sampled_by(sampling);
    output.mix = {.lsh = 8, .batch = 8, .uniform = 4};
    system::Runtime runtime({.threads = 4});
    Network network(runtime,
                    {.features = 3 * kToyLabels + 20,
                     .hidden = 24,
                     .labels = kToyLabels,
                     .output = output,
                     .update = update,
                     .initial_deviation = 0.1F});
    network.rebuild_tables();
    StepReport first;
    StepReport last;
    for (std::uint64_t step = 0; step < kSteps; ++step) {
        if (step % 10 == 5) network.begin_rebuild({.steps = 4});
        if (step % 10 == 9) network.finish_rebuild();
        const testing::ToyPoints points = testing::learnable_points(kBatch, kToyLabels, step);
        const StepReport report = network.train_step(points.view(), testing::adam(3e-3F), step);
        EXPECT_FALSE(report.not_finite);
        (step < kSteps / 2 ? first : last) += report;
    }
    EXPECT_LT(last.loss, first.loss / 2);
    EXPECT_FALSE(network.find_nonfinite());
    const testing::ToyPoints test = testing::learnable_points(300, kToyLabels, 1000);
    const std::vector<Ranked> best = network.predict(test.view(), 1);
    std::size_t right = 0;
    for (std::size_t i = 0; i < best.size(); ++i)
        right += best[i].label == test.view().labels_of(i)[0] ? 1 : 0;
    EXPECT_GE(right, 270U);
}

INSTANTIATE_TEST_SUITE_P(
    Updates,
    FourThreads,
    ::testing::Combine(::testing::Values(Update::hogwild, Update::racy_sums),
                       ::testing::Values(Sampling::top_k, Sampling::vanilla, Sampling::exact)));

TEST(HogwildSteps, NameTheLayerThatIsNotFinite) {
    for (const Update update : {Update::hogwild, Update::racy_sums}) {
        for (const Layer layer : {Layer::input, Layer::output}) {
            system::Runtime runtime({.threads = 1});
            Network network(runtime,
                            {.features = kFeatures,
                             .hidden = 8,
                             .labels = kLabels,
                             .output = sampled_by(Sampling::none),
                             .update = update});
            const testing::ToyPoints points = testing::random_points(5, kFeatures, kLabels, 8, 1);
            if (layer == Layer::input) {
                network.hidden_bias()[3] = -INFINITY;  // ReLU hides it
            } else {
                network.output().bias()[points.view().labels_of(0)[0]] = NAN;
            }
            EXPECT_EQ(network.train_step(points.view(), testing::adam(1e-3F), 0).not_finite, layer);
        }
    }
}

TEST(HogwildSteps, WhatTheyDoNotKnowIsRefusedByName) {
    struct Refusal {
        std::function<void(NetworkConfig&, LshOutput&)> change;
        std::string named;
        bool racy = true;  // refused by racy_sums too
    };
    const std::vector<Refusal> refusals = {
        {[](auto&, auto& lsh) { lsh.scope = Scope::batch; }, "batch"},
        {[](auto&, auto& lsh) { lsh.correction = Correction::log_q; }, "log_q"},
        {[](auto& config, auto&) { config.precision = Precision::bf16; }, "bf16"},
        {[](auto& config, auto&) { config.optimizer = Optimizer::adam_dense; },
         "adam_dense",
         false},
        {[](auto&, auto& lsh) { lsh.rank = Rank::dot_fp32; }, "dot_fp32", false},
        {[](auto&, auto& lsh) { lsh.query = QueryBy::label; }, "label", false}};
    system::Runtime runtime({.threads = 1});
    for (const Refusal& refusal : refusals) {
        for (const Update update : {Update::grouped, Update::hogwild, Update::racy_sums}) {
            NetworkConfig config{
                .features = 3, .hidden = 3, .labels = 3, .output = FullOutput{}, .update = update};
            LshOutput lsh = testing::some_neurons(1, 1, 1);
            refusal.change(config, lsh);
            config.output = lsh;
            std::string said;
            try {
                const Network network(runtime, config);
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), ErrorCode::usage);
                said = error.what();
            }
            const bool refused =
                update == Update::hogwild || (update == Update::racy_sums && refusal.racy);
            EXPECT_EQ(said.find(refusal.named) != std::string::npos, refused) << said;
        }
    }
    system::Runtime two({.threads = 1, .domains = 2});
    EXPECT_THROW(Network(two,
                         {.features = 3,
                          .hidden = 3,
                          .labels = 3,
                          .output = testing::some_neurons(1, 1, 1),
                          .update = Update::racy_sums}),
                 Error);
    EXPECT_THROW(Network(runtime,
                         {.features = 3,
                          .hidden = 3,
                          .labels = 3,
                          .output = FullOutput{},
                          .update = Update::hogwild}),
                 Error);
}

}  // namespace
}  // namespace slidekit::nn::hogwild_test
