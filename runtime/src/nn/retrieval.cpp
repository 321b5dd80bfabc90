// Retrieval by hash tables and a ranking of their candidates: see the header.
#include "nn/retrieval.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/topk.hpp>

#include "nn/output_step.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

// Weight of the newest batch in the running mean of the activations: about ten batches of memory,
// short against the drift of the activations and long against the noise of a small batch.
constexpr float kMeanRate = 0.1F;

}  // namespace

Retrieval::Query::Query(std::uint32_t neurons,
                        std::uint32_t walked_bound,
                        std::uint32_t dim,
                        std::size_t hash_floats,
                        lsh::Candidates::Counting counting)
    : candidates(neurons, counting), walked(walked_bound), hash(hash_floats), quantized(dim) {}

Retrieval::Retrieval(system::Runtime& runtime,
                     const Parameters& parameters,
                     const LshOutput& config,
                     std::vector<std::uint32_t> met,
                     std::uint64_t seed)
    : executor_(runtime.executor()),
      parameters_(parameters),
      config_(config),
      tables_(runtime, parameters, config, std::move(met), seed),
      mean_activation_(parameters.dim()) {
    if (config.rank == Rank::dot || uses_scan(config.sampling))
        rank_rows_.emplace(runtime, parameters.rows(), parameters.dim());
}

Retrieval::Query Retrieval::make_query() const {
    const bool counting = config_.rank == Rank::count || config_.sampling == Sampling::threshold;
    return {parameters_.rows(),
            config_.sampling == Sampling::vanilla ? parameters_.rows() : 0,
            parameters_.dim(),
            tables_.family().scratch_floats(),
            counting ? lsh::Candidates::Counting::on : lsh::Candidates::Counting::off};
}

// ---- tables ----

void Retrieval::refresh_copies() {
    constexpr std::size_t kRowsPerTask = 256;
    if (!rank_rows_) return;
    executor_.for_each_piece(
        met().size(), kRowsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            std::vector<float> joined(parameters_.dim());
            for (const std::uint32_t id : met().subspan(begin, end - begin))
                copy(id, joined.data());
        });
}

RebuildReport Retrieval::rebuild() {
    StageClock clock;
    refresh_copies();
    tables_.begin({.rows = RebuildRows::all});
    RebuildReport report = tables_.finish();
    report.seconds = clock.lap();
    return report;
}

void Retrieval::refresh(std::uint32_t id, float* scratch) noexcept {
    tables_.touch(id);
    if (rank_rows_) copy(id, scratch);
}

void Retrieval::prefetch_refresh(std::uint32_t id) const noexcept {
    if (rank_rows_) rank_rows_->prefetch(id);
}

void Retrieval::copy(std::uint32_t id, float* scratch) noexcept {
    rank_rows_->refresh(id, parameters_.row(id, scratch), parameters_.bias()[id]);
}

// ---- queries ----

void Retrieval::observe(RowMatrix<const float> hidden) {
    if (config_.centre == Centre::off) return;
    const float rate = mean_activation_known_ ? kMeanRate : 1.0F;
    mean_activation_known_ = true;
    kernels::scale(1 - rate, mean_activation_.data(), hidden.dim);
    const float weight = rate / static_cast<float>(hidden.rows);
    for (std::size_t s = 0; s < hidden.rows; ++s)
        kernels::axpy(weight, hidden.row(s), mean_activation_.data(), hidden.dim);
}

void Retrieval::set_query_centre(std::span<const float> centre) {
    std::copy_n(centre.begin(), mean_activation_.size(), mean_activation_.begin());
    mean_activation_known_ = true;
}

void Retrieval::hash_queries(RowMatrix<const float> hidden,
                             std::uint32_t* keys,
                             Query& query) const noexcept {
    tables_.family().hash_queries(hidden,
                                  config_.centre == Centre::on ? mean_activation_.data() : nullptr,
                                  keys,
                                  query.hash.data());
}

void Retrieval::hash_queries(RowMatrix<const float> queries,
                             QueryBy kind,
                             std::vector<std::uint32_t>& keys) const {
    constexpr std::size_t kQueriesPerTask = 32;
    keys.resize(queries.rows * keys_per_query());
    const std::span<const float> mean = kind == QueryBy::activation ? query_centre() : row_centre();
    const float* centre = config_.centre == Centre::on ? mean.data() : nullptr;
    std::vector<std::vector<float>> scratch(executor_.threads());
    executor_.for_each_piece(queries.rows,
                             kQueriesPerTask,
                             [&](std::size_t begin, std::size_t end, system::Worker worker) {
                                 scratch[worker].resize(tables_.family().scratch_floats());
                                 tables_.family().hash_queries(
                                     {queries.row(begin), end - begin, queries.dim, queries.stride},
                                     centre,
                                     keys.data() + begin * keys_per_query(),
                                     scratch[worker].data());
                             });
}

std::span<const std::uint32_t> Retrieval::candidates(std::span<const std::uint32_t> keys,
                                                     Query& query) const {
    return query.candidates.collect(tables_.tables(), keys);
}

std::span<const std::uint32_t> Retrieval::best_of(std::span<const std::uint32_t> ids,
                                                  const float* hidden,
                                                  std::size_t count,
                                                  Query& query) const {
    if (ids.size() <= count) {
        query.best.assign(ids.begin(), ids.end());
        return query.best;
    }
    if (query.scores.size() < ids.size()) query.scores.resize(ids.size());
    switch (config_.rank) {
        case Rank::dot:
            rank_rows_->score(hidden, ids, query.quantized.data(), query.scores.data());
            break;
        case Rank::dot_fp32:
            parameters_.dot_rows(hidden, ids.data(), ids.size(), query.scores.data());
            for (std::size_t i = 0; i < ids.size(); ++i)
                query.scores[i] += parameters_.bias()[ids[i]];
            break;
        case Rank::count: break;  // nothing to compute
    }
    std::vector<std::uint32_t>& chosen = query.best;
    chosen.resize(count);
    if (config_.rank == Rank::count) {
        const std::uint16_t* counts = query.candidates.counts().data();
        chosen.resize(kernels::select_top_counts(counts, ids.size(), chosen.size(), chosen.data()));
    } else {
        kernels::select_top_k(query.scores.data(), ids.size(), chosen.size(), chosen.data());
    }
    for (std::uint32_t& best : query.best) best = ids[best];  // positions to ids
    return query.best;
}

std::span<const std::uint32_t> Retrieval::walk(std::span<const std::uint32_t> keys,
                                               std::size_t count,
                                               system::Stream stream,
                                               Query& query) const {
    query.walked.clear();
    query.best.clear();
    query.order.resize(keys.size());
    std::iota(query.order.begin(), query.order.end(), 0U);
    for (std::size_t walked = 0; walked < keys.size(); ++walked) {
        const auto left = static_cast<std::uint32_t>(keys.size() - walked);
        std::swap(query.order[walked], query.order[walked + stream.below(left)]);
        const std::uint32_t key = query.order[walked];
        for (const std::uint32_t id :
             tables_.tables().bucket(key / config_.hash.probes, keys[key])) {
            if (query.best.size() == count) return query.best;
            if (query.walked.insert(id)) query.best.push_back(id);
        }
    }
    return query.best;
}

std::span<const std::uint32_t> Retrieval::sample(std::span<const std::uint32_t> keys,
                                                 const float* hidden,
                                                 std::size_t count,
                                                 system::Stream stream,
                                                 Query& query,
                                                 std::uint64_t& found) const {
    if (config_.sampling == Sampling::vanilla) {
        const std::span<const std::uint32_t> ids = walk(keys, count, stream, query);
        found = ids.size();
        return ids;
    }
    const std::span<const std::uint32_t> ids = candidates(keys, query);
    found = ids.size();
    if (config_.sampling == Sampling::top_k) return best_of(ids, hidden, count, query);
    if (config_.sampling == Sampling::all) return ids.first(std::min(count, ids.size()));

    const std::span<const std::uint16_t> counts = query.candidates.counts();
    query.order.resize(std::min(count, ids.size()));
    query.order.resize(kernels::select_top_counts(
        counts.data(), ids.size(), query.order.size(), query.order.data()));
    query.best.clear();
    for (const std::uint32_t position : query.order) {
        if (counts[position] >= config_.threshold) query.best.push_back(ids[position]);
    }
    return query.best;
}

std::size_t Retrieval::top(const float* hidden,
                           std::span<const std::uint32_t> keys,
                           std::span<Ranked> best,
                           Query& query) const {
    constexpr std::size_t kLeast = 32;  // the ranking is rough: more are looked at than are wanted
    const std::span<const std::uint32_t> found = candidates(keys, query);
    const std::span<const std::uint32_t> few =
        best_of(found, hidden, std::max(2 * best.size(), kLeast), query);
    rank(few, hidden, best, query);
    return found.size();
}

void Retrieval::rank(std::span<const std::uint32_t> few,
                     const float* hidden,
                     std::span<Ranked> best,
                     Query& query) const {
    if (query.scores.size() < few.size()) query.scores.resize(few.size());
    parameters_.dot_rows(hidden, few.data(), few.size(), query.scores.data());
    query.ranked.clear();
    for (std::size_t i = 0; i < few.size(); ++i)
        query.ranked.push_back({few[i], query.scores[i] + parameters_.bias()[few[i]]});
    const std::size_t given = std::min(best.size(), few.size());
    std::partial_sort(query.ranked.begin(),
                      query.ranked.begin() + static_cast<std::ptrdiff_t>(given),
                      query.ranked.end(),
                      [](const Ranked& a, const Ranked& b) {
                          return a.score > b.score || (a.score == b.score && a.label < b.label);
                      });
    std::copy_n(query.ranked.begin(), given, best.begin());
    std::fill(best.begin() + static_cast<std::ptrdiff_t>(given), best.end(), Ranked::none());
}

// ---- quality ----

double Retrieval::top_recall(RowMatrix<const float> hidden, std::size_t count) const {
    const std::size_t top = std::min(count, met().size());
    if (top == 0 || hidden.rows == 0) return -1;
    std::vector<std::uint32_t> keys;
    hash_queries(hidden, QueryBy::activation, keys);
    std::vector<std::uint64_t> found(hidden.rows);
    executor_.for_each(hidden.rows, [&](std::size_t i, system::Worker) {
        std::vector<float> scores(met().size());
        parameters_.dot_rows(hidden.row(i), met().data(), met().size(), scores.data());
        for (std::size_t j = 0; j < met().size(); ++j) scores[j] += parameters_.bias()[met()[j]];
        std::vector<std::uint32_t> best(top);
        kernels::select_top_k(scores.data(), scores.size(), top, best.data());
        Query query = make_query();
        candidates(std::span(keys).subspan(i * keys_per_query(), keys_per_query()), query);
        for (const std::uint32_t position : best)
            found[i] += query.candidates.contains(met()[position]) ? 1 : 0;
    });
    const std::uint64_t total = std::accumulate(found.begin(), found.end(), std::uint64_t{0});
    return static_cast<double>(total) / static_cast<double>(top * hidden.rows);
}

}  // namespace slidekit::nn
