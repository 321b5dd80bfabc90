// The LSH-sampled softmax: select per sample, then forward, backward and update per neuron.
#include "nn/sampled_softmax.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::nn {

using kernels::RowMatrix;

struct SampledSoftmax::Scratch {
    Scratch(Retrieval::Query own_query, std::uint32_t neurons)
        : query(std::move(own_query)), chosen(neurons) {}

    Retrieval::Query query;
    lsh::StampSet chosen;
};

SampledSoftmax::SampledSoftmax(system::Runtime& runtime,
                               Parameters& parameters,
                               const LshOutput& config,
                               std::vector<std::uint32_t> met,
                               std::uint64_t seed)
    : executor_(runtime.executor()),
      parameters_(parameters),
      config_(config),
      seed_(seed),
      retrieval_(runtime, parameters, config, std::move(met), seed) {
    for (unsigned worker = 0; worker < executor_.threads(); ++worker) {
        scratch_.emplace_back(retrieval_.make_query(), parameters.rows());
    }
}

SampledSoftmax::~SampledSoftmax() = default;

// ---- selection ----

void SampledSoftmax::lay_out_slots(const data::PointsView& batch) {
    const std::uint64_t drawn =
        std::uint64_t{config_.mix.lsh} + config_.mix.batch + config_.mix.uniform;
    runs_.resize(batch.points);
    labelled_.clear();
    std::uint64_t first = 0;
    for (std::uint32_t s = 0; s < batch.points; ++s) {
        const std::size_t labels = batch.labels_of(s).size();
        runs_[s] = {static_cast<std::uint32_t>(first), 0};
        if (labels == 0) continue;
        labelled_.push_back(s);
        first += labels + drawn;
    }
    if (first > std::numeric_limits<std::uint32_t>::max()) {
        throw Error(ErrorCode::usage,
                    "batch",
                    std::to_string(batch.points) + " samples of " + std::to_string(drawn) +
                        " drawn neurons are more pairs than 32 bits count; lower batch or mix");
    }
    ids_.resize(first);
    values_.resize(first);
    sample_reports_.assign(batch.points, {});
}

// Labels come first, so that slot i < |Y| of a sample is its i-th label.
void SampledSoftmax::select(const OutputStep& step, std::size_t sample, Scratch& scratch) {
    const data::PointsView& batch = step.batch;
    const std::span<const std::uint32_t> labels = batch.labels_of(sample);
    SlotRun& run = runs_[sample];
    if (labels.empty()) return;
    std::uint32_t* const out = ids_.data() + run.first;
    const auto add = [&](std::uint32_t id) {
        out[run.count] = id;
        run.count += scratch.chosen.insert(id) ? 1U : 0U;
    };
    scratch.chosen.clear();
    for (const std::uint32_t label : labels) add(label);

    StepReport& report = sample_reports_[sample];
    if (config_.mix.lsh > 0) {
        const std::span<const std::uint32_t> candidates = retrieval_.candidates(
            std::span(query_keys_).subspan(sample * retrieval_.tables(), retrieval_.tables()),
            scratch.query);
        report.candidates = candidates.size();
        for (const std::uint32_t label : labels)
            report.labels_retrieved += scratch.query.candidates.contains(label) ? 1 : 0;
        for (const std::uint32_t id : retrieval_.best_of(
                 candidates, step.hidden.row(sample), config_.mix.lsh, scratch.query))
            add(id);
    }
    system::Stream stream(seed_, system::Purpose::batch_negatives, step.step, sample);
    for (std::uint32_t i = 0; i < config_.mix.batch; ++i) {
        const std::uint32_t other =
            labelled_[stream.below(static_cast<std::uint32_t>(labelled_.size()))];
        const std::span<const std::uint32_t> theirs = batch.labels_of(other);
        add(theirs[stream.below(static_cast<std::uint32_t>(theirs.size()))]);
    }
    system::Stream shared(
        seed_, system::Purpose::uniform_negatives, step.step, sample / config_.mix.uniform_group);
    for (std::uint32_t i = 0; i < config_.mix.uniform; ++i) add(shared.below(parameters_.rows()));

    report.samples = 1;
    report.labels = labels.size();
    report.active = run.count;
}

// ---- the step ----

// Turns a sample's logits into gradients: (softmax - target) / batch, target 1/|Y| on each label.
void SampledSoftmax::softmax(const OutputStep& step, std::size_t sample) {
    const SlotRun run = runs_[sample];
    if (run.count == 0) return;
    const std::size_t labels = step.batch.labels_of(sample).size();
    float* const values = values_.data() + run.first;
    const float target = 1.0F / static_cast<float>(labels);
    const float best = kernels::max_value(values, run.count);
    const float best_label = kernels::max_value(values, labels);
    double label_logits = 0;
    for (std::size_t i = 0; i < labels; ++i) label_logits += static_cast<double>(values[i]);
    const float sum = kernels::exp_sum(values, run.count, best);
    StepReport& report = sample_reports_[sample];
    report.loss = std::log(static_cast<double>(sum)) + static_cast<double>(best) -
                  label_logits * static_cast<double>(target);
    report.correct = best_label >= best ? 1 : 0;

    const float share = 1.0F / static_cast<float>(step.batch.points);
    kernels::scale(share / sum, values, run.count);
    for (std::size_t i = 0; i < labels; ++i) values[i] -= share * target;
}

// In runs of a few hundred rows, so that the rows are still in L2 when their 8-bit copies are
// taken.
void SampledSoftmax::update(const OutputStep& step, std::size_t piece) {
    constexpr std::size_t kRowsPerRun = 256;
    const kernels::GroupsView groups = grouping_.piece(piece);
    const RowMatrix<float> back = gradients_.zeroed(piece);
    for (std::size_t begin = 0; begin < groups.count; begin += kRowsPerRun) {
        const std::size_t count = std::min(kRowsPerRun, groups.count - begin);
        const kernels::GroupsView run{
            groups.ids + begin, groups.starts + begin, groups.members, count, groups.slots};
        parameters_.update_groups(run, values_.data(), step.hidden, back, step.rule);
        for (std::size_t g = 0; g < count; ++g) retrieval_.refresh(run.ids[g]);
    }
}

void SampledSoftmax::step(const OutputStep& step, StepReport& report) {
    constexpr std::size_t kSamplesPerTask = 4;
    const std::size_t samples = step.batch.points;
    StageClock clock;
    lay_out_slots(step.batch);
    if (config_.mix.lsh > 0) {
        retrieval_.observe(step.hidden);
        retrieval_.hash_queries(step.hidden, query_keys_);
    }
    report.seconds.hash += clock.lap();

    // A rebuild's slice runs beside, its larger pieces first.
    RowTables& tables = retrieval_.row_tables();
    const std::size_t extra = tables.slice_pieces();
    const std::size_t tasks = (samples + kSamplesPerTask - 1) / kSamplesPerTask;
    executor_.for_each(extra + tasks, [&](std::size_t task, system::Worker worker) {
        if (task < extra) return tables.run_piece(task, worker);
        const std::size_t begin = (task - extra) * kSamplesPerTask;
        const std::size_t end = std::min(samples, begin + kSamplesPerTask);
        for (std::size_t s = begin; s < end; ++s) select(step, s, scratch_[worker]);
    });
    tables.end_slice();
    report.seconds.select += clock.lap();

    grouping_.build(executor_, ids_, runs_, parameters_.rows());
    report.seconds.group += clock.lap();

    executor_.for_each(Grouping::kPieces, [&](std::size_t piece, system::Worker) {
        kernels::dot_groups(grouping_.piece(piece),
                            parameters_.weights(),
                            parameters_.bias().data(),
                            step.hidden,
                            values_.data());
    });
    executor_.for_each_piece(
        samples, kSamplesPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t s = begin; s < end; ++s) softmax(step, s);
        });
    report.seconds.forward += clock.lap();

    gradients_.resize(samples, parameters_.dim());
    executor_.for_each(Grouping::kPieces,
                       [&](std::size_t piece, system::Worker) { update(step, piece); });
    gradients_.sum_into(executor_, step.hidden_gradient);
    report.seconds.backward += clock.lap();

    for (const StepReport& sample : sample_reports_) report += sample;
    report.rows_touched += grouping_.view().count;
}

double SampledSoftmax::top_recall(RowMatrix<const float> hidden) const {
    return retrieval_.top_recall(hidden, config_.mix.lsh);
}

}  // namespace slidekit::nn
