// Early stopping: what counts as better, and when patience ends; and in the training loop.
#include <slidekit/train/early_stopping.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>
#include <slidekit/train/trainer.hpp>

#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::train::early_stopping_test {
namespace {

TEST(EarlyStopping, CountsEvaluationsSinceTheFirstOfTheBest) {
    EarlyStopping state;
    EXPECT_FALSE(state.due(1));
    const double seen[] = {0, 0.2, 0.1, 0.2, 0.3, 0.3};
    const std::uint64_t best_step[] = {10, 20, 20, 20, 50, 50};
    const std::uint32_t since[] = {0, 0, 1, 2, 0, 1};
    for (std::size_t i = 0; i < 6; ++i) {
        state.observe(seen[i], 10 * (i + 1));
        EXPECT_EQ(state.best_step, best_step[i]);
        EXPECT_EQ(state.since, since[i]);
        EXPECT_EQ(state.due(1), since[i] >= 1);
        EXPECT_EQ(state.due(2), since[i] >= 2);
        EXPECT_FALSE(state.due(0));
    }
    EXPECT_EQ(state.best, 0.3);
}

constexpr std::uint32_t kLabels = 20;

class Evaluations : public TrainingObserver {
public:
    void on_step(const StepEvent& /*event*/) override {}
    void on_rebuild(const RebuildEvent& /*event*/) override {}
    void on_evaluation(const EvalEvent& event) override { seen.push_back(event); }
    std::vector<EvalEvent> seen;
};

/// 200 points to learn, 150 held out, 100 to test; 10 steps an epoch by default.
struct Trained {
    explicit Trained(TrainConfig config) {
        config.batch = 20;
        config.validation = held_out.view();
        result = train(network, learn.view(), test.view(), config, observer);
    }
    testing::ToyPoints learn = testing::learnable_points(200, kLabels, 1);
    testing::ToyPoints held_out = testing::learnable_points(150, kLabels, 2);
    testing::ToyPoints test = testing::learnable_points(100, kLabels, 3);
    system::Runtime runtime{{.threads = 2}};
    nn::Network network{runtime,
                        {.features = learn.view().features,
                         .hidden = 8,
                         .labels = kLabels,
                         .output = nn::FullOutput{},
                         .initial_deviation = 0.1F}};
    Evaluations observer;
    TrainResult result;
};

TEST(EarlyStopping, EndsATrainingThatNoLongerGetsBetter) {
    const Trained run({.epochs = 50, .lr = 0, .early_stop = 3});
    EXPECT_TRUE(run.result.stopped_early);
    EXPECT_EQ(run.result.progress.step, 40U);  // the first is the best, and three are no better
    EXPECT_EQ(run.result.validation.best_step, 10U);
    EXPECT_EQ(run.result.validation.since, 3U);
    EXPECT_EQ(run.result.validation.best, run.observer.seen[0].precision.at_1);
    ASSERT_EQ(run.observer.seen.size(), 5U);
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(run.observer.seen[i].on, EvalSet::validation);
        EXPECT_EQ(run.observer.seen[i].precision.points, 150U);
    }
    EXPECT_EQ(run.observer.seen[4].on, EvalSet::test);
    EXPECT_EQ(run.observer.seen[4].precision.points, 100U);
    EXPECT_EQ(run.result.precision.points, 100U);
}

TEST(EarlyStopping, WithinAnEpochTooWhenEvaluationsAreThere) {
    const Trained run({.epochs = 50, .lr = 0, .eval_every = 3, .eval_points = 40, .early_stop = 2});
    EXPECT_TRUE(run.result.stopped_early);
    EXPECT_EQ(run.result.progress.step, 9U);
    ASSERT_EQ(run.observer.seen.size(), 4U);
    EXPECT_EQ(run.observer.seen[0].precision.points, 40U);
}

TEST(EarlyStopping, LetsATrainingThatGetsBetterEnd) {
    const Trained run({.epochs = 3, .lr = 0.05F, .eval_every = 7, .early_stop = 5});
    EXPECT_FALSE(run.result.stopped_early);
    EXPECT_EQ(run.result.progress.step, 30U);
    // At 7, 14, 21 and 28, at the end, and over the test set.
    ASSERT_EQ(run.observer.seen.size(), 6U);
    EXPECT_EQ(run.observer.seen[4].progress.step, 30U);
    EXPECT_EQ(run.observer.seen[4].on, EvalSet::validation);
    EXPECT_GT(run.result.validation.best, run.observer.seen[0].precision.at_1);
}

TEST(EarlyStopping, WithoutPatienceTheBestIsStillSaid) {
    const Trained run({.epochs = 6, .lr = 0});
    EXPECT_FALSE(run.result.stopped_early);
    EXPECT_EQ(run.result.validation.best_step, 10U);
    EXPECT_EQ(run.result.validation.since, 5U);
}

TEST(EarlyStopping, NeedsPointsToLookAtOfTheSameWidths) {
    const auto refusal = [](const data::PointsView& held_out) -> std::string {
        const testing::ToyPoints points = testing::learnable_points(40, kLabels, 1);
        system::Runtime runtime({.threads = 1});
        const nn::Network network(runtime,
                                  {.features = points.view().features,
                                   .hidden = 8,
                                   .labels = kLabels,
                                   .output = nn::FullOutput{}});
        try {
            check_training(network,
                           data::shape_of(points.view()),
                           points.view(),
                           {.batch = 20, .validation = held_out, .early_stop = 2});
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    const testing::ToyPoints wider = testing::learnable_points(40, kLabels + 1, 1);
    EXPECT_THAT(refusal({}), ::testing::HasSubstr("early_stop: 2 evaluations on no validation"));
    EXPECT_THAT(refusal(wider.view()), ::testing::HasSubstr("validation data: the data has"));
}

}  // namespace
}  // namespace slidekit::train::early_stopping_test
