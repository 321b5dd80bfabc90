// The training loop: epochs of shuffled batches, rebuilds on their schedule, evaluation now and
// then.
//
// It prints nothing: what happens goes to an observer, which a program shows and logs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/data/point_source.hpp>
#include <slidekit/kernels/export.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/train/early_stopping.hpp>
#include <slidekit/train/evaluation.hpp>
#include <slidekit/train/schedule.hpp>

namespace slidekit::train {

/// Rebuilds while training goes on, or while it waits. The same work either way; in the background
/// no step waits for all of it, but the tables are older when they serve (bench/README.md).
enum class Rebuild { background, blocking };

class CheckpointFolder;

/// When checkpoints are written: beside these, where the training ends or is stopped.
struct CheckpointConfig {
    CheckpointFolder* folder = nullptr;  // borrowed; none: no checkpoints
    std::uint64_t every_steps = 0;       // 0: not by steps
    double every_seconds = 0;            // on the clock; 0: not by time
    /// What the training data is, for a run that goes on to compare: data_fields(), or less where
    /// that would cost too much.
    std::map<std::string, std::string> data = {};
};

struct TrainConfig {
    std::uint32_t batch = 256;
    std::uint32_t epochs = 5;
    std::optional<float> lr = std::nullopt;  // without: default_lr of the network's optimiser
    /// By layer, hidden ones first and the output last; without: lr. Empty: of none.
    std::vector<std::optional<float>> layer_lr = {};
    LearningRateSchedule lr_schedule = {};
    nn::Regularisers regularisers = {};
    float feature_dropout = 0;  // share of a sample's features that a step leaves out
    float weight_decay = 0;     // decoupled, on the rows touched
    std::uint64_t rebuild_first = 50;
    double rebuild_growth = 0.1;
    Rebuild rebuild = Rebuild::blocking;
    /// Rebuild when this share of bucket keys has changed, in place of the schedule; 0: no. The
    /// trigger of MONGOOSE [ICLR 2021], section 4.1, with a fixed sample of rows.
    double rebuild_drift = 0;
    std::uint32_t redraw_every = 0;  // rebuilds between new hash functions; 0: never
    std::uint64_t eval_every = 0;    // steps; 0: at the end of each epoch
    std::uint32_t eval_points = 0;   // evenly spread, of an evaluation during training; 0: all
    double max_seconds = 0;          // stop after so many training seconds; 0: no limit
    std::uint64_t seed = 1;
    /// Points held out of training, borrowed. Where there are any, evaluations during training and
    /// one at its end are on them, not on the test set.
    data::PointsView validation = {};
    std::uint32_t early_stop = 0;  // stop after so many of them without a better P@1; 0: never
    std::span<const double> inverse_propensities = {};  // of all labels, borrowed; empty: no PSP@k
    CheckpointConfig checkpoint = {};
};

/// Where the training stands.
struct Progress {
    std::uint64_t step = 0;         // steps done
    std::uint64_t total_steps = 0;  // of all epochs
    double epoch = 0;               // with fraction
    std::uint64_t samples = 0;
    double train_seconds = 0;  // evaluation, recall measurements and loading excluded
};

/// Sums over the steps since the last event of the kind.
struct StepEvent {
    Progress progress;
    std::uint64_t steps = 0;
    double seconds = 0;
    double lr = 0;  // of the output layer
    nn::StepReport sums;
};

struct RebuildEvent {
    Progress progress;
    nn::RebuildReport rebuild;
    double top_recall = -1;  // of the exact top neurons, before this rebuild; < 0: not measured
    nn::StepReport sums;     // of the steps since the last rebuild
};

enum class EvalSet { test, validation };

struct EvalEvent {
    Progress progress;
    Precision precision;
    double seconds = 0;
    EvalSet on = EvalSet::test;
};

/// A training that goes on from a checkpoint: it has done progress.step steps.
struct ResumeEvent {
    Progress progress;
    std::filesystem::path file;
    std::vector<std::string> notes;  // files that were skipped, and why
};

struct CheckpointEvent {
    Progress progress;
    std::filesystem::path file = {};  // where it failed, the last good one, if there is one
    std::uint64_t bytes = 0;
    double seconds = 0;        // that training stood still
    std::string failure = {};  // why it could not be written; training goes on
};

class TrainingObserver {
public:
    virtual ~TrainingObserver() = default;
    virtual void on_step(const StepEvent& event) = 0;  // about once a second, and at the end
    virtual void on_rebuild(const RebuildEvent& event) = 0;
    virtual void on_evaluation(const EvalEvent& event) = 0;
    virtual void on_resume(const ResumeEvent&) {}
    virtual void on_checkpoint(const CheckpointEvent&) {}
    /// Asked after each step: whether the training is to end there, with a checkpoint.
    [[nodiscard]] virtual bool stop_requested() { return false; }
};

struct TrainResult {
    Progress progress;
    Precision precision;         // over the whole test set
    nn::StepReport sums;         // over the whole run
    double rebuild_seconds = 0;  // when training stood still
    bool out_of_time = false;    // stopped by max_seconds
    EarlyStopping validation;    // the best evaluation on held-out points
    bool stopped_early = false;  // by early_stop
    bool stopped = false;        // by the observer: no evaluation over the whole test set then
};

/// A rate to begin with: for adam and adagrad_row the best of those tried on wordnet-related; sgd
/// and momentum want one found for the data.
[[nodiscard]] SLIDEKIT_API float default_lr(nn::Optimizer optimizer) noexcept;

/// The learning rate of a layer (hidden ones first, the output last) before the schedule's factor:
/// its own, or lr, or the default of its optimiser.
[[nodiscard]] SLIDEKIT_API float lr_of(const nn::NetworkConfig& network,
                                       const TrainConfig& config,
                                       std::size_t layer);

/// Throws what train() would throw at once, for programs that want to know before they touch a
/// file: Error (usage) where a batch is larger than the data, or early_stop has no points to look
/// at, Error (input) where widths disagree, and what CheckpointFolder::find() throws.
SLIDEKIT_API void check_training(const nn::Network& network,
                                 const data::PointShape& train_points,
                                 const data::PointsView& test_points,
                                 const TrainConfig& config);

/// Trains, then evaluates over the whole test set; from a checkpoint where its folder has found
/// one, to the same bits as a run that was never stopped. A checkpoint that cannot be written is an
/// event, and one is never written of weights that are not finite. Throws Error (usage) where a
/// batch is larger than the data, Error (input) where widths disagree, Error (diverged) naming step
/// and layer where loss or weights are no longer finite: at once where the step meets it, for rows
/// that no step touches before the next evaluation.
SLIDEKIT_API TrainResult train(nn::Network& network,
                               const data::PointsView& train_points,
                               const data::PointsView& test_points,
                               const TrainConfig& config,
                               TrainingObserver& observer);

/// The same over points from anywhere: what the source throws is passed on. Waiting for points
/// counts as training time.
SLIDEKIT_API TrainResult train(nn::Network& network,
                               data::PointSource& train_points,
                               const data::PointsView& test_points,
                               const TrainConfig& config,
                               TrainingObserver& observer);

/// Neurons whose label occurs in the data, ascending: those that the tables shall hold.
[[nodiscard]] SLIDEKIT_API std::vector<std::uint32_t> met_labels(const data::PointsView& points);
/// The same from how often each label occurs.
[[nodiscard]] SLIDEKIT_API std::vector<std::uint32_t> met_labels(
    std::span<const std::uint32_t> counts);

/// How often each of the labels `met` (all that occur, ascending) occurs in the data.
[[nodiscard]] SLIDEKIT_API std::vector<std::uint32_t> label_counts(
    const data::PointsView& points, const std::vector<std::uint32_t>& met);
/// The same from how often each label occurs.
[[nodiscard]] SLIDEKIT_API std::vector<std::uint32_t> label_counts(
    std::span<const std::uint32_t> counts, const std::vector<std::uint32_t>& met);

}  // namespace slidekit::train
