// The training loop; all clocks of a run are here, so that what counts as training time is seen at
// once.
#include <slidekit/train/trainer.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <slidekit/data/batches.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/train/checkpoint.hpp>
#include <slidekit/train/run_fields.hpp>

#include "system/clock.hpp"
#include "train/checkpoints.hpp"

namespace slidekit::train {

using system::now;

namespace {

nn::UpdateRule rule_of(const TrainConfig& config,
                       nn::Optimizer optimizer,
                       double lr,
                       std::uint64_t step) {
    const auto decay = static_cast<float>(lr * static_cast<double>(config.weight_decay));
    const auto rate = static_cast<float>(lr);
    if (optimizer == nn::Optimizer::sgd) return kernels::SgdStep{.lr = rate, .decay = decay};
    if (optimizer == nn::Optimizer::momentum)
        return kernels::MomentumStep{.lr = rate, .decay = decay};
    if (optimizer == nn::Optimizer::adagrad_row)
        return kernels::AdagradStep{.lr = rate, .decay = decay};
    kernels::AdamStep adam{.decay = decay};
    adam.lr = static_cast<float>(kernels::adam_bias_corrected_lr(
        lr, static_cast<double>(adam.beta1), static_cast<double>(adam.beta2), step + 1));
    return adam;
}

// Evenly spread points: test files are often sorted by label.
data::Batch spread(const data::PointsView& points, std::uint32_t count) {
    std::vector<std::uint32_t> chosen(std::min(count, points.points));
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        chosen[i] = static_cast<std::uint32_t>(i * points.points / chosen.size());
    }
    data::Batch part;
    part.assign(points, chosen);
    return part;
}

class Loop {
public:
    Loop(nn::Network& network,
         data::PointSource& points,
         const data::PointsView& test,
         const TrainConfig& config,
         TrainingObserver& observer)
        : network_(network),
          points_(points),
          test_(test),
          config_(config),
          observer_(observer),
          rebuilds_(config.rebuild_first, config.rebuild_growth),
          lsh_(network.has_tables()),
          per_epoch_((points.shape().points + config.batch - 1) / config.batch),
          checkpoints_(
              config.checkpoint, run_fields(network, config, config.checkpoint.data), observer) {
        result_.progress.total_steps = per_epoch_ * config.epochs;
        const std::size_t layers = network.config().hidden.size() + 1;
        for (std::size_t i = 0; i < layers; ++i) lr_.push_back(lr_of(network.config(), config, i));
        if (config.eval_points > 0) some_points_ = spread(evaluated(), config.eval_points);
    }

    TrainResult run() {
        if (checkpoints_.restore(walk_)) {
            result_.out_of_time = time_is_up();
            checkpoints_.announce(result_.progress);
        } else if (lsh_) {
            announce_rebuild(network_.rebuild_tables());
        }
        auto epoch = static_cast<std::uint32_t>(result_.progress.step / per_epoch_);
        for (; epoch < config_.epochs && !ended(); ++epoch) {
            run_epoch(epoch);
            if (window_.steps > 0) report_steps();
            const bool last = epoch + 1 == config_.epochs || ended();
            if (config_.eval_every == 0 && !last) evaluate_some();
            if (!last) end_step();
        }
        result_.stopped_early = result_.validation.due(config_.early_stop) &&
                                result_.progress.step < result_.progress.total_steps;
        write_checkpoint();
        if (result_.stopped) return result_;
        if (holds_out() && evaluated_at_ != result_.progress.step) evaluate_some();
        evaluate_all();
        return result_;
    }

private:
    void run_epoch(std::uint32_t epoch) {
        const std::size_t points = points_.shape().points;
        const std::size_t done = (result_.progress.step - epoch * per_epoch_) * config_.batch;
        points_.start_epoch(config_.seed, epoch, static_cast<std::uint32_t>(done));
        for (std::size_t begin = done; begin < points; begin += config_.batch) {
            train_batch();
            result_.progress.epoch =
                epoch + static_cast<double>(begin + batch_.size()) / static_cast<double>(points);
            if (window_.seconds >= kReportSeconds) report_steps();
            if (config_.eval_every > 0 && result_.progress.step % config_.eval_every == 0)
                evaluate_some();
            if (time_is_up()) {
                result_.out_of_time = true;
                return;
            }
            if (begin + config_.batch < points) end_step();
            if (ended()) return;
        }
    }

    [[nodiscard]] bool time_is_up() const {
        return config_.max_seconds > 0 && result_.progress.train_seconds >= config_.max_seconds;
    }
    [[nodiscard]] bool ended() const {
        return result_.out_of_time || result_.stopped || result_.validation.due(config_.early_stop);
    }

    // After all else that belongs to a step, evaluations included.
    void end_step() {
        result_.stopped = observer_.stop_requested();
        if (!result_.stopped && checkpoints_.due(result_.progress.step)) write_checkpoint();
    }

    void write_checkpoint() {
        if (config_.checkpoint.folder == nullptr) return;
        check_weights();
        checkpoints_.write(result_.progress, walk_);
    }

    // All that the loop has to know to go on.
    void visit_state(nn::StateVisitor& state) {
        Progress& progress = result_.progress;
        network_.visit_state(state);
        rebuilds_.visit_state(state, "trainer.rebuild_schedule");
        state.numbers("trainer.counts",
                      progress.step,
                      progress.samples,
                      rebuilding_,
                      finish_at_,
                      rebuilds_done_,
                      window_.steps);
        state.numbers("trainer.times",
                      progress.epoch,
                      progress.train_seconds,
                      result_.rebuild_seconds,
                      rate_,
                      window_.seconds,
                      window_.lr);
        EarlyStopping& validation = result_.validation;
        state.numbers("trainer.validation_counts", validation.best_step, validation.since);
        state.numbers("trainer.validation_best", validation.best);
        bool evaluated = evaluated_at_.has_value();
        std::uint64_t evaluated_at = evaluated_at_.value_or(0);
        state.numbers("trainer.evaluated_at", evaluated, evaluated_at);
        if (state.restoring())
            evaluated_at_ = evaluated ? std::optional(evaluated_at) : std::nullopt;
        window_.sums.visit_state(state, "trainer.window");
        since_rebuild_.visit_state(state, "trainer.since_rebuild");
        result_.sums.visit_state(state, "trainer.total");
    }

    void train_batch() {
        const std::uint64_t step = result_.progress.step;
        if (lsh_) keep_tables(step);
        const double start = now();
        points_.next(config_.batch, batch_);
        if (config_.feature_dropout > 0)
            batch_.drop_features(config_.feature_dropout, config_.seed, step);
        const double factor =
            learning_rate_factor(config_.lr_schedule, step, result_.progress.total_steps);
        std::vector<nn::UpdateRule> rules;
        for (std::size_t i = 0; i < lr_.size(); ++i)
            rules.push_back(rule_of(config_,
                                    nn::optimizer_of(network_.config(), i),
                                    static_cast<double>(lr_[i]) * factor,
                                    step));
        window_.lr = static_cast<double>(lr_.back()) * factor;
        rate_ = window_.lr;
        const nn::StepReport report = network_.train_step(
            batch_.view(), nn::UpdateRules(std::move(rules)), step, config_.regularisers);
        if (report.not_finite) diverged(*report.not_finite, "what it computes");
        const double seconds = now() - start;
        window_.sums += report;
        window_.steps += 1;
        window_.seconds += seconds;
        since_rebuild_ += report;
        result_.sums += report;
        result_.progress.step += 1;
        result_.progress.samples += batch_.size();
        result_.progress.train_seconds += seconds;
    }

    // Rows that no step touches are looked at before they are evaluated or written.
    void check_weights() {
        const auto found = network_.find_nonfinite();
        if (!found) return;
        diverged(found->layer,
                 found->row ? "row " + std::to_string(*found->row) + " of its weights or biases"
                            : "its bias");
    }

    [[noreturn]] void diverged(nn::Layer layer, const std::string& what) const {
        throw Error(ErrorCode::diverged,
                    "step " + std::to_string(result_.progress.step) + ", " + name_of(layer),
                    what +
                        " is no longer finite: the training diverged; lower the learning rate "
                        "(it is " +
                        std::to_string(rate_) + ")" + checkpoints_.remark());
    }

    // New tables replace the old at a step that the schedule fixes.
    void keep_tables(std::uint64_t step) {
        if (rebuilding_ && step >= finish_at_) finish_rebuild();
        if (rebuilding_ || !rebuild_due(step)) return;
        const std::uint32_t gap = config_.rebuild_drift > 0 ? kDriftGap : rebuilds_.gap();
        nn::RebuildPlan plan;
        if (config_.rebuild == Rebuild::background) plan.steps = background_steps(gap);
        // Dense Adam moves the rows that a step has not touched too.
        if (network_.config().optimizer == nn::Optimizer::adam_dense)
            plan.rows = nn::RebuildRows::all;
        if (config_.redraw_every > 0 && ++rebuilds_done_ % config_.redraw_every == 0)
            plan.functions = nn::HashFunctions::redraw;
        network_.begin_rebuild(plan);
        rebuilding_ = true;
        finish_at_ = step + plan.steps;
        if (plan.steps == 0) finish_rebuild();
    }

    bool rebuild_due(std::uint64_t step) {
        if (config_.rebuild_drift == 0) return rebuilds_.due(step);
        if (step % kDriftSteps != 0) return false;
        const double start = now();
        const bool due = network_.table_drift() > config_.rebuild_drift;
        add_seconds(now() - start);
        return due;
    }

    void finish_rebuild() {
        // Measured before the rebuild, when the tables are at their oldest, on a few points of the
        // last batch.
        constexpr std::size_t kPoints = 8;
        const data::PointsView last = batch_.view();
        std::vector<std::uint32_t> first(std::min<std::size_t>(kPoints, last.points));
        for (std::size_t i = 0; i < first.size(); ++i) first[i] = static_cast<std::uint32_t>(i);
        data::Batch few;
        few.assign(last, first);
        const double top_recall = network_.top_recall(few.view());
        announce_rebuild(network_.finish_rebuild(), top_recall);
        rebuilding_ = false;
    }

    void announce_rebuild(const nn::RebuildReport& report, double top_recall = -1) {
        RebuildEvent event{.progress = {}, .rebuild = report, .top_recall = top_recall, .sums = {}};
        add_seconds(event.rebuild.seconds);
        result_.rebuild_seconds += event.rebuild.seconds;
        event.progress = result_.progress;
        event.sums = since_rebuild_;
        since_rebuild_ = {};
        observer_.on_rebuild(event);
    }

    void add_seconds(double seconds) {
        result_.progress.train_seconds += seconds;
        window_.seconds += seconds;
    }

    void report_steps() {
        window_.progress = result_.progress;
        observer_.on_step(window_);
        window_ = {};
    }

    [[nodiscard]] bool holds_out() const { return config_.validation.points > 0; }
    // What evaluations during training are on.
    [[nodiscard]] const data::PointsView& evaluated() const {
        return holds_out() ? config_.validation : test_;
    }

    void evaluate_some() {
        const Precision precision =
            announce(config_.eval_points > 0 ? some_points_.view() : evaluated(),
                     holds_out() ? EvalSet::validation : EvalSet::test);
        if (holds_out()) result_.validation.observe(precision.at_1, result_.progress.step);
        evaluated_at_ = result_.progress.step;
    }
    void evaluate_all() { result_.precision = announce(test_, EvalSet::test); }

    Precision announce(const data::PointsView& points, EvalSet on) {
        const double start = now();
        EvalEvent event;
        event.progress = result_.progress;
        check_weights();
        event.on = on;
        event.precision = evaluate(network_, points, config_.inverse_propensities);
        event.seconds = now() - start;
        observer_.on_evaluation(event);
        return event.precision;
    }

    static constexpr double kReportSeconds = 1;
    static constexpr std::uint64_t kDriftSteps = 10;  // between looks at the drift
    static constexpr std::uint32_t kDriftGap = 50;    // that a rebuild by drift reckons with

    nn::Network& network_;
    data::PointSource& points_;
    const data::PointsView& test_;
    const TrainConfig& config_;
    TrainingObserver& observer_;
    std::vector<float> lr_;  // by layer
    double rate_ = 0;        // of the last step
    RebuildSchedule rebuilds_;
    bool lsh_;
    std::uint64_t per_epoch_;  // steps
    Checkpoints checkpoints_;
    bool rebuilding_ = false;
    std::uint64_t finish_at_ = 0;      // the step before which the new tables take over
    std::uint32_t rebuilds_done_ = 0;  // those begun, the first one not counted
    data::Batch batch_;
    data::Batch some_points_;
    std::optional<std::uint64_t> evaluated_at_;  // steps done at the last evaluate_some()
    std::function<void(nn::StateVisitor&)> walk_ = [this](auto& state) { visit_state(state); };
    StepEvent window_;
    nn::StepReport since_rebuild_;
    TrainResult result_;
};

void check(const nn::Network& network, const data::PointShape& points, const char* which) {
    const nn::NetworkConfig& config = network.config();
    if (points.features != config.features || points.labels != config.labels) {
        throw Error(ErrorCode::input,
                    which,
                    "the data has " + std::to_string(points.features) + " features and " +
                        std::to_string(points.labels) + " labels, the network " +
                        std::to_string(config.features) + " and " + std::to_string(config.labels) +
                        "; use files of one data set");
    }
}

}  // namespace

float default_lr(nn::Optimizer optimizer) noexcept {
    switch (optimizer) {
        case nn::Optimizer::adagrad_row: return 0.08F;
        case nn::Optimizer::sgd: return 3;
        case nn::Optimizer::momentum: return 0.3F;
        default: return 4e-3F;
    }
}

float lr_of(const nn::NetworkConfig& network, const TrainConfig& config, std::size_t layer) {
    const float usual = config.lr.value_or(default_lr(nn::optimizer_of(network, layer)));
    return layer < config.layer_lr.size() ? config.layer_lr[layer].value_or(usual) : usual;
}

void check_training(const nn::Network& network,
                    const data::PointShape& train_points,
                    const data::PointsView& test_points,
                    const TrainConfig& config) {
    check(network, train_points, "training data");
    check(network, data::shape_of(test_points), "test data");
    if (config.validation.points > 0)
        check(network, data::shape_of(config.validation), "validation data");
    if (config.early_stop > 0 && config.validation.points == 0) {
        throw Error(ErrorCode::usage,
                    "early_stop",
                    std::to_string(config.early_stop) +
                        " evaluations on no validation points; hold some out, or leave it at 0");
    }
    if (config.batch == 0 || config.batch > train_points.points) {
        throw Error(ErrorCode::usage,
                    "batch",
                    std::to_string(config.batch) + " samples, but the training data has " +
                        std::to_string(train_points.points) + " points; choose 1 to " +
                        std::to_string(train_points.points));
    }
    if (config.checkpoint.folder != nullptr)
        (void)config.checkpoint.folder->find(run_fields(network, config, config.checkpoint.data));
}

TrainResult train(nn::Network& network,
                  const data::PointsView& train_points,
                  const data::PointsView& test_points,
                  const TrainConfig& config,
                  TrainingObserver& observer) {
    data::PointsInMemory source(train_points);
    return train(network, source, test_points, config, observer);
}

TrainResult train(nn::Network& network,
                  data::PointSource& train_points,
                  const data::PointsView& test_points,
                  const TrainConfig& config,
                  TrainingObserver& observer) {
    check_training(network, train_points.shape(), test_points, config);
    return Loop(network, train_points, test_points, config, observer).run();
}

std::vector<std::uint32_t> met_labels(std::span<const std::uint32_t> counts) {
    std::vector<std::uint32_t> met;
    for (std::uint32_t label = 0; label < counts.size(); ++label)
        if (counts[label] > 0) met.push_back(label);
    return met;
}

std::vector<std::uint32_t> met_labels(const data::PointsView& points) {
    return met_labels(data::count_labels(points));
}

std::vector<std::uint32_t> label_counts(std::span<const std::uint32_t> counts,
                                        const std::vector<std::uint32_t>& met) {
    std::vector<std::uint32_t> of_met;
    of_met.reserve(met.size());
    for (const std::uint32_t label : met) of_met.push_back(counts[label]);
    return of_met;
}

std::vector<std::uint32_t> label_counts(const data::PointsView& points,
                                        const std::vector<std::uint32_t>& met) {
    return label_counts(data::count_labels(points), met);
}

}  // namespace slidekit::train
