// The LSH-sampled softmax: which neurons each sample has.
#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

#include "nn/draws.hpp"
#include "nn/sampled_softmax.hpp"
#include "system/task.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr std::size_t kSelectedPerTask = 4;

std::size_t tasks_of(std::size_t samples) {
    return (samples + kSelectedPerTask - 1) / kSelectedPerTask;
}

}  // namespace

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

Retrieval::Query& SampledSoftmax::query_of(system::Worker worker) {
    std::unique_ptr<Retrieval::Query>& query = queries_[worker];
    if (!query) query = std::make_unique<Retrieval::Query>(retrieval_.make_query());
    return *query;
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
    parts_.resize_by_block(samples_);
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
            const std::size_t begin = (task - extra) * kSelectedPerTask;
            const std::size_t end = std::min(samples_, begin + kSelectedPerTask);
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
    Retrieval::Query& query = query_of(worker);
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
            const std::size_t first = (task - extra) * kSelectedPerTask;
            const std::size_t end = std::min(count, first + kSelectedPerTask);
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

    draw_neurons(config_.mix, seed_, step.step, sample, &batch, labelled_, parameters_.rows(), add);
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

void SampledSoftmax::select(const OutputStep& step, StepReport& report) {
    StageClock clock;
    lay_out_slots(step.batch);
    hash(step);
    report.seconds.hash += clock.lap();
    propose(step);
    choose(step);
    report.seconds.select += clock.lap();
}

// A rebuild's slice runs before the samples, while nobody writes weights.
void SampledSoftmax::begin(const OutputStep& step) {
    lay_out_slots(step.batch);
    query_keys_.resize(samples_ * retrieval_.keys_per_query());
    retrieval_.row_tables().run_round(RowTables::Round::first);
    retrieval_.row_tables().run_round(RowTables::Round::second);
}

void SampledSoftmax::select_one(const OutputStep& step, std::size_t sample, system::Worker worker) {
    if (retrieving()) {
        const RowMatrix<const float> all = step.hidden;
        retrieval_.hash_queries({all.row(sample), 1, all.dim, all.stride},
                                query_keys_.data() + sample * retrieval_.keys_per_query(),
                                query_of(worker));
        retrieve(step, 0, sample, worker);
    }
    choose_for(step, sample, chooser_of(worker));
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

}  // namespace slidekit::nn
