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

Retrieval::Query::Query(std::uint32_t neurons, std::uint32_t dim, Rank rank)
    : candidates(
          neurons,
          rank == Rank::count ? lsh::Candidates::Counting::on : lsh::Candidates::Counting::off),
      hash(kernels::hash_scratch_floats(dim)),
      quantized(dim) {}

Retrieval::Retrieval(system::Runtime& runtime,
                     const Parameters& parameters,
                     const LshOutput& config,
                     std::vector<std::uint32_t> met,
                     std::uint64_t seed)
    : executor_(runtime.executor()),
      parameters_(parameters),
      config_(config),
      met_(std::move(met)),
      family_(config.hash, parameters.dim()),
      tables_(runtime, tables_config(config, static_cast<std::uint32_t>(met_.size()), seed)),
      row_keys_(
          runtime.allocate(met_.size() * config.hash.l * sizeof(std::uint32_t), "output.row_keys")),
      row_mean_(parameters.dim()),
      mean_activation_(parameters.dim()) {
    if (config.rank == Rank::dot) rank_rows_.emplace(runtime, parameters.rows(), parameters.dim());
}

Retrieval::Query Retrieval::make_query() const {
    return {parameters_.rows(), parameters_.dim(), config_.rank};
}

// ---- tables ----

// The mean is summed over fixed pieces, in order, so that its bits do not depend on the threads.
void Retrieval::mean_of_rows() {
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

RebuildReport Retrieval::rebuild() {
    StageClock clock;
    const bool centre = config_.centre == Centre::on;
    if (centre) mean_of_rows();

    // Rows are copied in small blocks first: those in the tables need not be neighbours.
    constexpr std::size_t kBlock = 64;
    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(dim);
    const std::span<std::uint32_t> keys = row_keys_.as<std::uint32_t>();
    std::vector<std::vector<float>> scratch(executor_.threads());
    executor_.for_each_piece(
        met_.size(), kBlock, [&](std::size_t begin, std::size_t end, system::Worker worker) {
            std::vector<float>& own = scratch[worker];
            own.resize(kBlock * stride + kernels::hash_scratch_floats(dim));
            const RowMatrix<float> block{own.data(), end - begin, dim, stride};
            for (std::size_t i = begin; i < end; ++i) {
                const float* row = parameters_.weights().row(met_[i]);
                std::copy_n(row, dim, block.row(i - begin));
                if (rank_rows_) rank_rows_->refresh(met_[i], row);
            }
            family_.hash_rows(block,
                              centre ? row_mean_.data() : nullptr,
                              keys.data() + begin,
                              {.row_stride = 1, .table_stride = met_.size()},
                              own.data() + kBlock * stride);
        });
    tables_.rebuild(executor_, met_, keys.data(), met_.size(), generation_++);
    return {.seconds = clock.lap(), .rows = met_.size(), .occupancy = tables_.occupancy()};
}

void Retrieval::refresh(std::uint32_t id) noexcept {
    if (rank_rows_) rank_rows_->refresh(id, parameters_.weights().row(id));
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
    family_.hash_rows(hidden,
                      config_.centre == Centre::on ? mean_activation_.data() : nullptr,
                      keys,
                      {.row_stride = tables(), .table_stride = 1},
                      query.hash.data());
}

void Retrieval::hash_queries(RowMatrix<const float> hidden,
                             std::vector<std::uint32_t>& keys) const {
    constexpr std::size_t kQueriesPerTask = 32;
    keys.resize(hidden.rows * tables());
    const float* centre = config_.centre == Centre::on ? mean_activation_.data() : nullptr;
    std::vector<std::vector<float>> scratch(executor_.threads());
    executor_.for_each_piece(hidden.rows,
                             kQueriesPerTask,
                             [&](std::size_t begin, std::size_t end, system::Worker worker) {
                                 scratch[worker].resize(kernels::hash_scratch_floats(hidden.dim));
                                 family_.hash_rows(
                                     {hidden.row(begin), end - begin, hidden.dim, hidden.stride},
                                     centre,
                                     keys.data() + begin * tables(),
                                     {.row_stride = tables(), .table_stride = 1},
                                     scratch[worker].data());
                             });
}

std::span<const std::uint32_t> Retrieval::candidates(std::span<const std::uint32_t> keys,
                                                     Query& query) const {
    return query.candidates.collect(tables_, keys);
}

std::span<const std::uint32_t> Retrieval::best_of(std::span<const std::uint32_t> ids,
                                                  const float* hidden,
                                                  std::size_t count,
                                                  Query& query) const {
    if (ids.size() <= count) {
        query.best.assign(ids.begin(), ids.end());
        return query.best;
    }
    if (query.scores.size() < ids.size()) {
        query.scores.resize(ids.size());
        query.dots.resize(ids.size());
    }
    const float* bias = parameters_.bias().data();
    switch (config_.rank) {
        case Rank::dot:
            rank_rows_->score(
                hidden, bias, ids, query.quantized.data(), query.dots.data(), query.scores.data());
            break;
        case Rank::dot_fp32:
            kernels::dot_rows(
                hidden, parameters_.weights(), ids.data(), ids.size(), query.scores.data());
            for (std::size_t i = 0; i < ids.size(); ++i) query.scores[i] += bias[ids[i]];
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
    kernels::dot_rows(hidden, parameters_.weights(), few.data(), few.size(), query.scores.data());
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
    const std::size_t top = std::min(count, met_.size());
    if (top == 0 || hidden.rows == 0) return -1;
    std::vector<std::uint32_t> keys;
    hash_queries(hidden, keys);
    std::vector<std::uint64_t> found(hidden.rows);
    executor_.for_each(hidden.rows, [&](std::size_t i, system::Worker) {
        std::vector<float> scores(met_.size());
        kernels::dot_rows(
            hidden.row(i), parameters_.weights(), met_.data(), met_.size(), scores.data());
        for (std::size_t j = 0; j < met_.size(); ++j) scores[j] += parameters_.bias()[met_[j]];
        std::vector<std::uint32_t> best(top);
        kernels::select_top_k(scores.data(), scores.size(), top, best.data());
        Query query = make_query();
        candidates(std::span(keys).subspan(i * tables(), tables()), query);
        for (const std::uint32_t position : best)
            found[i] += query.candidates.contains(met_[position]) ? 1 : 0;
    });
    const std::uint64_t total = std::accumulate(found.begin(), found.end(), std::uint64_t{0});
    return static_cast<double>(total) / static_cast<double>(top * hidden.rows);
}

}  // namespace slidekit::nn
