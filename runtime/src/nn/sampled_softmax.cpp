// The LSH-sampled softmax: select per sample, then forward, backward and update per neuron.
#include "nn/sampled_softmax.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/topk.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

// Weight of the newest batch in the running mean of the activations: about ten batches of memory,
// short against the drift of the activations and long against the noise of a small batch.
constexpr float kMeanRate = 0.1F;

lsh::TablesConfig tables_config(const LshOutput& config,
                                std::uint32_t capacity,
                                std::uint64_t seed) {
    return {.tables = config.hash.l,
            .key_bits = lsh::key_bits(config.hash),
            .capacity = capacity,
            .bucket_cap = config.bucket_cap,
            .seed = seed};
}

}  // namespace

struct SampledSoftmax::Scratch {
    Scratch(std::uint32_t neurons, std::uint32_t dim, Rank rank)
        : candidates(
              neurons,
              rank == Rank::count ? lsh::Candidates::Counting::on : lsh::Candidates::Counting::off),
          chosen(neurons),
          hash(kernels::hash_scratch_floats(dim)),
          quantized(dim) {}

    lsh::Candidates candidates;
    lsh::StampSet chosen;
    std::vector<float> hash;
    std::vector<std::uint8_t> quantized;
    std::vector<std::int32_t> dots;
    std::vector<float> scores;
    std::vector<std::uint32_t> best;
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
      met_(std::move(met)),
      family_(config.hash, parameters.dim()),
      tables_(runtime, tables_config(config, static_cast<std::uint32_t>(met_.size()), seed)),
      row_keys_(
          runtime.allocate(met_.size() * config.hash.l * sizeof(std::uint32_t), "output.row_keys")),
      row_mean_(parameters.dim()),
      mean_activation_(parameters.dim()) {
    if (config.rank == Rank::dot) rank_rows_.emplace(runtime, parameters.rows(), parameters.dim());
    for (unsigned worker = 0; worker < executor_.threads(); ++worker) {
        scratch_.emplace_back(parameters.rows(), parameters.dim(), config.rank);
    }
}

SampledSoftmax::~SampledSoftmax() = default;

// ---- tables ----

// The mean is summed over fixed pieces, in order, so that its bits do not depend on the threads.
void SampledSoftmax::mean_of_rows() {
    constexpr std::size_t kRowsPerPiece = 4096;
    const std::size_t dim = parameters_.dim();
    const std::size_t pieces = (met_.size() + kRowsPerPiece - 1) / kRowsPerPiece;
    std::vector<float> sums(pieces * dim);
    executor_.for_each_piece(
        met_.size(), kRowsPerPiece, [&](std::size_t begin, std::size_t end, system::Worker) {
            float* sum = sums.data() + begin / kRowsPerPiece * dim;
            for (std::size_t i = begin; i < end; ++i)
                kernels::axpy(1, parameters_.weights().row(met_[i]), sum, dim);
        });
    std::fill(row_mean_.begin(), row_mean_.end(), 0.0F);
    for (std::size_t piece = 0; piece < pieces; ++piece) {
        kernels::axpy(1, sums.data() + piece * dim, row_mean_.data(), dim);
    }
    kernels::scale(1.0F / static_cast<float>(met_.size()), row_mean_.data(), dim);
}

RebuildReport SampledSoftmax::rebuild() {
    StageClock clock;
    const bool centre = config_.centre == Centre::on;
    if (centre) mean_of_rows();

    // Rows are copied in small blocks first: those in the tables need not be neighbours.
    constexpr std::size_t kBlock = 64;
    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(dim);
    const std::span<std::uint32_t> keys = row_keys_.as<std::uint32_t>();
    executor_.for_each_piece(
        met_.size(), kBlock, [&](std::size_t begin, std::size_t end, system::Worker worker) {
            Scratch& scratch = scratch_[worker];
            scratch.scores.resize(std::max(scratch.scores.size(), kBlock * stride));
            const RowMatrix<float> block{scratch.scores.data(), end - begin, dim, stride};
            for (std::size_t i = begin; i < end; ++i) {
                const float* row = parameters_.weights().row(met_[i]);
                std::copy_n(row, dim, block.row(i - begin));
                if (rank_rows_) rank_rows_->refresh(met_[i], row);
            }
            family_.hash_rows(block,
                              centre ? row_mean_.data() : nullptr,
                              keys.data() + begin,
                              {.row_stride = 1, .table_stride = met_.size()},
                              scratch.hash.data());
        });
    tables_.rebuild(executor_, met_, keys.data(), met_.size(), generation_++);
    return {.seconds = clock.lap(), .rows = met_.size(), .occupancy = tables_.occupancy()};
}

// ---- selection ----

void SampledSoftmax::centre_on(RowMatrix<const float> hidden) {
    if (config_.centre == Centre::off) return;
    const float rate = mean_activation_known_ ? kMeanRate : 1.0F;
    mean_activation_known_ = true;
    kernels::scale(1 - rate, mean_activation_.data(), hidden.dim);
    const float weight = rate / static_cast<float>(hidden.rows);
    for (std::size_t s = 0; s < hidden.rows; ++s)
        kernels::axpy(weight, hidden.row(s), mean_activation_.data(), hidden.dim);
}

void SampledSoftmax::hash_queries(RowMatrix<const float> hidden) {
    constexpr std::size_t kSamplesPerTask = 32;
    const std::size_t tables = config_.hash.l;
    query_keys_.resize(hidden.rows * tables);
    const float* centre = config_.centre == Centre::on ? mean_activation_.data() : nullptr;
    executor_.for_each_piece(hidden.rows,
                             kSamplesPerTask,
                             [&](std::size_t begin, std::size_t end, system::Worker worker) {
                                 family_.hash_rows(
                                     {hidden.row(begin), end - begin, hidden.dim, hidden.stride},
                                     centre,
                                     query_keys_.data() + begin * tables,
                                     {.row_stride = tables, .table_stride = 1},
                                     scratch_[worker].hash.data());
                             });
}

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

std::span<const std::uint32_t> SampledSoftmax::retrieve(std::size_t query, Scratch& scratch) {
    const std::size_t tables = config_.hash.l;
    return scratch.candidates.collect(tables_, {query_keys_.data() + query * tables, tables});
}

std::span<const std::uint32_t> SampledSoftmax::best_of(std::span<const std::uint32_t> ids,
                                                       const float* hidden,
                                                       Scratch& scratch) {
    if (ids.size() <= config_.mix.lsh) {
        scratch.best.assign(ids.begin(), ids.end());
        return scratch.best;
    }
    // Apart: a rebuild lends itself the scores as scratch and leaves them longer than the dots.
    if (scratch.scores.size() < ids.size()) scratch.scores.resize(ids.size());
    if (scratch.dots.size() < ids.size()) scratch.dots.resize(ids.size());
    const float* bias = parameters_.bias().data();
    switch (config_.rank) {
        case Rank::dot:
            rank_rows_->score(hidden,
                              bias,
                              ids,
                              scratch.quantized.data(),
                              scratch.dots.data(),
                              scratch.scores.data());
            break;
        case Rank::dot_fp32:
            kernels::dot_rows(
                hidden, parameters_.weights(), ids.data(), ids.size(), scratch.scores.data());
            for (std::size_t i = 0; i < ids.size(); ++i) scratch.scores[i] += bias[ids[i]];
            break;
        case Rank::count: break;  // nothing to compute
    }
    std::vector<std::uint32_t>& chosen = scratch.best;
    chosen.resize(config_.mix.lsh);
    if (config_.rank == Rank::count) {
        const std::uint16_t* counts = scratch.candidates.counts().data();
        chosen.resize(kernels::select_top_counts(counts, ids.size(), chosen.size(), chosen.data()));
    } else {
        kernels::select_top_k(scratch.scores.data(), ids.size(), chosen.size(), chosen.data());
    }
    for (std::uint32_t& best : scratch.best) best = ids[best];  // positions to ids
    return scratch.best;
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
        const std::span<const std::uint32_t> candidates = retrieve(sample, scratch);
        report.candidates = candidates.size();
        for (const std::uint32_t label : labels)
            report.labels_retrieved += scratch.candidates.contains(label) ? 1 : 0;
        for (const std::uint32_t id : best_of(candidates, step.hidden.row(sample), scratch))
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
        if (!rank_rows_) continue;
        for (std::size_t g = 0; g < count; ++g)
            rank_rows_->refresh(run.ids[g], parameters_.weights().row(run.ids[g]));
    }
}

void SampledSoftmax::step(const OutputStep& step, StepReport& report) {
    constexpr std::size_t kSamplesPerTask = 4;
    const std::size_t samples = step.batch.points;
    StageClock clock;
    lay_out_slots(step.batch);
    if (config_.mix.lsh > 0) {
        centre_on(step.hidden);
        hash_queries(step.hidden);
    }
    report.seconds.hash += clock.lap();

    executor_.for_each_piece(
        samples, kSamplesPerTask, [&](std::size_t begin, std::size_t end, system::Worker worker) {
            for (std::size_t s = begin; s < end; ++s) select(step, s, scratch_[worker]);
        });
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

// ---- quality of retrieval ----

double SampledSoftmax::top_recall(RowMatrix<const float> hidden) {
    const std::size_t top = std::min<std::size_t>(config_.mix.lsh, met_.size());
    if (top == 0 || hidden.rows == 0) return -1;
    hash_queries(hidden);
    std::vector<std::uint64_t> found(hidden.rows);
    executor_.for_each(hidden.rows, [&](std::size_t i, system::Worker worker) {
        std::vector<float> scores(met_.size());
        kernels::dot_rows(
            hidden.row(i), parameters_.weights(), met_.data(), met_.size(), scores.data());
        for (std::size_t j = 0; j < met_.size(); ++j) scores[j] += parameters_.bias()[met_[j]];
        std::vector<std::uint32_t> best(top);
        kernels::select_top_k(scores.data(), scores.size(), top, best.data());
        Scratch& scratch = scratch_[worker];
        retrieve(i, scratch);
        for (const std::uint32_t position : best)
            found[i] += scratch.candidates.contains(met_[position]) ? 1 : 0;
    });
    const std::uint64_t total = std::accumulate(found.begin(), found.end(), std::uint64_t{0});
    return static_cast<double>(total) / static_cast<double>(top * hidden.rows);
}

}  // namespace slidekit::nn
