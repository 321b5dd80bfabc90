// Networks of any depth and every loss: gradients of all layers against finite differences of a
// plain double-precision loss on the active sets; the same bits for any number of threads; what is
// refused.
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/train/evaluation.hpp>
#include <slidekit/train/model_file.hpp>
#include <slidekit/train/trainer.hpp>

#include "reference_stack.hpp"
#include "temporary_folder.hpp"
#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::depth_test {
namespace {

using testing::ReferenceStack;

constexpr std::uint32_t kFeatures = 12;
constexpr std::uint32_t kLabels = 41;
constexpr std::uint64_t kStep = 3;

LshOutput exact(std::uint32_t best, std::uint32_t batch, std::uint32_t uniform) {
    return {.hash = {.k = 2, .l = 2},
            .mix = {.lsh = best, .batch = batch, .uniform = uniform},
            .sampling = Sampling::exact};
}

LshOutput drawn(std::uint32_t batch, std::uint32_t uniform) {
    LshOutput output = exact(0, batch, uniform);
    output.sampling = Sampling::none;
    return output;
}

// Tables whose buckets together hold all neurons, so that what is kept is the best of all.
LshOutput found(std::uint32_t best, std::uint32_t batch, std::uint32_t uniform) {
    return {.hash = {.k = 1, .l = 40},
            .mix = {.lsh = best, .batch = batch, .uniform = uniform},
            .bucket_cap = 0};
}

struct Case {
    std::string name;
    HiddenLayers hidden;
    OutputConfig output;
    Loss loss = Loss::softmax;
    float label_smoothing = 0;
    bool valued = false;  // targets and weights differ
    bool lists = true;    // to the output
};

void PrintTo(const Case& tested, std::ostream* out) { *out << tested.name; }

testing::ToyPoints points_of(const Case& tested) {
    testing::ToyPoints points(kFeatures, kLabels);
    points.add({.features = {{0, 1.0F}, {5, -0.7F}, {11, 0.4F}}, .labels = {7}});
    points.add({.features = {{3, 0.9F}, {5, 1.2F}}, .labels = {0, 7, 40}});
    points.add({.features = {{1, 0.5F}, {2, 0.5F}, {5, 0.8F}}, .labels = {}});
    points.add({.features = {}, .labels = {12, 13}});
    points.add({.features = {{9, -2.0F}, {4, 1.5F}}, .labels = {39}});
    points.add({.features = {{6, 1.0F}, {10, 0.3F}}, .labels = {1, 5, 22, 31}});
    if (tested.valued)
        points.set_values({0.5F, 1.0F, 0.25F, 0.75F, 1.0F, 0.125F, 0.5F, 0.375F, 1.0F, 0.25F, 0.5F})
            .set_weights({1.0F, 0.5F, 2.0F, 0.0F, 1.5F, 0.75F});
    return points;
}

class Depth : public ::testing::TestWithParam<Case> {};

TEST_P(Depth, GradientsAgreeWithFiniteDifferencesOnTheActiveSets) {
    const Case& tested = GetParam();
    const testing::ToyPoints points = points_of(tested);
    system::Runtime runtime({.threads = 2});
    Network network(runtime,
                    {.features = kFeatures,
                     .hidden = tested.hidden,
                     .labels = kLabels,
                     .output = tested.output,
                     .loss = tested.loss,
                     .optimizer = Optimizer::sgd,
                     .lists_to_output = tested.lists,
                     .initial_deviation = 0.5F,
                     .seed = 5});
    float value = -0.31F;
    for (const auto& view : network.hidden_layers())
        for (float& bias : view.bias) bias = (value = value > 0.4F ? -0.28F : value + 0.053F);
    for (float& bias : network.output().bias())
        bias = (value = value > 0.4F ? -0.3F : value + 0.05F);
    network.rebuild_tables();

    ReferenceStack before = ReferenceStack::of(network);
    const auto sets = before.active_sets(points.view(), kStep);
    const auto smoothing = static_cast<double>(tested.label_smoothing);
    const auto loss = [&] { return before.loss(points.view(), sets, smoothing); };
    const StepReport report = network.train_step(
        points.view(), testing::sgd(1), kStep, {.label_smoothing = tested.label_smoothing});
    EXPECT_NEAR(report.loss, loss(), 2e-5);
    EXPECT_EQ(report.samples, 5U);
    EXPECT_FALSE(report.not_finite);

    const ReferenceStack after = ReferenceStack::of(network);
    constexpr double kStepSize = 1e-5;
    constexpr double kTolerance = 4e-6;
    for (std::size_t layer = 0; layer < before.layers.size(); ++layer) {
        ReferenceStack::Layer& tried = before.layers[layer];
        SCOPED_TRACE(tried.name);
        double steepest = 0;
        const auto check = [&](std::vector<double>& values, const std::vector<double>& stepped) {
            ASSERT_EQ(values.size(), stepped.size());
            for (std::size_t i = 0; i < values.size(); ++i) {
                const double kept = values[i];
                values[i] = kept + kStepSize;
                const double above = loss();
                values[i] = kept - kStepSize;
                const double below = loss();
                values[i] = kept;
                const double slope = (above - below) / (2 * kStepSize) / points.view().points;
                steepest = std::max(steepest, std::abs(slope));
                ASSERT_NEAR(kept - stepped[i], slope, kTolerance) << i;
            }
        };
        check(tried.weights, after.layers[layer].weights);
        check(tried.bias, after.layers[layer].bias);
        EXPECT_GT(steepest, 100 * kTolerance);
    }
}

HiddenLayer sampled(std::uint32_t width, const LshOutput& how) {
    return {.width = width, .sampled = how};
}

INSTANTIATE_TEST_SUITE_P(
    Networks,
    Depth,
    ::testing::Values(
        Case{"ThreeSampledLayers",
             {sampled(19, exact(6, 0, 3)), sampled(23, exact(7, 0, 4))},
             exact(9, 4, 5)},
        Case{"ThreeSampledLayersByTables",
             {sampled(19, found(6, 0, 3)), sampled(23, found(7, 0, 4))},
             found(9, 4, 5)},
        Case{"FourSampledLayersOfDraws",
             {sampled(19, drawn(0, 9)), sampled(23, drawn(0, 9)), sampled(17, drawn(0, 8))},
             drawn(4, 10)},
        Case{"SampledFirst", {sampled(19, exact(8, 0, 2)), {.width = 13}}, drawn(4, 10)},
        Case{"SampledBetween",
             {{.width = 11}, sampled(21, exact(8, 0, 2)), {.width = 13}},
             FullOutput{}},
        Case{"SampledThenFull", {{.width = 11}, sampled(21, exact(8, 0, 2))}, FullOutput{}},
        Case{"SampledThenMatrix",
             {sampled(19, exact(6, 0, 3)), sampled(23, exact(7, 0, 4))},
             drawn(4, 10),
             Loss::softmax,
             0,
             false,
             false},
        Case{"DenseThroughout", {{.width = 11}, {.width = 18}, {.width = 13}}, drawn(4, 10)},
        Case{"SmoothedBehindSampled",
             {sampled(19, exact(6, 0, 3))},
             exact(9, 4, 5),
             Loss::softmax,
             0.3F},
        Case{"ValuedSoftmax", 13, drawn(4, 10), Loss::softmax, 0.2F, true},
        Case{"ValuedSoftmaxOverAll", 13, FullOutput{}, Loss::softmax, 0.2F, true},
        Case{"ValuedSoftmaxBehindSampled",
             {sampled(19, exact(6, 0, 3))},
             exact(9, 4, 5),
             Loss::softmax,
             0.2F,
             true},
        Case{"Sigmoid", 13, drawn(4, 10), Loss::sigmoid},
        Case{"SigmoidOverAll", 13, FullOutput{}, Loss::sigmoid},
        Case{"SigmoidOfSharedNegatives", 13, UniformOutput{15}, Loss::sigmoid, 0.2F, true},
        Case{"SigmoidValued", 13, drawn(4, 10), Loss::sigmoid, 0.2F, true},
        Case{"SigmoidBehindSampled",
             {sampled(19, exact(6, 0, 3))},
             exact(9, 4, 5),
             Loss::sigmoid,
             0.2F,
             true},
        Case{"Squared", 13, drawn(4, 10), Loss::squared, 0, true},
        Case{
            "SquaredOverAll", {{.width = 11}, {.width = 13}}, FullOutput{}, Loss::squared, 0, true},
        Case{"SquaredBehindSampled",
             {sampled(19, exact(6, 0, 3))},
             exact(9, 4, 5),
             Loss::squared,
             0,
             true}),
    [](const auto& tested) { return tested.param.name; });

// ---- training ----

LshOutput some_of(std::uint32_t best, std::uint32_t batch, std::uint32_t uniform) {
    return {.hash = {.k = 3, .l = 12}, .mix = {.lsh = best, .batch = batch, .uniform = uniform}};
}

NetworkConfig three_sampled(const data::PointsView& points) {
    LshOutput first = some_of(40, 0, 10);
    first.hash = {.family = lsh::HashFamily::sparse_dwta, .k = 1, .l = 30};
    return {.features = points.features,
            .hidden = {sampled(120, first), sampled(100, some_of(40, 0, 10))},
            .labels = points.labels,
            .output = some_of(20, 10, 20),
            .lists_to_output = true};
}

struct Silent : train::TrainingObserver {
    void on_step(const train::StepEvent&) override {}
    void on_rebuild(const train::RebuildEvent&) override {}
    void on_evaluation(const train::EvalEvent&) override {}
};

train::TrainResult train_toy(Network& network,
                             const data::PointsView& points,
                             std::uint32_t epochs) {
    Silent silent;
    return train::train(network,
                        points,
                        points,
                        {.batch = 32, .epochs = epochs, .lr = 4e-3F, .rebuild_first = 10},
                        silent);
}

TEST(DepthTraining, ThreeSampledLayersLearnAndAModelFileKeepsThem) {
    const testing::ToyPoints points = testing::learnable_points(800, 60, 3);
    system::Runtime runtime({.threads = 2});
    Network network(runtime, three_sampled(points.view()));
    EXPECT_TRUE(network.has_tables());
    EXPECT_GT(train_toy(network, points.view(), 12).precision.at_1, 0.9);

    const testing::TemporaryFolder folder;
    train::save_model(network, folder / "model");
    const Network loaded = train::load_model(runtime, folder / "model");
    const auto expected = network.predict(points.view(), 3);
    const auto got = loaded.predict(points.view(), 3);
    ASSERT_EQ(expected.size(), got.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(expected[i].label, got[i].label) << i;
        ASSERT_EQ(expected[i].score, got[i].score) << i;
    }
}

std::vector<float> deep_weights(const Network& network) {
    std::vector<float> weights;
    const auto add = [&](const Parameters& parameters, std::span<const float> bias) {
        for (std::size_t i = 0; i < parameters.rows(); ++i) {
            std::vector<float> row(parameters.dim());
            parameters.copy_row(i, row.data());
            weights.insert(weights.end(), row.begin(), row.end());
        }
        weights.insert(weights.end(), bias.begin(), bias.end());
    };
    for (const auto& view : network.hidden_layers()) add(view.weights, view.bias);
    add(network.output(), network.output().bias());
    return weights;
}

TEST(DepthTraining, BitsDoNotDependOnThreads) {
    const testing::ToyPoints points = testing::learnable_points(300, 40, 3);
    NetworkConfig mixed = three_sampled(points.view());
    mixed.hidden.push_back({.width = 24, .optimizer = Optimizer::momentum});
    mixed.hidden.push_back({.width = 16, .precision = Precision::bf16});
    mixed.output_optimizer = Optimizer::adagrad_row;
    for (const NetworkConfig& config : {three_sampled(points.view()), mixed}) {
        std::vector<float> expected;
        for (const unsigned threads : {1U, 2U, 4U}) {
            system::Runtime runtime({.threads = threads});
            Network network(runtime, config);
            train_toy(network, points.view(), 2);
            const std::vector<float> weights = deep_weights(network);
            if (expected.empty()) expected = weights;
            EXPECT_TRUE(weights == expected) << threads;
        }
    }
}

// ---- refusals ----

std::string refusal(const NetworkConfig& config) {
    system::Runtime runtime({.threads = 1});
    try {
        const Network network(runtime, config);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        return error.what();
    }
    return "";
}

TEST(DepthRefusals, NameTheLayerAndTheRemedy) {
    const testing::ToyPoints points = testing::learnable_points(4, 5, 3);
    const NetworkConfig good = three_sampled(points.view());
    const auto with = [&](auto&& change) {
        NetworkConfig config = good;
        change(config);
        return refusal(config);
    };
    EXPECT_EQ(refusal(good), "");
    EXPECT_NE(with([](auto& c) { c.hidden.clear(); }).find("at least one is needed"),
              std::string::npos);
    EXPECT_NE(with([](auto& c) { c.hidden[1].width = 0; }).find("hidden layer 2: 0"),
              std::string::npos);
    EXPECT_NE(with([](auto& c) { c.hidden[1].sampled->mix.batch = 1; }).find("no labels"),
              std::string::npos);
    EXPECT_NE(with([](auto& c) { c.hidden[1].precision = Precision::bf16; }).find("use fp32"),
              std::string::npos);
    EXPECT_NE(with([](auto& c) { c.optimizer = Optimizer::adam_dense; }).find("use adam"),
              std::string::npos);
    EXPECT_NE(with([](auto& c) { c.output = UniformOutput{}; }).find("dense last hidden layer"),
              std::string::npos);
    EXPECT_NE(with([](auto& c) {
                  c.hidden[0].sampled->hash.family = lsh::HashFamily::simhash;
                  c.features = 40000;
              }).find("sparse DWTA"),
              std::string::npos);
    EXPECT_NE(with([](auto& c) {
                  c.hidden = 16;
                  c.loss = Loss::sigmoid;
                  std::get<LshOutput>(c.output).correction = Correction::log_q;
              }).find("corrects the sum of a softmax"),
              std::string::npos);
}

}  // namespace
}  // namespace slidekit::nn::depth_test
