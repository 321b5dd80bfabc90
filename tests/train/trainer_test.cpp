// The training loop: it learns, tells its observer in order, stops when asked and says why it
// cannot.
#include <slidekit/train/trainer.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>

#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::train::trainer_test {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kLabels = 80;

/// Keeps what it is told, in order.
class Recorder : public TrainingObserver {
public:
    void on_step(const StepEvent& event) override {
        log.push_back({'s', event.progress});
        steps.push_back(event);
    }
    void on_rebuild(const RebuildEvent& event) override {
        log.push_back({'r', event.progress});
        rebuilds.push_back(event);
    }
    void on_evaluation(const EvalEvent& event) override {
        log.push_back({'e', event.progress});
        evaluations.push_back(event);
    }

    struct Entry {
        char kind;
        Progress progress;
    };
    std::vector<Entry> log;
    std::vector<StepEvent> steps;
    std::vector<RebuildEvent> rebuilds;
    std::vector<EvalEvent> evaluations;
};

nn::LshOutput small_lsh() { return testing::some_neurons(15, 5, 5); }

/// A network for learnable_points, its data, and one call that trains it.
struct Training {
    explicit Training(const nn::OutputConfig& output,
                      nn::Optimizer optimizer = nn::Optimizer::adam,
                      std::uint32_t points = 1000)
        : learn(testing::learnable_points(points, kLabels, 1)),
          test(testing::learnable_points(400, kLabels, 2)),
          network(runtime,
                  {.features = learn.view().features,
                   .hidden = 24,
                   .labels = kLabels,
                   .output = output,
                   .optimizer = optimizer,
                   .initial_deviation = 0.1F}) {}

    TrainResult run(const TrainConfig& config) {
        return train(network, learn.view(), test.view(), config, recorder);
    }

    system::Runtime runtime{{.threads = 2}};
    testing::ToyPoints learn;
    testing::ToyPoints test;
    nn::Network network;
    Recorder recorder;
};

/// The error that a call throws; fails the test where it throws none.
template <class Call>
Error error_of(Call&& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return {ErrorCode::unsupported, "", ""};
}

TEST(Trainer, EveryOutputLearnsWhatCanBeLearnt) {
    for (const nn::OutputConfig& output : {nn::OutputConfig(nn::FullOutput{}),
                                           nn::OutputConfig(nn::UniformOutput{.negatives = 30}),
                                           nn::OutputConfig(small_lsh())}) {
        Training training(output);
        const TrainResult result =
            training.run({.batch = 32, .epochs = 6, .lr = 0.02F, .rebuild_first = 10});
        EXPECT_GT(result.precision.at_1, 0.9) << output.index();
        EXPECT_EQ(result.precision.points, 400U);
        EXPECT_FALSE(result.out_of_time);
    }
}

TEST(Trainer, SgdLearnsToo) {
    Training training(nn::FullOutput{}, nn::Optimizer::sgd);
    EXPECT_GT(training.run({.batch = 32, .epochs = 10, .lr = 2}).precision.at_1, 0.9);
}

TEST(Trainer, FallingLearningRatesLearnToo) {
    for (const LearningRateShape shape : {LearningRateShape::linear, LearningRateShape::cosine}) {
        Training training(nn::FullOutput{});
        const TrainResult result =
            training.run({.batch = 32, .epochs = 6, .lr = 0.03F, .lr_schedule = {shape}});
        EXPECT_GT(result.precision.at_1, 0.9);
        ASSERT_FALSE(training.recorder.steps.empty());
        EXPECT_LT(training.recorder.steps.back().lr, 0.001);
    }
}

TEST(Trainer, TellsItsObserverInOrder) {
    Training training(small_lsh());
    const TrainResult result =
        training.run({.batch = 100, .epochs = 3, .rebuild_first = 12, .rebuild_growth = 0});
    const Recorder& seen = training.recorder;
    ASSERT_EQ(seen.rebuilds.size(), 3U);  // before the first step, then at 12 and 24 of 30
    EXPECT_EQ(seen.log.front().kind, 'r');
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(seen.rebuilds[i].progress.step, 12 * i);
        EXPECT_EQ(seen.rebuilds[i].top_recall >= 0, i > 0);
        EXPECT_EQ(seen.rebuilds[i].sums.samples, i == 0 ? 0U : 1200U);
        EXPECT_EQ(seen.rebuilds[i].rebuild.rows, kLabels);
    }
    ASSERT_EQ(seen.evaluations.size(), 3U);  // at the end of each epoch
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(seen.evaluations[i].progress.step, 10 * (i + 1));
    EXPECT_EQ(seen.log.back().kind, 'e');
    for (std::size_t i = 1; i < seen.log.size(); ++i) {
        EXPECT_GE(seen.log[i].progress.step, seen.log[i - 1].progress.step);
        EXPECT_GE(seen.log[i].progress.train_seconds, seen.log[i - 1].progress.train_seconds);
    }
    EXPECT_EQ(seen.evaluations.back().precision.at_1, result.precision.at_1);
}

TEST(Trainer, RebuildsInTheBackgroundFinishOnSchedule) {
    Training training(small_lsh());
    (void)training.run({.batch = 100,
                        .epochs = 5,
                        .rebuild_first = 12,
                        .rebuild_growth = 0,
                        .rebuild = Rebuild::background});
    const auto& rebuilds = training.recorder.rebuilds;
    ASSERT_EQ(rebuilds.size(), 4U);  // begun at 12, 24, 36 and 48 of 50, eight steps each
    EXPECT_EQ(rebuilds[0].rebuild.steps, 0U);
    for (std::size_t i = 1; i < 4; ++i) {
        EXPECT_EQ(rebuilds[i].progress.step, 12 * i + 8);
        EXPECT_EQ(rebuilds[i].rebuild.steps, 8U);
        EXPECT_GT(rebuilds[i].rebuild.background_seconds, 0);
        EXPECT_GE(rebuilds[i].top_recall, 0);
    }
}

std::size_t rebuilds_of(const TrainConfig& config) {
    Training training(small_lsh());
    (void)training.run(config);
    return training.recorder.rebuilds.size();
}

TEST(Trainer, DriftDecidesWhenToRebuild) {
    const auto by_drift = [](double share, float lr) {
        return rebuilds_of({.batch = 20,
                            .epochs = 3,
                            .lr = lr,
                            .lr_schedule = {.shape = LearningRateShape::constant},
                            .rebuild_drift = share});
    };
    EXPECT_EQ(by_drift(1, 0.02F), 1U);  // a share is never above 1
    EXPECT_EQ(by_drift(0.01, 0), 1U);   // rows that stand still keep their keys
    EXPECT_LT(by_drift(0.4, 0.02F), by_drift(0.01, 0.02F));
    EXPECT_GT(by_drift(0.4, 0.02F), 1U);
}

TEST(Trainer, RedrawnFunctionsLearnToo) {
    for (const Rebuild rebuild : {Rebuild::background, Rebuild::blocking}) {
        const auto trained = [&](std::uint32_t redraw_every) {
            Training training(small_lsh());
            const TrainResult result = training.run({.batch = 32,
                                                     .epochs = 6,
                                                     .lr = 0.02F,
                                                     .rebuild_first = 10,
                                                     .rebuild = rebuild,
                                                     .redraw_every = redraw_every});
            EXPECT_GT(result.precision.at_1, 0.9);
            return testing::bits_of(training.network);
        };
        const auto redrawn = trained(2);
        EXPECT_TRUE(redrawn == trained(2));
        EXPECT_FALSE(redrawn == trained(0));
    }
}

TEST(Trainer, StepEventsAddUpToTheResult) {
    Training training(small_lsh());
    const TrainResult result = training.run({.batch = 64, .epochs = 2});
    nn::StepReport sums;
    std::uint64_t steps = 0;
    double seconds = 0;
    for (const StepEvent& event : training.recorder.steps) {
        sums += event.sums;
        steps += event.steps;
        seconds += event.seconds;
    }
    EXPECT_EQ(steps, 32U);  // 15 full batches and a last one of 40 samples, twice
    EXPECT_EQ(result.progress.step, 32U);
    EXPECT_EQ(result.progress.total_steps, 32U);
    EXPECT_EQ(result.progress.samples, 2000U);
    EXPECT_DOUBLE_EQ(result.progress.epoch, 2);
    EXPECT_EQ(sums.active, result.sums.active);
    EXPECT_NEAR(sums.loss, result.sums.loss, 1e-9 * sums.loss);
    EXPECT_NEAR(seconds, result.progress.train_seconds, 1e-9);
    EXPECT_GT(result.rebuild_seconds, 0);
}

TEST(Trainer, EvaluatesEverySoManyStepsOnSomePoints) {
    Training training(nn::FullOutput{});
    (void)training.run({.batch = 100, .epochs = 1, .eval_every = 4, .eval_points = 50});
    const auto& seen = training.recorder.evaluations;
    ASSERT_EQ(seen.size(), 3U);  // at 4 and 8, and over all points at the end
    EXPECT_EQ(seen[0].progress.step, 4U);
    EXPECT_EQ(seen[1].progress.step, 8U);
    EXPECT_EQ(seen[1].precision.points, 50U);
    EXPECT_EQ(seen[2].progress.step, 10U);
    EXPECT_EQ(seen[2].precision.points, 400U);
}

TEST(Trainer, SpreadsEvaluationPointsOverTheTestSet) {
    Training training(nn::FullOutput{});
    float logit = 0;
    for (float& bias : training.network.output().bias())
        bias = (logit -= 100);  // label 0 is always best
    testing::ToyPoints sorted(training.learn.view().features, kLabels);
    for (std::uint32_t i = 0; i < 400; ++i) sorted.add({.features = {}, .labels = {i / 200}});
    training.test = sorted;
    (void)training.run({.batch = 1000, .epochs = 2, .lr = 0, .eval_points = 4});
    EXPECT_EQ(training.recorder.evaluations.front().precision.points, 4U);
    EXPECT_EQ(training.recorder.evaluations.front().precision.at_1, 0.5);
}

TEST(Trainer, ShufflesEachEpochAnew) {
    // A rebuild after each step tells of the steps one by one; the labels' numbers show which
    // points they took.
    Training training(small_lsh());
    training.learn = testing::random_points(30, training.learn.view().features, kLabels, 3, 1);
    (void)training.run({.batch = 1, .epochs = 3, .rebuild_first = 1, .rebuild_growth = 0});
    const auto& rebuilds = training.recorder.rebuilds;
    ASSERT_EQ(rebuilds.size(), 90U);
    std::vector<std::vector<std::uint64_t>> epochs(2);
    for (std::size_t i = 0; i < 60; ++i) epochs[i / 30].push_back(rebuilds[i + 1].sums.labels);
    EXPECT_NE(epochs[0], epochs[1]);
    for (auto& epoch : epochs) std::sort(epoch.begin(), epoch.end());
    EXPECT_EQ(epochs[0], epochs[1]);
}

TEST(Trainer, WeightDecayShrinksTheWeights) {
    const auto norm = [](nn::Optimizer optimizer, float decay) {
        Training training(nn::FullOutput{}, optimizer);
        (void)training.run(TrainConfig{.batch = 1000,
                                       .epochs = 4,
                                       .lr = 1e-3F,
                                       .lr_schedule = {LearningRateShape::constant},
                                       .weight_decay = decay});
        double squares = 0;
        for (const float weight : testing::weights_of(training.network))
            squares += static_cast<double>(weight) * static_cast<double>(weight);
        return std::sqrt(squares);
    };
    // Four steps by 1 - 1e-3 * 100 leave 0.66.
    for (const nn::Optimizer optimizer : {nn::Optimizer::adam, nn::Optimizer::sgd}) {
        EXPECT_NEAR(norm(optimizer, 100) / norm(optimizer, 0), 0.66, 0.02);
    }
}

TEST(Trainer, StopsWhenItsTimeIsUp) {
    Training training(small_lsh());
    const TrainResult result =
        training.run({.batch = 10, .epochs = 1'000'000, .max_seconds = 1e-9});
    EXPECT_TRUE(result.out_of_time);
    EXPECT_EQ(result.progress.step, 1U);
    EXPECT_EQ(result.precision.points, 400U);
    EXPECT_EQ(training.recorder.log.back().kind, 'e');
    EXPECT_EQ(training.recorder.steps.size(), 1U);
}

TEST(Trainer, OneSeedGivesOneNetwork) {
    const auto trained = [](std::uint64_t seed) {
        Training training(small_lsh());
        (void)training.run({.batch = 50, .epochs = 2, .seed = seed});
        return testing::bits_of(training.network);
    };
    EXPECT_TRUE(trained(1) == trained(1));
    EXPECT_FALSE(trained(1) == trained(2));
}

TEST(Trainer, NoEpochsOnlyEvaluate) {
    Training training(small_lsh());
    const std::vector<float> before = testing::weights_of(training.network);
    const TrainResult result = training.run({.epochs = 0});
    EXPECT_EQ(result.progress.step, 0U);
    EXPECT_EQ(result.precision.points, 400U);
    EXPECT_EQ(testing::weights_of(training.network), before);
}

TEST(Trainer, RefusesBatchesThatTheDataCannotFill) {
    for (const std::uint32_t batch : {0U, 1001U}) {
        Training training(nn::FullOutput{});
        const Error error = error_of([&] { (void)training.run({.batch = batch}); });
        EXPECT_EQ(error.code(), ErrorCode::usage);
        EXPECT_THAT(error.what(), HasSubstr("1000"));
        EXPECT_TRUE(training.recorder.log.empty());
    }
    Training training(nn::FullOutput{});
    EXPECT_EQ(training.run({.batch = 1000, .epochs = 1}).progress.step, 1U);
}

TEST(Trainer, RefusesDataOfOtherWidths) {
    for (const std::uint32_t labels : {kLabels - 1, kLabels + 1}) {
        Training training(nn::FullOutput{});
        training.test = testing::learnable_points(10, labels, 1);
        EXPECT_THAT(error_of([&] { (void)training.run({}); }).what(), HasSubstr("test data"));
        training.learn = testing::learnable_points(1000, labels, 1);
        const Error error = error_of([&] { (void)training.run({}); });
        EXPECT_THAT(error.what(), HasSubstr("training data"));
        EXPECT_THAT(error.what(), HasSubstr(std::to_string(labels)));
        EXPECT_TRUE(training.recorder.log.empty());
    }
}

TEST(Trainer, NamesTheStepThatDiverged) {
    for (const nn::OutputConfig& output : {nn::OutputConfig(nn::FullOutput{}),
                                           nn::OutputConfig(nn::UniformOutput{.negatives = 30}),
                                           nn::OutputConfig(small_lsh())}) {
        Training training(output, nn::Optimizer::sgd);
        const Error error = error_of([&] { (void)training.run({.batch = 100, .lr = 1e30F}); });
        EXPECT_EQ(error.code(), ErrorCode::diverged) << output.index();
        EXPECT_THAT(error.where(), ::testing::MatchesRegex("step [0-9]+, (input|output) layer"));
        EXPECT_THAT(error.what(), HasSubstr("learning rate"));
    }
}

TEST(Trainer, NamesTheLayerOfAWeightThatIsNaN) {
    for (const nn::OutputConfig& output :
         {nn::OutputConfig(nn::FullOutput{}), nn::OutputConfig(small_lsh())}) {
        for (const bool input : {false, true}) {
            Training training(output);
            nn::Parameters& layer = input ? training.network.input() : training.network.output();
            for (std::uint32_t i = 0; i < layer.rows(); ++i)
                layer.weights().row(i)[3] = std::nanf("");
            const Error error = error_of([&] { (void)training.run({.batch = 100}); });
            EXPECT_EQ(error.where(), input ? "step 0, input layer" : "step 0, output layer");
        }
    }
}

// Label 0 of a set of rows that no step reaches: the last feature occurs nowhere.
TEST(Trainer, FindsANaNThatNoStepTouchesBeforeItEvaluates) {
    Training training(small_lsh());
    training.learn = testing::ToyPoints(training.learn.view().features, kLabels);
    for (int i = 0; i < 200; ++i) training.learn.add({.features = {{1, 1.0F}}, .labels = {2}});
    const std::uint32_t last = training.network.input().rows() - 1;
    training.network.input().weights().row(last)[0] = std::nanf("");
    const Error error = error_of([&] { (void)training.run({.batch = 100, .epochs = 1}); });
    EXPECT_EQ(error.where(), "step 2, input layer");
    EXPECT_THAT(error.what(), HasSubstr("row " + std::to_string(last)));
    EXPECT_TRUE(training.recorder.evaluations.empty());
}

TEST(Trainer, TakesPointsWithoutLabelsOrFeatures) {
    for (const nn::OutputConfig& output : {nn::OutputConfig(nn::FullOutput{}),
                                           nn::OutputConfig(nn::UniformOutput{.negatives = 30}),
                                           nn::OutputConfig(small_lsh())}) {
        Training training(output);
        training.learn.add({.features = {{1, 1.0F}}, .labels = {}})
            .add({.features = {}, .labels = {2}})
            .add({.features = {}, .labels = {}});
        const TrainResult result = training.run({.batch = 17, .epochs = 2});
        EXPECT_EQ(result.progress.samples, 2006U);
        EXPECT_EQ(result.sums.samples, 2002U);
    }
}

TEST(MetLabels, AreAscendingAndDistinct) {
    testing::ToyPoints points(2, 9);
    points.add({.features = {}, .labels = {3, 7}})
        .add({.features = {}, .labels = {}})
        .add({.features = {}, .labels = {0, 3, 8}});
    EXPECT_EQ(met_labels(points.view()), (std::vector<std::uint32_t>{0, 3, 7, 8}));
    EXPECT_TRUE(met_labels(testing::ToyPoints(2, 9).view()).empty());
}

TEST(LabelCounts, GoWithTheMetLabels) {
    testing::ToyPoints points(3, 10);
    points.add({.features = {}, .labels = {2, 7}}).add({.features = {}, .labels = {7}});
    EXPECT_EQ(met_labels(points.view()), (std::vector<std::uint32_t>{2, 7}));
    EXPECT_EQ(label_counts(points.view(), {2, 7}), (std::vector<std::uint32_t>{1, 2}));
}

}  // namespace
}  // namespace slidekit::train::trainer_test
