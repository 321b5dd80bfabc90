// The LSH-sampled softmax: forward, backward and update per neuron, once the samples have theirs
// (sampled_softmax_selection.cpp).
#include "nn/sampled_softmax.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/lsh/probability.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

#include "nn/finite.hpp"
#include "nn/loss.hpp"
#include "system/task.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr float kTiny = 1e-30F;
constexpr double kLeastProbability = 1e-12;
constexpr std::size_t kComputedPerTask = 4;

}  // namespace

SampledSoftmax::SampledSoftmax(system::Runtime& runtime,
                               Parameters& parameters,
                               const LshOutput& config,
                               std::vector<std::uint32_t> met,
                               std::uint64_t seed,
                               const Blocks& blocks,
                               Exchange& exchange)
    : executor_(runtime.executor()),
      parameters_(parameters),
      config_(config),
      seed_(seed),
      blocks_(blocks),
      exchange_(exchange),
      retrieval_(runtime, parameters, config, std::move(met), seed, blocks, exchange),
      queries_(executor_.threads()),
      choosers_(executor_.threads()) {
    if (config.sampling == Sampling::standout && blocks.shards() > 1)
        throw Error(ErrorCode::usage,
                    "sampling",
                    "standout draws over all neurons in one order; use one domain");
    for (std::size_t s = 0; s < blocks.shards(); ++s) {
        shards_.push_back(std::make_unique<Shard>());
        shards_[s]->pieces.resize(blocks.of_shard(s).size());
        shards_[s]->remote = stands_elsewhere(runtime, s);
        if (uses_scan(config.sampling))
            shards_[s]->scan.emplace(executor_, parameters, retrieval_.copies(), retrieval_.met(s));
    }
    if (uses_scan(config.sampling)) retrieval_.refresh_copies();
}

SampledSoftmax::~SampledSoftmax() = default;

// ---- the step ----

// Pieces are shared out among the blocks by their work, at least one to each that has any.
void SampledSoftmax::group() {
    static const system::TaskName kTask("group");
    const system::Task stage(kTask);
    work_.resize_by_block(1);
    for_each_shard(executor_, blocks_, exchange_, [&](std::size_t s) {
        Shard& shard = *shards_[s];
        const Range blocks = blocks_.of_shard(s);
        const Range neurons = blocks_.neurons_of_shard(s);
        shard.runs.resize(samples_);
        for (std::size_t sample = 0; sample < samples_; ++sample) {
            shard.runs[sample] = {bin_of(blocks.begin, sample).first, 0};
            for (std::size_t b = blocks.begin; b < blocks.end; ++b)
                shard.runs[sample].count += bin_of(b, sample).count;
        }
        shard.grouping.build(executor_,
                             ids_,
                             shard.runs,
                             static_cast<std::uint32_t>(neurons.end),
                             static_cast<std::uint32_t>(neurons.begin));
        for (std::size_t b = blocks.begin; b < blocks.end; ++b)
            work_.part(b)[0] =
                shard.grouping.work(blocks_.neurons(b).begin, blocks_.neurons(b).end);
    });
    work_.gather(exchange_, blocks_);
    std::uint64_t all = 0;
    for (std::size_t b = 0; b < kBlocks; ++b) all += work_.part(b)[0];
    for (std::size_t s = 0; s < shards_.size(); ++s) {
        if (!exchange_.own(s)) continue;
        Shard& shard = *shards_[s];
        const Range blocks = blocks_.of_shard(s);
        shard.grouping.uncut();
        for (std::size_t b = blocks.begin; b < blocks.end; ++b) {
            const std::uint64_t work = work_.part(b)[0];
            const std::size_t begin = shard.grouping.pieces();
            if (work > 0)
                shard.grouping.cut(blocks_.neurons(b).begin,
                                   blocks_.neurons(b).end,
                                   std::max<std::uint64_t>(1, Grouping::kPieces * work / all));
            shard.pieces[b - blocks.begin] = {begin, shard.grouping.pieces()};
        }
    }
}

void SampledSoftmax::forward(const OutputStep& step) {
    static const system::TaskName kTask("forward");
    const system::Task stage(kTask);
    for_each_shard(executor_, blocks_, exchange_, [&](std::size_t s) {
        const Grouping& grouping = shards_[s]->grouping;
        executor_.for_each(grouping.pieces(), [&](std::size_t piece, system::Worker) {
            parameters_.dot_groups(grouping.piece(piece), step.hidden, values_.data());
        });
    });
    if (config_.correction == Correction::log_q) correct(step);
    for_each_shard(executor_, blocks_, exchange_, [&](std::size_t s) {
        const Range blocks = blocks_.of_shard(s);
        executor_.for_each_piece(
            samples_, kComputedPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
                for (std::size_t sample = begin; sample < end; ++sample)
                    for (std::size_t b = blocks.begin; b < blocks.end; ++b)
                        normalise_block(step, b, sample);
            });
    });
    parts_.gather(exchange_, blocks_);
    executor_.for_each_piece(
        samples_, kComputedPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t sample = begin; sample < end; ++sample) normalise(step, sample);
        });
}

// Takes ln q off the logits of all but the labels; see Correction for q.
void SampledSoftmax::correct(const OutputStep& step) {
    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(dim);
    const std::span<const float> row_centre = retrieval_.row_centre();
    const std::span<const float> centre = retrieval_.query_centre();
    centred_.resize(samples_ * stride);
    angles_.resize(values_.size());
    const RowMatrix<float> centred{centred_.data(), samples_, dim, stride};
    for (std::size_t s = 0; s < samples_; ++s) {
        std::copy_n(step.hidden.row(s), dim, centred.row(s));
        kernels::axpy(-1, centre.data(), centred.row(s), dim);
    }
    const float centre_norm = kernels::dot(row_centre.data(), row_centre.data(), dim);
    last_.resize_by_block(samples_);
    for_each_shard(executor_, blocks_, exchange_, [&](std::size_t shard) {
        const Grouping& grouping = shards_[shard]->grouping;
        executor_.for_each(grouping.pieces(), [&](std::size_t piece, system::Worker) {
            const kernels::GroupsView groups = grouping.piece(piece);
            std::vector<float> joined(dim);
            parameters_.dot_groups(groups, centred, angles_.data());
            for (std::size_t g = 0; g < groups.count; ++g) {
                const float* row = parameters_.row(groups.ids[g], joined.data());
                const float bias = parameters_.bias()[groups.ids[g]];
                const float norm = kernels::dot(row, row, dim) -
                                   2 * kernels::dot(row, row_centre.data(), dim) + centre_norm;
                for (std::uint32_t m = groups.starts[g]; m < groups.starts[g + 1]; ++m) {
                    const float* const vector = centred.row(groups.members[m].vector);
                    float& angle = angles_[groups.members[m].slot];
                    angle -= bias + kernels::dot(row_centre.data(), vector, dim);
                    angle /= std::sqrt(std::max(norm, kTiny));
                }
            }
        });
        const Range blocks = blocks_.of_shard(shard);
        for (std::size_t b = blocks.begin; b < blocks.end; ++b) {
            for (std::size_t s = 0; s < samples_; ++s) {
                const Bin& bin = bin_of(b, s);
                float& last = last_.part(b)[s] = -kLowest;
                for (std::uint32_t i = bin.labels; i < bin.labels + bin.retrieved; ++i)
                    last = std::min(last, values_[bin.first + i]);
            }
        }
    });
    last_.gather(exchange_, blocks_);

    // How often a label is drawn from the batch, by the samples that have it.
    std::map<std::uint32_t, double> popularity;
    for (const std::uint32_t s : labelled_) {
        const std::span<const std::uint32_t> labels = step.batch.labels_of(s);
        for (const std::uint32_t label : labels)
            popularity[label] += 1 / static_cast<double>(labels.size() * labelled_.size());
    }
    const double missed_uniformly =
        std::pow(1 - 1 / static_cast<double>(parameters_.rows()), config_.mix.uniform);
    executor_.for_each(samples_, [&](std::size_t s, system::Worker) {
        const float norm =
            std::sqrt(std::max(kernels::dot(centred.row(s), centred.row(s), dim), kTiny));
        float last = -kLowest;
        for (std::size_t b = 0; b < kBlocks; ++b) last = std::min(last, last_.part(b)[s]);
        for (std::size_t b = 0; b < kBlocks; ++b) {
            const Bin& bin = bin_of(b, s);
            for (std::size_t slot = bin.first + bin.labels; slot < bin.first + bin.count; ++slot) {
                double missed = missed_uniformly;
                if (const auto found = popularity.find(ids_[slot]); found != popularity.end())
                    missed *= std::pow(1 - std::min(1.0, found->second), config_.mix.batch);
                if (values_[slot] >= last)
                    missed *=
                        1 - lsh::retrieval_probability(static_cast<double>(angles_[slot] / norm),
                                                       config_.hash.k,
                                                       config_.hash.l);
                values_[slot] -=
                    static_cast<float>(std::log(std::max(1 - missed, kLeastProbability)));
            }
        }
    });
}

// Turns the logits of a bin into exponentials below its own maximum.
void SampledSoftmax::normalise_block(const OutputStep& step,
                                     std::size_t block,
                                     std::size_t sample) {
    const Bin& bin = bin_of(block, sample);
    Part& part = parts_.part(block)[sample];
    part = {.max = kLowest, .best_label = kLowest};
    if (bin.count == 0) return;
    float* const values = values_.data() + bin.first;
    const bool same_targets = step.batch.label_values.empty();
    const Targets targets(step.batch, step.loss, step.label_smoothing);
    for (std::size_t i = 0; i < bin.labels; ++i) {
        part.best_label = std::max(part.best_label, values[i]);
        const float target = same_targets ? 1.0F : targets.of(sample, ids_[bin.first + i]);
        part.label_logits += static_cast<double>(target) * static_cast<double>(values[i]);
    }
    if (step.loss != Loss::softmax) {
        part.max = kernels::max_value(values, bin.count);
        return;
    }
    if (step.label_smoothing > 0)
        for (std::size_t i = 0; i < bin.count; ++i)
            part.all_logits += static_cast<double>(values[i]);
    part.max = kernels::max_value(values, bin.count);
    part.sum = kernels::exp_sum(values, bin.count, part.max);
}

// Turns a sample's exponentials into gradients: (softmax - target) / batch, target (1 - E)/|Y| on
// each label and E/active everywhere, E the label smoothing.
void SampledSoftmax::normalise(const OutputStep& step, std::size_t sample) {
    const std::uint32_t active = runs_[sample].count;
    if (active == 0) return;
    const float smoothing = step.label_smoothing;
    const Targets targets(step.batch, step.loss, smoothing);
    const bool same_targets = step.batch.label_values.empty();
    const float target = targets.scale(sample);
    const float everywhere = targets.everywhere(active);
    Part all{.max = kLowest, .best_label = kLowest};
    for (std::size_t b = 0; b < kBlocks; ++b) {
        const Part& part = parts_.part(b)[sample];
        all.max = std::max(all.max, part.max);
        all.best_label = std::max(all.best_label, part.best_label);
        all.label_logits += part.label_logits;
        all.all_logits += part.all_logits;
    }
    StepReport& report = sample_reports_[sample];
    report.correct = all.best_label >= all.max ? 1 : 0;
    if (step.loss != Loss::softmax) return take_pointwise(step, sample);
    std::array<float, kBlocks> scales{};
    double sum = 0;
    for (std::size_t b = 0; b < kBlocks; ++b) {
        const Part& part = parts_.part(b)[sample];
        if (bin_of(b, sample).count == 0) continue;
        scales[b] = std::exp(part.max - all.max);
        sum += static_cast<double>(part.sum) * static_cast<double>(scales[b]);
    }
    const float weight = targets.weight(sample);
    report.loss = static_cast<double>(weight) *
                  (std::log(sum) + static_cast<double>(all.max) -
                   all.label_logits * (same_targets ? static_cast<double>(target) : 1.0) -
                   all.all_logits * static_cast<double>(everywhere));

    const float share = weight / static_cast<float>(samples_);
    for (std::size_t b = 0; b < kBlocks; ++b) {
        const Bin& bin = bin_of(b, sample);
        float* const values = values_.data() + bin.first;
        kernels::scale(share * scales[b] / static_cast<float>(sum), values, bin.count);
        for (std::size_t i = 0; i < bin.labels; ++i)
            values[i] -= share * (same_targets ? target : targets.of(sample, ids_[bin.first + i]));
        if (smoothing > 0)
            for (std::size_t i = 0; i < bin.count; ++i) values[i] -= share * everywhere;
    }
}

// The same for losses of one logit and one target.
void SampledSoftmax::take_pointwise(const OutputStep& step, std::size_t sample) {
    const Targets targets(step.batch, step.loss, step.label_smoothing);
    const float everywhere = targets.everywhere(runs_[sample].count);
    const float weight = targets.weight(sample);
    const float share = weight / static_cast<float>(samples_);
    double loss = 0;
    for (std::size_t b = 0; b < kBlocks; ++b) {
        const Bin& bin = bin_of(b, sample);
        const std::uint32_t* const ids = ids_.data() + bin.first;
        float* const values = values_.data() + bin.first;
        for (std::size_t i = 0; i < bin.labels; ++i)
            loss += static_cast<double>(weight) *
                    target_loss(step.loss, values[i], targets.of(sample, ids[i]), everywhere);
        loss += static_cast<double>(samples_) *
                pointwise_gradients(step.loss, {values, bin.count}, everywhere, &share, 0);
        for (std::size_t i = 0; i < bin.labels; ++i)
            values[i] -= share * targets.of(sample, ids[i]);
    }
    sample_reports_[sample].loss = loss;
}

// In runs of a few hundred rows, so that the rows are still in L2 when their 8-bit copies are
// taken.
void SampledSoftmax::update(const OutputStep& step, Shard& shard, std::size_t piece) {
    constexpr std::size_t kRowsPerRun = 256;
    const kernels::GroupsView groups = shard.grouping.piece(piece);
    const RowMatrix<float> back = shard.gradients.zeroed(piece);
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

void SampledSoftmax::backward(const OutputStep& step) {
    static const system::TaskName kTask("backward");
    const system::Task stage(kTask);
    constexpr std::size_t kSumsPerTask = 16;
    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(dim);
    block_gradients_.resize_by_block(samples_ * stride);
    for_each_shard(executor_, blocks_, exchange_, [&](std::size_t s) {
        Shard& shard = *shards_[s];
        shard.gradients.resize(shard.grouping.pieces(), samples_, dim);
        executor_.for_each(shard.grouping.pieces(),
                           [&](std::size_t piece, system::Worker) { update(step, shard, piece); });
        const Range neurons = blocks_.neurons_of_shard(s);
        parameters_.update_others(
            executor_, shard.grouping.view(), step.rule, neurons.begin, neurons.end);
        const Range blocks = blocks_.of_shard(s);
        for (std::size_t b = blocks.begin; b < blocks.end; ++b) {
            const Range pieces = shard.pieces[b - blocks.begin];
            shard.gradients.sum_into(executor_,
                                     pieces.begin,
                                     pieces.end,
                                     {block_gradients_.part(b).data(), samples_, dim, stride});
        }
    });
    block_gradients_.gather(exchange_, blocks_);
    executor_.for_each_piece(
        samples_, kSumsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t s = begin; s < end; ++s) {
                float* const out = step.hidden_gradient.row(s);
                std::copy_n(block_gradients_.part(0).data() + s * stride, dim, out);
                for (std::size_t b = 1; b < kBlocks; ++b)
                    kernels::axpy(1, block_gradients_.part(b).data() + s * stride, out, dim);
            }
        });
}

void SampledSoftmax::step(const OutputStep& step, StepReport& report) {
    select(step, report);
    StageClock clock;
    group();
    report.seconds.group += clock.lap();
    forward(step);
    report.seconds.forward += clock.lap();
    backward(step);
    report.seconds.backward += clock.lap();

    report_samples(report);
    for (std::size_t s = 0; s < shards_.size(); ++s) {
        if (!exchange_.own(s)) continue;
        report.rows_touched += shards_[s]->grouping.view().count;
        if (shards_[s]->remote) report.rows_remote += shards_[s]->grouping.view().count;
    }
}

void SampledSoftmax::normalise_one(const OutputStep& step, std::size_t sample) {
    for (std::size_t b = 0; b < kBlocks; ++b) normalise_block(step, b, sample);
    normalise(step, sample);
}

void SampledSoftmax::report_samples(StepReport& report) const {
    for (const StepReport& sample : sample_reports_) report += sample;
}

double SampledSoftmax::top_recall(RowMatrix<const float> hidden) const {
    if (!retrieving()) return -1;
    return retrieval_.top_recall(hidden, config_.mix.lsh);
}

}  // namespace slidekit::nn
