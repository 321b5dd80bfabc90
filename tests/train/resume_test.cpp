// A training that is stopped and resumed after every step ends with the bits of one that never was,
// and tells of the same rebuilds and evaluations.
#include <slidekit/train/checkpoint.hpp>

#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/data/streamed_points.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/train/run_fields.hpp>
#include <slidekit/train/trainer.hpp>

#include "files.hpp"
#include "memory_state.hpp"
#include "temporary_folder.hpp"
#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::train::resume_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemoryState;
using testing::message_of;
using testing::state_of;
using testing::TemporaryFolder;

constexpr std::uint32_t kLabels = 300;

struct Case {
    std::string name;
    nn::OutputConfig output;
    nn::Optimizer optimizer = nn::Optimizer::adam;
    nn::Precision precision = nn::Precision::fp32;
    Rebuild rebuild = Rebuild::blocking;
    double rebuild_drift = 0;
    std::uint32_t redraw_every = 0;
    unsigned domains = 1;
    nn::HiddenLayers hidden = 24;
    bool streamed = false;
    nn::Update update = nn::Update::grouped;  // others: on one thread, where nothing races
};

/// What is told of a run, over all its parts; asks for an end after each step where it shall.
class Recorder : public TrainingObserver {
public:
    void on_step(const StepEvent& event) override { samples += event.sums.samples; }
    void on_rebuild(const RebuildEvent& event) override {
        rebuilds.emplace_back(event.progress.step, event.rebuild.rows);
    }
    void on_evaluation(const EvalEvent& event) override {
        evaluations.emplace_back(event.progress.step, event.precision.at_1);
    }
    void on_resume(const ResumeEvent& event) override { resumed_at = event.progress.step; }
    void on_checkpoint(const CheckpointEvent& event) override { checkpoints.push_back(event); }
    bool stop_requested() override { return stop_after_each_step; }

    bool stop_after_each_step = false;
    std::uint64_t samples = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> rebuilds;
    std::vector<std::pair<std::uint64_t, double>> evaluations;
    std::optional<std::uint64_t> resumed_at;
    std::vector<CheckpointEvent> checkpoints;
};

TrainConfig config_of(const Case& tested) {
    return {.batch = 64,
            .epochs = 3,
            .lr = 0.02F,
            .lr_schedule = {.warm_up = 3},
            .feature_dropout = 0.1F,
            .weight_decay = 1e-3F,
            .rebuild_first = 8,
            .rebuild_growth = 0.1,
            .rebuild = tested.rebuild,
            .rebuild_drift = tested.rebuild_drift,
            .redraw_every = tested.redraw_every};
}

/// One process' part of a run: a network and points of its own.
struct Part {
    Part(const Case& tested, unsigned threads)
        : learn(testing::learnable_points(400, kLabels, 1)),
          test(testing::learnable_points(100, kLabels, 2)),
          runtime({.threads = threads, .domains = tested.domains}),
          network(runtime,
                  {.features = learn.view().features,
                   .hidden = tested.hidden,
                   .labels = kLabels,
                   .output = tested.output,
                   .optimizer = tested.optimizer,
                   .precision = tested.precision,
                   .update = tested.update,
                   .initial_deviation = 0.1F}) {
        if (!tested.streamed) return;
        testing::write_file(text_folder / "points", testing::xmc_text(learn.view()));
        stream.emplace(text_folder / "points", 64);
    }

    TrainResult run(TrainConfig config, CheckpointFolder* folder, TrainingObserver& observer) {
        config.checkpoint.folder = folder;
        config.checkpoint.data = data_fields(learn.view());
        if (stream) return train(network, *stream, test.view(), config, observer);
        return train(network, learn.view(), test.view(), config, observer);
    }

    TemporaryFolder text_folder;
    std::optional<data::StreamedPoints> stream;
    testing::ToyPoints learn;
    testing::ToyPoints test;
    system::Runtime runtime;
    nn::Network network;
};

class Resumed : public ::testing::TestWithParam<Case> {};

TEST_P(Resumed, AfterEveryStepGivesTheBitsOfARunNeverStopped) {
    const TemporaryFolder folder;
    const TrainConfig config = config_of(GetParam());
    Part whole(GetParam(), GetParam().update == nn::Update::grouped ? 2 : 1);
    Recorder told;
    const TrainResult result = whole.run(config, nullptr, told);
    ASSERT_EQ(result.progress.total_steps, 21U);

    Recorder parts;
    parts.stop_after_each_step = true;
    for (std::uint64_t step = 1; step <= 22; ++step) {
        const bool grouped = GetParam().update == nn::Update::grouped;
        Part part(GetParam(), grouped ? 1 + step % 4 : 1);
        CheckpointFolder checkpoints(folder.path(), Resume::yes);
        const TrainResult stopped = part.run(config, &checkpoints, parts);
        ASSERT_EQ(stopped.progress.step, std::min<std::uint64_t>(step, 21));
        ASSERT_EQ(stopped.stopped, step < 21);
        ASSERT_EQ(parts.resumed_at.value_or(0), step - 1);
        if (step < 21) continue;
        EXPECT_THAT(state_of(part.network).differences(state_of(whole.network), ".seconds"),
                    IsEmpty());
        EXPECT_EQ(stopped.precision.at_1, result.precision.at_1);
        EXPECT_EQ(stopped.sums.loss, result.sums.loss);
        EXPECT_EQ(stopped.sums.candidates, result.sums.candidates);
    }
    parts.evaluations.pop_back();  // the last part did nothing but this one again
    EXPECT_EQ(parts.evaluations, told.evaluations);
    EXPECT_EQ(parts.rebuilds, told.rebuilds);
    EXPECT_EQ(parts.samples, told.samples);
}

nn::LshOutput sampled(nn::Sampling sampling) {
    nn::LshOutput output = testing::some_neurons(20, 10, 10);
    output.sampling = sampling;
    return output;
}

nn::HiddenLayer sampled_layer(std::uint32_t width) {
    return {.width = width, .sampled = testing::some_neurons(16, 0, 4)};
}

INSTANTIATE_TEST_SUITE_P(
    Runs,
    Resumed,
    ::testing::Values(
        Case{"Tables", sampled(nn::Sampling::top_k)},
        Case{.name = "TablesInTheBackground",
             .output = sampled(nn::Sampling::top_k),
             .rebuild = Rebuild::background},
        Case{.name = "TablesRedrawnInTheBackground",
             .output = sampled(nn::Sampling::top_k),
             .rebuild = Rebuild::background,
             .redraw_every = 2},
        Case{.name = "TablesByDrift",
             .output = sampled(nn::Sampling::top_k),
             .rebuild = Rebuild::background,
             .rebuild_drift = 0.01},
        Case{.name = "TablesTwoDomains",
             .output = sampled(nn::Sampling::top_k),
             .rebuild = Rebuild::background,
             .domains = 2},
        Case{
            "TablesHalves", sampled(nn::Sampling::top_k), nn::Optimizer::adam, nn::Precision::bf16},
        Case{"TablesAdagrad", sampled(nn::Sampling::top_k), nn::Optimizer::adagrad_row},
        Case{"Scan", sampled(nn::Sampling::exact)},
        Case{"Uniform", nn::UniformOutput{.negatives = 50}},
        Case{"Full", nn::FullOutput{}},
        Case{.name = "ThreeSampledLayers",
             .output = sampled(nn::Sampling::top_k),
             .hidden = {sampled_layer(48), sampled_layer(40)}},
        Case{.name = "SampledThenDense",
             .output = nn::FullOutput{},
             .hidden = {sampled_layer(48), {.width = 20}, {.width = 24}}},
        Case{.name = "Streamed", .output = sampled(nn::Sampling::top_k), .streamed = true},
        Case{.name = "Hogwild",
             .output = sampled(nn::Sampling::top_k),
             .update = nn::Update::hogwild},
        Case{.name = "RacySums",
             .output = sampled(nn::Sampling::top_k),
             .update = nn::Update::racy_sums}),
    [](const auto& tested) { return tested.param.name; });

const Case& plain() {
    static const Case tested{"", nn::FullOutput{}};
    return tested;
}

TEST(ResumedRun, WritesWhenItIsDueAndAtItsEnd) {
    const TemporaryFolder folder;
    TrainConfig config = config_of(plain());
    config.checkpoint.every_steps = 8;
    Part part(plain(), 1);
    Recorder told;
    CheckpointFolder checkpoints(folder.path(), Resume::no);
    (void)part.run(config, &checkpoints, told);
    ASSERT_EQ(told.checkpoints.size(), 3U);
    EXPECT_EQ(told.checkpoints[0].progress.step, 8U);
    EXPECT_EQ(told.checkpoints[1].progress.step, 16U);
    EXPECT_EQ(told.checkpoints[2].progress.step, 21U);
    EXPECT_GT(told.checkpoints[2].bytes, 10000U);
}

TEST(ResumedRun, GoesOnByMoreEpochsWhereTheRateDoesNotFall) {
    const TemporaryFolder folder;
    TrainConfig config = config_of(plain());
    config.lr_schedule = {.shape = LearningRateShape::constant};
    Part whole(plain(), 1);
    Recorder told;
    (void)whole.run(config, nullptr, told);
    for (const std::uint32_t epochs : {1U, 3U}) {
        config.epochs = epochs;
        Part part(plain(), 1);
        CheckpointFolder checkpoints(folder.path(), Resume::yes);
        (void)part.run(config, &checkpoints, told);
        if (epochs == 1) continue;
        EXPECT_EQ(testing::bits_of(part.network), testing::bits_of(whole.network));
    }
}

TEST(ResumedRun, AnotherOptionOrDataSetIsRefusedByName) {
    const TemporaryFolder folder;
    TrainConfig config = config_of(plain());
    config.epochs = 1;
    config.lr_schedule.shape = LearningRateShape::constant;
    Recorder told;
    {
        Part part(plain(), 1);
        CheckpointFolder checkpoints(folder.path(), Resume::no);
        (void)part.run(config, &checkpoints, told);
    }
    const auto refusal = [&](const TrainConfig& other, ErrorCode code, std::uint64_t seed = 1) {
        Part part(plain(), 1);
        part.learn = testing::learnable_points(400, kLabels, seed);
        CheckpointFolder checkpoints(folder.path(), Resume::yes);
        return message_of(code, [&] { (void)part.run(other, &checkpoints, told); });
    };
    TrainConfig other = config;
    other.batch = 32;
    EXPECT_THAT(refusal(other, ErrorCode::usage), HasSubstr("batch is 64 there and 32 here"));
    EXPECT_THAT(refusal(config, ErrorCode::input, 3), HasSubstr("data contents is "));
}

TEST(ResumedRun, AFullDiskIsToldAndTrainingGoesOn) {
    const TemporaryFolder folder;
    TrainConfig config = config_of(plain());
    config.checkpoint.every_steps = 5;
    Part part(plain(), 1);
    Recorder told;
    CheckpointFolder checkpoints(folder.path(), Resume::no);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{1000, before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const TrainResult result = part.run(config, &checkpoints, told);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(result.progress.step, 21U);
    ASSERT_EQ(told.checkpoints.size(), 5U);
    for (const CheckpointEvent& event : told.checkpoints)
        EXPECT_THAT(event.failure, HasSubstr("File too large"));
    EXPECT_EQ(testing::count_files(folder.path()), 1U) << "the lock";
}

TEST(ResumedRun, DivergenceNamesTheLastGoodCheckpoint) {
    const TemporaryFolder folder;
    const Case tested{"", nn::FullOutput{}, nn::Optimizer::sgd};
    TrainConfig config = config_of(tested);
    config.lr = 1e30F;
    config.lr_schedule = {.shape = LearningRateShape::constant, .warm_up = 3};
    config.checkpoint.every_steps = 1;
    Part part(tested, 1);
    Recorder told;
    CheckpointFolder checkpoints(folder.path(), Resume::no);
    const std::string message =
        message_of(ErrorCode::diverged, [&] { (void)part.run(config, &checkpoints, told); });
    const std::string last = checkpoints.last().string();
    EXPECT_THAT(message,
                AllOf(HasSubstr("step "),
                      HasSubstr(" layer"),
                      HasSubstr(last.empty() ? "there is no checkpoint yet" : last)));
}

}  // namespace
}  // namespace slidekit::train::resume_test
