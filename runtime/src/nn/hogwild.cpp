// A sample's way through both layers, by relaxed atomics.
#include "nn/hogwild.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <variant>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/system/error.hpp>

#include "nn/finite.hpp"
#include "nn/sparse_batch.hpp"
#include "system/task.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;
using kernels::SparseView;

namespace {

constexpr float kOne = 1;
constexpr std::uint32_t kFirst = 0;
constexpr SparseView kWhole{&kFirst, &kOne, 1};  // a layer of one row, with weight 1

// Selection by sample reads 8-bit copies and tables, which stand still in a batch. A scan goes
// through all rows for many samples at once.
bool selects_by_sample(const LshOutput& lsh) { return !uses_scan(lsh.sampling); }

}  // namespace

void check_update(const NetworkConfig& config, std::size_t domains) {
    if (config.update == Update::grouped) return;
    const bool hogwild = config.update == Update::hogwild;
    const auto refuse = [&](bool refused, const std::string& why) {
        if (refused)
            throw Error(ErrorCode::usage, "update", (hogwild ? "hogwild " : "racy_sums ") + why);
    };
    const auto* lsh = std::get_if<LshOutput>(&config.output);
    refuse(lsh == nullptr, "needs the output lsh");
    refuse(config.hidden.size() > 1 || config.hidden.front().sampled,
           "is for a single dense hidden layer");
    refuse(optimizer_of(config, 0) != optimizer_of(config, 1),
           "knows one optimizer for both layers; leave out that of a layer");
    refuse(lsh->scope == Scope::batch, "knows sets of a sample's own only, not the scope batch");
    refuse(lsh->correction == Correction::log_q, "knows no correction log_q");
    refuse(config.hidden.front().precision.value_or(config.precision) != Precision::fp32 ||
               config.output_precision.value_or(config.precision) != Precision::fp32,
           "knows the precision fp32 only, not bf16");
    refuse(domains > 1,
           "does not cut layers over domains, and there are " + std::to_string(domains) +
               "; use one domain");
    if (!hogwild) return;
    refuse(optimizer_of(config, 0) == Optimizer::adam_dense,
           "updates the rows of a sample, the optimizer adam_dense all rows; use adam");
    refuse(selects_by_sample(*lsh) && lsh->rank == Rank::dot_fp32,
           "ranks candidates by copies of rows, not by the rank dot_fp32; use the rank dot or the "
           "sampling exact");
    refuse(selects_by_sample(*lsh) && lsh->query == QueryBy::label,
           "hashes activations, not the query label");
}

std::size_t HogwildStep::bytes(const NetworkConfig& config) noexcept {
    if (config.update == Update::grouped) return 0;
    if (config.update == Update::hogwild) return config.labels;
    return RacySums::bytes(config.features, config.hidden.last_width()) +
           RacySums::bytes(config.labels, config.hidden.last_width()) +
           RacySums::bytes(1, config.hidden.last_width());
}

HogwildStep::HogwildStep(system::Runtime& runtime,
                         Update update,
                         InputLayer& input,
                         Parameters& output,
                         SampledSoftmax& softmax)
    : executor_(runtime.executor()),
      input_(input),
      output_(output),
      softmax_(softmax),
      input_rows_(input.parameters()),
      bias_row_(input.bias_parameters()),
      output_rows_(output),
      touched_(update == Update::hogwild ? output.rows() : 0, executor_.threads()),
      copies_(executor_.threads()),
      zeros_(output.dim()) {
    if (update == Update::racy_sums)
        sums_.emplace(Sums{.input = RacySums(runtime, "input", input.parameters()),
                           .bias = RacySums(runtime, "input_bias", input.bias_parameters()),
                           .output = RacySums(runtime, "output", output)});
}

RowCopies& HogwildStep::copies_of(system::Worker worker) {
    std::unique_ptr<RowCopies>& copies = copies_[worker];
    if (!copies) copies = std::make_unique<RowCopies>(output_.dim());
    return *copies;
}

// Of the whole batch, while nobody writes.
void HogwildStep::forward(const Step& step, FirstBad& bad) {
    if (!input_.forward(executor_, step.output.batch, step.hidden)) bad.note(Layer::input);
}

// Of one sample, while others write.
void HogwildStep::forward_one(const Step& step,
                              std::size_t sample,
                              RowCopies& copies,
                              FirstBad& bad) {
    float* const hidden = step.hidden.row(sample);
    const std::size_t dim = step.hidden.dim;
    std::fill_n(hidden, dim, 0.0F);
    bias_row_.bag_rows(kWhole, hidden, copies);
    input_rows_.bag_rows(features_of(step.output.batch, sample), hidden, copies);
    if (!all_finite(hidden, zeros_.data(), dim)) bad.note(Layer::input);
    kernels::relu(hidden, dim);
}

// From the gradient of a sample's activations to that of its pre-activations.
void HogwildStep::finish_gradient(const Step& step, std::size_t sample, FirstBad& bad) const {
    const RowMatrix<float> rows = step.output.hidden_gradient;
    float* const gradient = rows.row(sample);
    if (!all_finite(gradient, zeros_.data(), rows.dim)) bad.note(Layer::output);
    if (step.longest > 0) shorten(gradient, rows.dim, step.longest);
    kernels::relu_gradient(step.hidden.row(sample), gradient, rows.dim);
}

void HogwildStep::hogwild(const Step& step, FirstBad& bad, StepReport& report) {
    static const system::TaskName kTask("hogwild");
    const system::Task stage(kTask);
    const OutputStep& output = step.output;
    const bool by_sample = selects_by_sample(softmax_.config());
    const bool first = !std::exchange(observed_, true);
    if (!by_sample || first) forward(step, bad);
    if (by_sample) {
        if (first) softmax_.observe(step.hidden);
        softmax_.begin(output);
    } else {
        StepReport stages;
        softmax_.select(output, stages);
    }
    const UpdateRule bias_rule = without_decay(output.rule);
    executor_.for_each(step.hidden.rows, [&](std::size_t s, system::Worker worker) {
        RowCopies& copies = copies_of(worker);
        if (by_sample) {
            forward_one(step, s, copies, bad);
            softmax_.select_one(output, s, worker);
        }
        const std::span<const std::uint32_t> ids = softmax_.active(s);
        float* const values = softmax_.values(s).data();
        const float* const hidden = step.hidden.row(s);
        float* const gradient = output.hidden_gradient.row(s);
        output_rows_.dot_rows(hidden, ids, values, copies);
        softmax_.normalise_one(output, s);
        std::fill_n(gradient, zeros_.size(), 0.0F);
        output_rows_.update_rows(
            {ids.data(), values, ids.size()}, hidden, gradient, output.rule, copies);
        touched_.add(ids, worker);
        finish_gradient(step, s, bad);
        input_rows_.update_rows(
            features_of(output.batch, s), gradient, nullptr, output.rule, copies);
        bias_row_.update_rows(kWhole, gradient, nullptr, bias_rule, copies);
    });
    if (by_sample && !first) softmax_.observe(step.hidden);
    // Once a row and batch instead of once a pair: threads that rank by the copies meet none that
    // writes them.
    const std::span<const std::uint32_t> touched = touched_.take();
    softmax_.refresh(touched);
    report.rows_touched += touched.size();
}

void HogwildStep::racy(const Step& step, FirstBad& bad, StepReport& report) {
    static const system::TaskName kTask("racy_sums");
    const system::Task stage(kTask);
    const OutputStep& output = step.output;
    StageClock clock;
    forward(step, bad);
    report.seconds.input_forward += clock.lap();
    softmax_.select(output, report);
    (void)clock.lap();
    executor_.for_each(step.hidden.rows, [&](std::size_t s, system::Worker worker) {
        RowCopies& copies = copies_of(worker);
        const std::span<const std::uint32_t> ids = softmax_.active(s);
        float* const values = softmax_.values(s).data();
        const SparseView pairs{ids.data(), values, ids.size()};
        const float* const hidden = step.hidden.row(s);
        float* const gradient = output.hidden_gradient.row(s);
        output_.dot_rows(hidden, ids.data(), ids.size(), values);
        for (std::size_t i = 0; i < ids.size(); ++i) values[i] += output_.bias()[ids[i]];
        softmax_.normalise_one(output, s);
        std::fill_n(gradient, zeros_.size(), 0.0F);
        output_.bag_rows(pairs, gradient);
        sums_->output.add(pairs, hidden, worker, copies);
        finish_gradient(step, s, bad);
        sums_->input.add(features_of(output.batch, s), gradient, worker, copies);
        sums_->bias.add(kWhole, gradient, worker, copies);
    });
    report.seconds.backward += clock.lap();
    const std::span<const std::uint32_t> touched = sums_->output.update(output.rule);
    softmax_.refresh(touched);
    sums_->input.update(output.rule);
    sums_->bias.update(without_decay(output.rule));
    report.rows_touched += touched.size();
    report.seconds.input_backward += clock.lap();
}

StepReport HogwildStep::step(const data::PointsView& batch,
                             RowMatrix<float> hidden,
                             RowMatrix<float> gradient,
                             const UpdateRule& rule,
                             std::uint64_t step,
                             const Regularisers& regularisers) {
    StageClock clock;
    StepReport report;
    FirstBad bad;
    const Step all{{batch, hidden, gradient, rule, step, regularisers.label_smoothing},
                   hidden,
                   regularisers.clip_norm / static_cast<float>(batch.points)};
    if (sums_) {
        racy(all, bad, report);
    } else {
        hogwild(all, bad, report);
        report.seconds.backward += clock.lap();
    }
    softmax_.report_samples(report);
    if (!std::isfinite(report.loss)) bad.note(Layer::output);
    if (bad.layer != FirstBad::kNone) report.not_finite = static_cast<Layer>(bad.layer.load());
    return report;
}

}  // namespace slidekit::nn
