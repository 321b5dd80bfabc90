// Schedules: when rebuilds fall due, and how learning rates fall.
#include <slidekit/train/schedule.hpp>

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace slidekit::train::schedule_test {
namespace {

std::vector<std::uint64_t> due_steps(RebuildSchedule schedule, std::uint64_t steps) {
    std::vector<std::uint64_t> due;
    for (std::uint64_t step = 0; step < steps; ++step) {
        if (schedule.due(step)) due.push_back(step);
    }
    return due;
}

TEST(RebuildSchedule, GapsGrowAsInThePaper) {
    EXPECT_EQ(due_steps(RebuildSchedule(50, 0.1), 320),
              (std::vector<std::uint64_t>{50, 105, 166, 234, 308}));
}

TEST(RebuildSchedule, WithoutGrowthThePeriodIsFixed) {
    EXPECT_EQ(due_steps(RebuildSchedule(50, 0), 251),
              (std::vector<std::uint64_t>{50, 100, 150, 200, 250}));
    EXPECT_EQ(due_steps(RebuildSchedule(1, 0), 4), (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST(RebuildSchedule, SurvivesGapsPastEveryNumber) {
    EXPECT_EQ(due_steps(RebuildSchedule(2, 500), 1000), (std::vector<std::uint64_t>{2}));
}

TEST(RebuildSchedule, TellsTheGapToTheNext) {
    RebuildSchedule schedule(50, 0.1);
    std::vector<std::uint32_t> gaps;
    for (std::uint64_t step = 0; step < 240; ++step) {
        if (schedule.due(step)) gaps.push_back(schedule.gap());
    }
    EXPECT_EQ(gaps, (std::vector<std::uint32_t>{55, 61, 67, 75}));
    RebuildSchedule endless(2, 500);
    ASSERT_TRUE(endless.due(2));
    EXPECT_EQ(endless.gap(), 1U << 31);
}

TEST(BackgroundSteps, AreTwoThirdsOfTheGapUpToABound) {
    EXPECT_EQ(background_steps(1), 0U);
    EXPECT_EQ(background_steps(7), 0U);
    EXPECT_EQ(background_steps(8), 4U);
    EXPECT_EQ(background_steps(55), 36U);
    EXPECT_EQ(background_steps(1U << 31), 128U);
}

TEST(LearningRateFactor, ConstantIsOneThroughout) {
    for (const std::uint64_t step : {0U, 5U, 10U, 11U})
        EXPECT_EQ(learning_rate_factor({LearningRateShape::constant}, step, 10), 1);
}

TEST(LearningRateFactor, FallsFromOneToZero) {
    for (const LearningRateShape shape : {LearningRateShape::linear, LearningRateShape::cosine}) {
        EXPECT_EQ(learning_rate_factor({shape}, 0, 10), 1);
        EXPECT_NEAR(learning_rate_factor({shape}, 5, 10), 0.5, 1e-12);
        EXPECT_NEAR(learning_rate_factor({shape}, 10, 10), 0, 1e-12);
        EXPECT_NEAR(learning_rate_factor({shape}, 11, 10), 0, 1e-12);
        for (std::uint64_t step = 1; step <= 10; ++step) {
            EXPECT_LT(learning_rate_factor({shape}, step, 10),
                      learning_rate_factor({shape}, step - 1, 10));
        }
    }
}

TEST(LearningRateFactor, CosineStaysAboveTheLineAtFirst) {
    EXPECT_GT(learning_rate_factor({LearningRateShape::cosine}, 2, 10),
              learning_rate_factor({LearningRateShape::linear}, 2, 10));
}

TEST(LearningRateFactor, NoStepsGiveOne) {
    EXPECT_EQ(learning_rate_factor({LearningRateShape::linear}, 0, 0), 1);
}

TEST(LearningRateFactor, WarmsUpThenFallsOverTheRest) {
    const LearningRateSchedule schedule{.shape = LearningRateShape::linear, .warm_up = 4};
    EXPECT_EQ(learning_rate_factor(schedule, 0, 14), 0.25);
    EXPECT_EQ(learning_rate_factor(schedule, 3, 14), 1);
    EXPECT_EQ(learning_rate_factor(schedule, 4, 14), 1);
    EXPECT_NEAR(learning_rate_factor(schedule, 9, 14), 0.5, 1e-12);
    EXPECT_EQ(learning_rate_factor({LearningRateShape::linear, 20}, 14, 14), 0.75);
}

TEST(LearningRateFactor, StepFallsByItsFactor) {
    const LearningRateSchedule schedule{
        .shape = LearningRateShape::step, .step_every = 5, .step_factor = 0.1};
    EXPECT_EQ(learning_rate_factor(schedule, 4, 100), 1);
    EXPECT_NEAR(learning_rate_factor(schedule, 5, 100), 0.1, 1e-12);
    EXPECT_NEAR(learning_rate_factor(schedule, 10, 100), 0.01, 1e-12);
}

}  // namespace
}  // namespace slidekit::train::schedule_test
