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

// `positions` are of the best values, ascending. Where more are as good as the least of them, those
// of the lowest ids are taken instead of the first: what other shards have does not count then.
template <class T>
void settle_ties(std::span<const std::uint32_t> ids, const T* values, Retrieval::Query& query) {
    std::vector<std::uint32_t>& positions = query.positions;
    if (positions.empty()) return;
    T least = values[positions[0]];
    for (const std::uint32_t p : positions) least = std::min(least, values[p]);
    std::size_t taken = 0;
    for (const std::uint32_t p : positions) taken += values[p] == least ? 1 : 0;
    const auto all = static_cast<std::size_t>(std::count(values, values + ids.size(), least));
    if (all == taken || taken == 0) return;  // taken == 0: NaN
    query.ids.clear();
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (values[i] == least) query.ids.push_back(ids[i]);
    const auto last = query.ids.begin() + static_cast<std::ptrdiff_t>(taken - 1);
    std::nth_element(query.ids.begin(), last, query.ids.end());
    const std::uint32_t highest = *last;
    positions.clear();
    for (std::uint32_t i = 0; i < ids.size(); ++i) {
        if (values[i] > least || (values[i] == least && ids[i] <= highest)) positions.push_back(i);
    }
}

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
                     std::uint64_t seed,
                     const Blocks& blocks,
                     Exchange& exchange)
    : executor_(runtime.executor()),
      parameters_(parameters),
      config_(config),
      blocks_(blocks),
      exchange_(exchange),
      tables_(runtime, parameters, config, std::move(met), seed, blocks, exchange),
      centre_(parameters.dim()) {
    if (config.rank == Rank::dot || uses_scan(config.sampling))
        rank_rows_.emplace(runtime,
                           parameters.rows(),
                           parameters.dim(),
                           homes_of(blocks, runtime.topology().domains.size()));
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
    for_each_shard(executor_, blocks_, exchange_, [&](std::size_t shard) {
        const std::span<const std::uint32_t> rows = met(shard);
        executor_.for_each_piece(
            rows.size(), kRowsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
                std::vector<float> joined(parameters_.dim());
                for (const std::uint32_t id : rows.subspan(begin, end - begin))
                    copy(id, joined.data());
            });
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
    if (config_.centre == Centre::on) centre_.observe(hidden);
}

void Retrieval::set_query_centre(std::span<const float> centre) { centre_.set(centre); }

void Retrieval::hash_queries(RowMatrix<const float> hidden,
                             std::uint32_t* keys,
                             Query& query) const noexcept {
    tables_.family().hash_queries(hidden,
                                  config_.centre == Centre::on ? centre_.mean().data() : nullptr,
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

std::span<const std::uint32_t> Retrieval::candidates(std::size_t shard,
                                                     std::span<const std::uint32_t> keys,
                                                     Query& query) const {
    return query.candidates.collect(tables_.tables(shard), keys);
}

std::span<const Found> Retrieval::best_of(std::span<const std::uint32_t> ids,
                                          const float* hidden,
                                          std::size_t count,
                                          Query& query) const {
    if (config_.rank == Rank::count) {
        best_counted(ids, count, query);
        return query.best;
    }
    if (query.scores.size() < ids.size()) query.scores.resize(ids.size());
    float* const scores = query.scores.data();
    if (config_.rank == Rank::dot) {
        rank_rows_->score(hidden, ids, query.quantized.data(), scores);
    } else {
        parameters_.dot_rows(hidden, ids.data(), ids.size(), scores);
        for (std::size_t i = 0; i < ids.size(); ++i) scores[i] += parameters_.bias()[ids[i]];
    }
    std::vector<std::uint32_t>& positions = query.positions;
    positions.resize(std::min(count, ids.size()));
    if (ids.size() <= count) {
        std::iota(positions.begin(), positions.end(), 0U);
    } else {
        kernels::select_top_k(scores, ids.size(), count, positions.data());
        settle_ties(ids, scores, query);
    }
    query.best.resize(positions.size());
    for (std::size_t i = 0; i < positions.size(); ++i)
        query.best[i] = {ids[positions[i]], rank_of(scores[positions[i]])};
    return query.best;
}

void Retrieval::best_counted(std::span<const std::uint32_t> ids,
                             std::size_t count,
                             Query& query) const {
    const std::uint16_t* const counts = query.candidates.counts().data();
    query.positions.resize(std::min(count, ids.size()));
    query.positions.resize(
        kernels::select_top_counts(counts, ids.size(), count, query.positions.data()));
    settle_ties(ids, counts, query);
    query.best.clear();
    const std::uint32_t least = config_.sampling == Sampling::threshold ? config_.threshold : 0;
    for (const std::uint32_t position : query.positions) {
        if (counts[position] >= least)
            query.best.push_back({ids[position], ~std::uint32_t{counts[position]}});
    }
}

// Buckets in random order, until there are enough distinct neurons.
void Retrieval::walk(std::size_t shard,
                     std::span<const std::uint32_t> keys,
                     std::size_t count,
                     system::Stream stream,
                     Query& query) const {
    query.walked.clear();
    query.best.clear();
    query.order.resize(keys.size());
    std::iota(query.order.begin(), query.order.end(), 0U);
    for (std::uint32_t walked = 0; walked < keys.size(); ++walked) {
        const auto left = static_cast<std::uint32_t>(keys.size()) - walked;
        std::swap(query.order[walked], query.order[walked + stream.below(left)]);
        const std::uint32_t key = query.order[walked];
        for (const std::uint32_t id :
             tables_.tables(shard).bucket(key / config_.hash.probes, keys[key])) {
            if (query.best.size() == count) return;
            if (query.walked.insert(id)) query.best.push_back({id, walked});
        }
    }
}

// Any `count` of the ids alike: those of the lowest draws, where each has one of its own.
void Retrieval::draw(std::span<const std::uint32_t> ids,
                     std::size_t count,
                     system::Stream stream,
                     Query& query) {
    const std::uint64_t base = stream();
    query.best.clear();
    for (const std::uint32_t id : ids)
        query.best.push_back({id, static_cast<std::uint32_t>(system::mix64(base ^ id) >> 32)});
    keep_best(query.best, count, &Found::rank, query.keys);
}

std::span<const Found> Retrieval::sample(std::size_t shard,
                                         std::span<const std::uint32_t> keys,
                                         const float* hidden,
                                         std::size_t count,
                                         system::Stream stream,
                                         Query& query,
                                         std::uint64_t& found) const {
    if (config_.sampling == Sampling::vanilla) {
        walk(shard, keys, count, stream, query);
        found = 0;
        return query.best;
    }
    const std::span<const std::uint32_t> ids = candidates(shard, keys, query);
    found = ids.size();
    if (config_.sampling == Sampling::top_k) return best_of(ids, hidden, count, query);
    if (config_.sampling == Sampling::all) {
        draw(ids, count, stream, query);
    } else {
        best_counted(ids, count, query);
    }
    return query.best;
}

std::size_t Retrieval::top(const float* hidden,
                           std::span<const std::uint32_t> keys,
                           std::span<Ranked> best,
                           Query& query) const {
    constexpr std::size_t kLeast = 32;  // the ranking is rough: more are looked at than are wanted
    const std::span<const std::uint32_t> found = candidates(0, keys, query);
    const std::span<const Found> few =
        best_of(found, hidden, std::max(2 * best.size(), kLeast), query);
    query.ids.clear();
    for (const Found& each : few) query.ids.push_back(each.id);
    rank(query.ids, hidden, best, query);
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

// ---- state ----

void Retrieval::visit_state(StateVisitor& state, const std::string& name) {
    if (uses_tables(config_.sampling)) tables_.visit_state(state, name + ".tables");
    if (rank_rows_) rank_rows_->visit_state(state, name);
    centre_.visit_state(state, name);
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
        for (std::size_t shard = 0; shard < blocks_.shards(); ++shard) {
            candidates(
                shard, std::span(keys).subspan(i * keys_per_query(), keys_per_query()), query);
            const Range own = blocks_.neurons_of_shard(shard);
            for (const std::uint32_t position : best) {
                const std::uint32_t id = met()[position];
                found[i] += own.has(id) && query.candidates.contains(id) ? 1 : 0;
            }
        }
    });
    const std::uint64_t total = std::accumulate(found.begin(), found.end(), std::uint64_t{0});
    return static_cast<double>(total) / static_cast<double>(top * hidden.rows);
}

}  // namespace slidekit::nn
