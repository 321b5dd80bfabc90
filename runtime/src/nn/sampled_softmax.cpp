// The LSH-sampled softmax: select per sample, then forward, backward and update per neuron.
#include "nn/sampled_softmax.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/lsh/probability.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

#include "system/task.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr float kTiny = 1e-30F;
constexpr double kLeastProbability = 1e-12;
constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr std::size_t kSamplesPerTask = 4;

std::size_t tasks_of(std::size_t samples) {
    return (samples + kSamplesPerTask - 1) / kSamplesPerTask;
}

}  // namespace

// What one thread needs to choose a sample's set.
struct SampledSoftmax::Chooser {
    explicit Chooser(std::uint32_t neurons) : chosen(neurons) {}

    lsh::StampSet chosen;
    std::vector<Found> found;         // the best of all shards
    std::vector<std::uint64_t> keys;  // scratch of keep_best()
    std::vector<std::uint32_t> picked;
};

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

// ---- selection ----

std::size_t SampledSoftmax::proposals() const noexcept {
    return uses_scan(config_.sampling) ? LinearScan::listed(config_.mix.lsh, config_.rank)
                                       : config_.mix.lsh;
}

FoundLists SampledSoftmax::found_lists(std::size_t shard) noexcept {
    return {found_.part(shard).data(), found_counts_.part(shard).data(), proposals()};
}

SampledSoftmax::Chooser& SampledSoftmax::chooser_of(system::Worker worker) {
    std::unique_ptr<Chooser>& chooser = choosers_[worker];
    if (!chooser) chooser = std::make_unique<Chooser>(parameters_.rows());
    return *chooser;
}

void SampledSoftmax::lay_out_slots(const data::PointsView& batch) {
    const std::uint64_t drawn =
        std::uint64_t{config_.mix.lsh} + config_.mix.batch + config_.mix.uniform;
    samples_ = batch.points;
    runs_.resize(samples_);
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
    bins_.assign(kBlocks * samples_, {});
    sample_reports_.assign(samples_, {});
    found_.resize(shards_.size(), samples_ * proposals());
    found_counts_.resize(shards_.size(), samples_);
    met_.resize(shards_.size(), samples_);
}

void SampledSoftmax::hash(const OutputStep& step) {
    static const system::TaskName kTask("hash");
    const system::Task stage(kTask);
    const bool scans = uses_scan(config_.sampling);
    if (!retrieving() && !scans) return;
    retrieval_.observe(step.hidden);  // prediction may look up what training has scanned
    if (scans) return;
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

// Each shard's best for each sample. A rebuild's slice runs beside, its larger pieces first.
void SampledSoftmax::propose(const OutputStep& step) {
    static const system::TaskName kTask("propose");
    const system::Task stage(kTask);
    using Round = RowTables::Round;
    RowTables& tables = retrieval_.row_tables();
    for_each_shard(executor_, blocks_, exchange_, [&](std::size_t shard) {
        if (shards_[shard]->scan) {
            LinearScan& scan = *shards_[shard]->scan;
            if (config_.sampling == Sampling::exact) {
                scan.top(step.hidden, config_.mix.lsh, config_.rank, found_lists(shard));
            } else {
                const Standout rule{.alpha = config_.alpha,
                                    .beta = config_.beta,
                                    .most = config_.mix.lsh,
                                    .seed = seed_,
                                    .step = step.step};
                scan.standout(step.hidden, rule, found_lists(shard));
            }
            return;
        }
        const std::size_t extra = tables.pieces(shard, Round::first);
        const std::size_t tasks = retrieving() ? tasks_of(samples_) : 0;
        executor_.for_each(extra + tasks, [&](std::size_t task, system::Worker worker) {
            if (task < extra) return tables.run_piece(shard, Round::first, task, worker);
            const std::size_t begin = (task - extra) * kSamplesPerTask;
            const std::size_t end = std::min(samples_, begin + kSamplesPerTask);
            for (std::size_t s = begin; s < end; ++s) retrieve(step, shard, s, worker);
        });
    });
    tables.end_round(Round::first);
    found_.gather(exchange_, blocks_);
    found_counts_.gather(exchange_, blocks_);
    met_.gather(exchange_, blocks_);
}

void SampledSoftmax::retrieve(const OutputStep& step,
                              std::size_t shard,
                              std::size_t sample,
                              system::Worker worker) {
    const FoundLists lists = found_lists(shard);
    lists.clear(sample);
    if (step.batch.labels_of(sample).empty()) return;
    if (!queries_[worker])
        queries_[worker] = std::make_unique<Retrieval::Query>(retrieval_.make_query());
    Retrieval::Query& query = *queries_[worker];
    std::uint64_t candidates = 0;
    const std::span<const Found> best = retrieval_.sample(
        shard,
        std::span(query_keys_)
            .subspan(sample * retrieval_.keys_per_query(), retrieval_.keys_per_query()),
        step.hidden.row(sample),
        config_.mix.lsh,
        system::Stream(seed_, system::Purpose::table_order, step.step, sample),
        query,
        candidates);
    for (const Found& found : best) lists.add(sample, found);

    Met& met = met_.part(shard)[sample];
    met = {static_cast<std::uint32_t>(candidates), 0};
    if (config_.sampling == Sampling::vanilla) return;  // counted when walks are merged
    const Range own = blocks_.neurons_of_shard(shard);
    for (const std::uint32_t label : step.batch.labels_of(sample))
        met.labels += own.has(label) && query.candidates.contains(label) ? 1 : 0;
}

// The best of what the shards propose.
void SampledSoftmax::merge(std::size_t sample, Chooser& chooser) const {
    std::vector<Found>& found = chooser.found;
    found.clear();
    if (!retrieving() && !uses_scan(config_.sampling)) return;
    for (std::size_t s = 0; s < shards_.size(); ++s) {
        const Found* const entries = found_.part(s).data() + sample * proposals();
        found.insert(found.end(), entries, entries + found_counts_.part(s)[sample]);
    }
    keep_best(found, proposals(), &Found::rank, chooser.keys);
    keep_best(found, config_.mix.lsh, &Found::again, chooser.keys);
}

void SampledSoftmax::choose(const OutputStep& step) {
    static const system::TaskName kTask("choose");
    const system::Task stage(kTask);
    using Round = RowTables::Round;
    RowTables& tables = retrieval_.row_tables();
    const std::size_t domains = executor_.domains();
    executor_.for_each_domain([&](std::size_t domain) {
        const bool shard = domain < shards_.size() && exchange_.own(domain);
        const std::size_t extra = shard ? tables.pieces(domain, Round::second) : 0;
        const std::size_t begin = samples_ * domain / domains;
        const std::size_t count = samples_ * (domain + 1) / domains - begin;
        executor_.for_each(extra + tasks_of(count), [&](std::size_t task, system::Worker worker) {
            if (task < extra) return tables.run_piece(domain, Round::second, task, worker);
            const std::size_t first = (task - extra) * kSamplesPerTask;
            const std::size_t end = std::min(count, first + kSamplesPerTask);
            for (std::size_t s = first; s < end; ++s)
                choose_for(step, begin + s, chooser_of(worker));
        });
    });
    tables.end_round(Round::second);
}

void SampledSoftmax::choose_for(const OutputStep& step, std::size_t sample, Chooser& chooser) {
    const data::PointsView& batch = step.batch;
    const std::span<const std::uint32_t> labels = batch.labels_of(sample);
    if (labels.empty()) return;
    std::vector<std::uint32_t>& picked = chooser.picked;
    picked.clear();
    chooser.chosen.clear();
    const auto add = [&](std::uint32_t id) {
        if (chooser.chosen.insert(id)) picked.push_back(id);
    };
    for (const std::uint32_t label : labels) add(label);
    const std::size_t own = picked.size();
    merge(sample, chooser);
    for (const Found& found : chooser.found) add(found.id);
    const std::size_t retrieved = picked.size() - own;

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
    bin(sample, own, retrieved, chooser);

    StepReport& report = sample_reports_[sample];
    report.samples = 1;
    report.labels = labels.size();
    report.active = picked.size();
    if (!retrieving()) return;
    for (std::size_t s = 0; s < shards_.size(); ++s) {
        report.candidates += met_.part(s)[sample].candidates;
        report.labels_retrieved += met_.part(s)[sample].labels;
    }
    if (config_.sampling != Sampling::vanilla) return;
    report.candidates = chooser.found.size();
    for (const Found& found : chooser.found)
        report.labels_retrieved += std::count(labels.begin(), labels.end(), found.id) > 0 ? 1 : 0;
}

// Lays what was picked into the sample's slots, block by block.
void SampledSoftmax::bin(std::size_t sample,
                         std::size_t labels,
                         std::size_t retrieved,
                         Chooser& chooser) {
    const std::vector<std::uint32_t>& picked = chooser.picked;
    for (std::size_t i = 0; i < picked.size(); ++i) {
        Bin& bin = bin_of(blocks_.of(picked[i]), sample);
        ++bin.count;
        bin.labels += i < labels ? 1U : 0U;
        bin.retrieved += i >= labels && i < labels + retrieved ? 1U : 0U;
    }
    std::array<std::uint32_t, kBlocks> next{};
    std::uint32_t slot = runs_[sample].first;
    for (std::size_t b = 0; b < kBlocks; ++b) {
        next[b] = bin_of(b, sample).first = slot;
        slot += bin_of(b, sample).count;
    }
    runs_[sample].count = slot - runs_[sample].first;
    for (const std::uint32_t id : picked) ids_[next[blocks_.of(id)]++] = id;
}

std::span<const std::uint32_t> SampledSoftmax::shared_set(const OutputStep& step,
                                                          StepReport& report) {
    StageClock clock;
    lay_out_slots(step.batch);
    hash(step);
    report.seconds.hash += clock.lap();
    propose(step);
    retrieval_.row_tables().run_round(RowTables::Round::second);
    shared_.clear();
    Chooser& chooser = chooser_of(0);
    for (const std::uint32_t s : labelled_) {
        merge(s, chooser);
        for (const Found& found : chooser.found) shared_.push_back(found.id);
        if (!retrieving()) continue;
        for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
            report.candidates += met_.part(shard)[s].candidates;
            report.labels_retrieved += met_.part(shard)[s].labels;
        }
    }
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
    parts_.resize_by_block(samples_);
    for_each_shard(executor_, blocks_, exchange_, [&](std::size_t s) {
        const Range blocks = blocks_.of_shard(s);
        executor_.for_each_piece(
            samples_, kSamplesPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
                for (std::size_t sample = begin; sample < end; ++sample)
                    for (std::size_t b = blocks.begin; b < blocks.end; ++b)
                        normalise_block(step, b, sample);
            });
    });
    parts_.gather(exchange_, blocks_);
    executor_.for_each_piece(
        samples_, kSamplesPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
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
    for (std::size_t i = 0; i < bin.labels; ++i) {
        part.best_label = std::max(part.best_label, values[i]);
        part.label_logits += static_cast<double>(values[i]);
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
    const float target = (1 - smoothing) / static_cast<float>(step.batch.labels_of(sample).size());
    const float everywhere = smoothing / static_cast<float>(active);
    Part all{.max = kLowest, .best_label = kLowest};
    for (std::size_t b = 0; b < kBlocks; ++b) {
        const Part& part = parts_.part(b)[sample];
        all.max = std::max(all.max, part.max);
        all.best_label = std::max(all.best_label, part.best_label);
        all.label_logits += part.label_logits;
        all.all_logits += part.all_logits;
    }
    std::array<float, kBlocks> scales{};
    double sum = 0;
    for (std::size_t b = 0; b < kBlocks; ++b) {
        const Part& part = parts_.part(b)[sample];
        if (bin_of(b, sample).count == 0) continue;
        scales[b] = std::exp(part.max - all.max);
        sum += static_cast<double>(part.sum) * static_cast<double>(scales[b]);
    }
    StepReport& report = sample_reports_[sample];
    report.loss = std::log(sum) + static_cast<double>(all.max) -
                  all.label_logits * static_cast<double>(target) -
                  all.all_logits * static_cast<double>(everywhere);
    report.correct = all.best_label >= all.max ? 1 : 0;

    const float share = 1.0F / static_cast<float>(samples_);
    for (std::size_t b = 0; b < kBlocks; ++b) {
        const Bin& bin = bin_of(b, sample);
        float* const values = values_.data() + bin.first;
        kernels::scale(share * scales[b] / static_cast<float>(sum), values, bin.count);
        for (std::size_t i = 0; i < bin.labels; ++i) values[i] -= share * target;
        if (smoothing > 0)
            for (std::size_t i = 0; i < bin.count; ++i) values[i] -= share * everywhere;
    }
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
    StageClock clock;
    lay_out_slots(step.batch);
    hash(step);
    report.seconds.hash += clock.lap();
    propose(step);
    choose(step);
    report.seconds.select += clock.lap();
    group();
    report.seconds.group += clock.lap();
    forward(step);
    report.seconds.forward += clock.lap();
    backward(step);
    report.seconds.backward += clock.lap();

    for (const StepReport& sample : sample_reports_) report += sample;
    for (std::size_t s = 0; s < shards_.size(); ++s) {
        if (!exchange_.own(s)) continue;
        report.rows_touched += shards_[s]->grouping.view().count;
        if (shards_[s]->remote) report.rows_remote += shards_[s]->grouping.view().count;
    }
}

double SampledSoftmax::top_recall(RowMatrix<const float> hidden) const {
    if (!retrieving()) return -1;
    return retrieval_.top_recall(hidden, config_.mix.lsh);
}

}  // namespace slidekit::nn
