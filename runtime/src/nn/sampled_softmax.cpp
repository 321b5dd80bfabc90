// The LSH-sampled softmax: select per sample, then forward, backward and update per neuron.
#include "nn/sampled_softmax.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/lsh/probability.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr float kTiny = 1e-30F;
constexpr double kLeastProbability = 1e-12;

}  // namespace

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
    if (uses_scan(config.sampling)) {
        scan_.emplace(executor_, parameters, retrieval_.copies(), retrieval_.met());
        retrieval_.refresh_copies();
    }
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
    retrieved_.assign(batch.points, 0);
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

void SampledSoftmax::hash(const OutputStep& step) {
    if (!retrieving() && !scan_) return;
    retrieval_.observe(step.hidden);  // prediction may look up what training has scanned
    if (scan_) return;
    if (config_.query == QueryBy::activation) {
        retrieval_.hash_queries(step.hidden, QueryBy::activation, query_keys_);
        return;
    }
    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(dim);
    label_rows_.resize(step.batch.points * stride);
    for (std::size_t s = 0; s < step.batch.points; ++s) {
        const std::span<const std::uint32_t> labels = step.batch.labels_of(s);
        if (labels.empty()) continue;
        system::Stream stream(seed_, system::Purpose::label_query, step.step, s);
        const std::uint32_t label = labels[stream.below(static_cast<std::uint32_t>(labels.size()))];
        parameters_.copy_row(label, label_rows_.data() + s * stride);
    }
    retrieval_.hash_queries(
        {label_rows_.data(), step.batch.points, dim, stride}, QueryBy::label, query_keys_);
}

std::span<const std::uint32_t> SampledSoftmax::retrieve(const OutputStep& step,
                                                        std::size_t sample,
                                                        Scratch& scratch) {
    StepReport& report = sample_reports_[sample];
    const std::span<const std::uint32_t> chosen = retrieval_.sample(
        std::span(query_keys_)
            .subspan(sample * retrieval_.keys_per_query(), retrieval_.keys_per_query()),
        step.hidden.row(sample),
        config_.mix.lsh,
        system::Stream(seed_, system::Purpose::table_order, step.step, sample),
        scratch.query,
        report.candidates);
    for (const std::uint32_t label : step.batch.labels_of(sample))
        report.labels_retrieved += retrieval_.met_in_bucket(scratch.query, label) ? 1 : 0;
    return chosen;
}

void SampledSoftmax::scan(const OutputStep& step) {
    if (config_.sampling == Sampling::exact) {
        scan_->top(step.hidden, config_.mix.lsh, config_.rank, scan_runs_, scan_ids_);
        return;
    }
    scan_->standout(step.hidden,
                    {.alpha = config_.alpha,
                     .beta = config_.beta,
                     .most = config_.mix.lsh,
                     .seed = seed_,
                     .step = step.step},
                    scan_runs_,
                    scan_ids_);
}

// Labels come first, so that slot i < |Y| of a sample is its i-th label; then what the tables gave.
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
    const std::uint32_t own = run.count;
    if (retrieving()) {
        for (const std::uint32_t id : retrieve(step, sample, scratch)) add(id);
    } else if (scan_) {
        for (const std::uint32_t id : scanned(sample)) add(id);
    }
    retrieved_[sample] = run.count - own;

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

    StepReport& report = sample_reports_[sample];
    report.samples = 1;
    report.labels = labels.size();
    report.active = run.count;
}

std::span<const std::uint32_t> SampledSoftmax::shared_set(const OutputStep& step,
                                                          StepReport& report) {
    StageClock clock;
    lay_out_slots(step.batch);
    hash(step);
    report.seconds.hash += clock.lap();
    if (scan_) scan(step);
    executor_.for_each(step.batch.points, [&](std::size_t s, system::Worker worker) {
        if (step.batch.labels_of(s).empty() || !(retrieving() || scan_)) return;
        const std::span<const std::uint32_t> chosen =
            scan_ ? scanned(s) : retrieve(step, s, scratch_[worker]);
        std::copy(chosen.begin(), chosen.end(), ids_.begin() + runs_[s].first);
        runs_[s].count = static_cast<std::uint32_t>(chosen.size());
    });
    shared_.clear();
    for (const SlotRun run : runs_)
        shared_.insert(
            shared_.end(), ids_.begin() + run.first, ids_.begin() + run.first + run.count);
    for (const StepReport& sample : sample_reports_) report += sample;
    report.seconds.select += clock.lap();
    return shared_;
}

void SampledSoftmax::refresh(std::span<const std::uint32_t> ids) {
    constexpr std::size_t kRowsPerTask = 256;
    executor_.for_each_piece(
        ids.size(), kRowsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            std::vector<float> joined(parameters_.dim());
            for (std::size_t i = begin; i < end; ++i) retrieval_.refresh(ids[i], joined.data());
        });
}

// ---- the step ----

// Takes ln q off the logits of all but the labels; see Correction for q.
void SampledSoftmax::correct(const OutputStep& step) {
    const std::size_t samples = step.batch.points;
    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(dim);
    const std::span<const float> row_centre = retrieval_.row_centre();
    const std::span<const float> centre = retrieval_.query_centre();
    centred_.resize(samples * stride);
    angles_.resize(values_.size());
    const RowMatrix<float> centred{centred_.data(), samples, dim, stride};
    for (std::size_t s = 0; s < samples; ++s) {
        std::copy_n(step.hidden.row(s), dim, centred.row(s));
        kernels::axpy(-1, centre.data(), centred.row(s), dim);
    }
    const float centre_norm = kernels::dot(row_centre.data(), row_centre.data(), dim);
    executor_.for_each(Grouping::kPieces, [&](std::size_t piece, system::Worker) {
        const kernels::GroupsView groups = grouping_.piece(piece);
        std::vector<float> joined(dim);
        parameters_.dot_groups(groups, centred, angles_.data());
        for (std::size_t g = 0; g < groups.count; ++g) {
            const float* row = parameters_.row(groups.ids[g], joined.data());
            const float bias = parameters_.bias()[groups.ids[g]];
            const float norm = kernels::dot(row, row, dim) -
                               2 * kernels::dot(row, row_centre.data(), dim) + centre_norm;
            for (std::uint32_t m = groups.starts[g]; m < groups.starts[g + 1]; ++m) {
                float& angle = angles_[groups.members[m].slot];
                angle -= bias + kernels::dot(
                                    row_centre.data(), centred.row(groups.members[m].vector), dim);
                angle /= std::sqrt(std::max(norm, kTiny));
            }
        }
    });

    // How often a label is drawn from the batch, by the samples that have it.
    std::map<std::uint32_t, double> popularity;
    for (const std::uint32_t s : labelled_) {
        const std::span<const std::uint32_t> labels = step.batch.labels_of(s);
        for (const std::uint32_t label : labels)
            popularity[label] += 1 / static_cast<double>(labels.size() * labelled_.size());
    }
    const double missed_uniformly =
        std::pow(1 - 1 / static_cast<double>(parameters_.rows()), config_.mix.uniform);
    executor_.for_each(samples, [&](std::size_t s, system::Worker) {
        const std::size_t labels = step.batch.labels_of(s).size();
        const SlotRun run = runs_[s];
        const float norm =
            std::sqrt(std::max(kernels::dot(centred.row(s), centred.row(s), dim), kTiny));
        const std::size_t retrieved = labels + retrieved_[s];
        float last = std::numeric_limits<float>::infinity();
        for (std::size_t i = labels; i < retrieved; ++i)
            last = std::min(last, values_[run.first + i]);
        for (std::size_t i = labels; i < run.count; ++i) {
            const std::size_t slot = run.first + i;
            double missed = missed_uniformly;
            if (const auto found = popularity.find(ids_[slot]); found != popularity.end())
                missed *= std::pow(1 - std::min(1.0, found->second), config_.mix.batch);
            if (values_[slot] >= last)
                missed *= 1 - lsh::retrieval_probability(static_cast<double>(angles_[slot] / norm),
                                                         config_.hash.k,
                                                         config_.hash.l);
            values_[slot] -= static_cast<float>(std::log(std::max(1 - missed, kLeastProbability)));
        }
    });
}

// Turns a sample's logits into gradients: (softmax - target) / batch, target (1 - E)/|Y| on each
// label and E/active everywhere, E the label smoothing.
void SampledSoftmax::softmax(const OutputStep& step, std::size_t sample) {
    const SlotRun run = runs_[sample];
    if (run.count == 0) return;
    const std::size_t labels = step.batch.labels_of(sample).size();
    float* const values = values_.data() + run.first;
    const float smoothing = step.label_smoothing;
    const float target = (1 - smoothing) / static_cast<float>(labels);
    const float everywhere = smoothing / static_cast<float>(run.count);
    const float best = kernels::max_value(values, run.count);
    const float best_label = kernels::max_value(values, labels);
    double label_logits = 0;
    for (std::size_t i = 0; i < labels; ++i) label_logits += static_cast<double>(values[i]);
    double all_logits = 0;
    if (smoothing > 0)
        for (std::size_t i = 0; i < run.count; ++i) all_logits += static_cast<double>(values[i]);
    const float sum = kernels::exp_sum(values, run.count, best);
    StepReport& report = sample_reports_[sample];
    report.loss = std::log(static_cast<double>(sum)) + static_cast<double>(best) -
                  label_logits * static_cast<double>(target) -
                  all_logits * static_cast<double>(everywhere);
    report.correct = best_label >= best ? 1 : 0;

    const float share = 1.0F / static_cast<float>(step.batch.points);
    kernels::scale(share / sum, values, run.count);
    for (std::size_t i = 0; i < labels; ++i) values[i] -= share * target;
    if (smoothing > 0)
        for (std::size_t i = 0; i < run.count; ++i) values[i] -= share * everywhere;
}

// In runs of a few hundred rows, so that the rows are still in L2 when their 8-bit copies are
// taken.
void SampledSoftmax::update(const OutputStep& step, std::size_t piece) {
    constexpr std::size_t kRowsPerRun = 256;
    const kernels::GroupsView groups = grouping_.piece(piece);
    const RowMatrix<float> back = gradients_.zeroed(piece);
    std::vector<float> joined(parameters_.dim());
    for (std::size_t begin = 0; begin < groups.count; begin += kRowsPerRun) {
        const std::size_t count = std::min(kRowsPerRun, groups.count - begin);
        const kernels::GroupsView run{
            groups.ids + begin, groups.starts + begin, groups.members, count, groups.slots};
        for (std::size_t g = 0; g < count; ++g) retrieval_.prefetch_refresh(run.ids[g]);
        parameters_.update_groups(run, values_.data(), step.hidden, back, step.rule);
        for (std::size_t g = 0; g < count; ++g) retrieval_.refresh(run.ids[g], joined.data());
    }
}

void SampledSoftmax::step(const OutputStep& step, StepReport& report) {
    constexpr std::size_t kSamplesPerTask = 4;
    const std::size_t samples = step.batch.points;
    StageClock clock;
    lay_out_slots(step.batch);
    hash(step);
    report.seconds.hash += clock.lap();
    if (scan_) scan(step);

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
        parameters_.dot_groups(grouping_.piece(piece), step.hidden, values_.data());
    });
    if (config_.correction == Correction::log_q) correct(step);
    executor_.for_each_piece(
        samples, kSamplesPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t s = begin; s < end; ++s) softmax(step, s);
        });
    report.seconds.forward += clock.lap();

    gradients_.resize(samples, parameters_.dim());
    executor_.for_each(Grouping::kPieces,
                       [&](std::size_t piece, system::Worker) { update(step, piece); });
    parameters_.update_others(executor_, grouping_.view(), step.rule);
    gradients_.sum_into(executor_, step.hidden_gradient);
    report.seconds.backward += clock.lap();

    for (const StepReport& sample : sample_reports_) report += sample;
    report.rows_touched += grouping_.view().count;
}

double SampledSoftmax::top_recall(RowMatrix<const float> hidden) const {
    if (!retrieving()) return -1;
    return retrieval_.top_recall(hidden, config_.mix.lsh);
}

}  // namespace slidekit::nn
