// Finds the neurons of highest logit for a hidden vector without looking at all of them: hash
// tables over the weight rows give candidates, and a ranking keeps the best.
//
// Rows and queries are centred before hashing, by the mean row and a running mean of the
// activations: both share a direction that would put them all into a few buckets
// (bench/README.md).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <slidekit/lsh/candidates.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/blocks.hpp"
#include "nn/exchange.hpp"
#include "nn/found.hpp"
#include "nn/query_centre.hpp"
#include "nn/rank_rows.hpp"
#include "nn/row_tables.hpp"

namespace slidekit::nn {

class Retrieval {
public:
    /// `met`: neurons that the tables hold, ascending. What is referred to must outlive this.
    Retrieval(system::Runtime& runtime,
              const Parameters& parameters,
              const LshOutput& config,
              std::vector<std::uint32_t> met,
              std::uint64_t seed,
              const Blocks& blocks,
              Exchange& exchange);
    Retrieval(const Retrieval&) = delete;
    Retrieval& operator=(const Retrieval&) = delete;

    /// Scratch of one query at a time: one for each thread that asks.
    struct Query {
        Query(std::uint32_t neurons,
              std::uint32_t walked_bound,
              std::uint32_t dim,
              std::size_t hash_floats,
              lsh::Candidates::Counting counting);

        lsh::Candidates candidates;
        lsh::StampSet walked;              // what vanilla sampling has met
        std::vector<std::uint32_t> order;  // of the buckets, for it
        std::vector<float> hash;
        std::vector<std::uint8_t> quantized;
        std::vector<float> scores;
        std::vector<std::uint32_t> positions;  // of what is chosen, among the candidates
        std::vector<std::uint32_t> ids;        // scratch
        std::vector<Found> best;
        std::vector<std::uint64_t> keys;  // scratch of keep_best()
        std::vector<Ranked> ranked;
    };
    [[nodiscard]] Query make_query() const;

    /// Takes copies of all rows and hashes them, whoever has changed them.
    RebuildReport rebuild();
    [[nodiscard]] RowTables& row_tables() noexcept { return tables_; }
    /// Takes the 8-bit copies of all rows in the tables anew.
    void refresh_copies();
    /// Tells of a row that has changed. scratch: dim floats.
    void refresh(std::uint32_t id, float* scratch) noexcept;
    /// Asks for the cache lines that refresh() will write.
    void prefetch_refresh(std::uint32_t id) const noexcept;
    /// Moves the queries' centre towards the mean of these activations.
    void observe(kernels::RowMatrix<const float> hidden);
    /// The queries' centre: what observe() has made of it, or a known one. Requires: dim elements.
    [[nodiscard]] std::span<const float> query_centre() const noexcept { return centre_.mean(); }
    void set_query_centre(std::span<const float> centre);

    /// Keys of all queries, which are activations or weight rows: by lsh::Family::hash_queries.
    void hash_queries(kernels::RowMatrix<const float> queries,
                      QueryBy kind,
                      std::vector<std::uint32_t>& keys) const;
    /// The same on the caller's thread alone, into room for hidden.rows * keys_per_query() keys.
    void hash_queries(kernels::RowMatrix<const float> hidden,
                      std::uint32_t* keys,
                      Query& query) const noexcept;
    [[nodiscard]] std::size_t keys_per_query() const noexcept {
        return std::size_t{config_.hash.l} * config_.hash.probes;
    }

    /// The distinct ids in the buckets of a query's keys in a shard. Valid until the query's next
    /// use.
    std::span<const std::uint32_t> candidates(std::size_t shard,
                                              std::span<const std::uint32_t> keys,
                                              Query& query) const;
    /// The `count` best of ids, which candidates() gave, by the ranking of the configuration, in
    /// their order.
    std::span<const Found> best_of(std::span<const std::uint32_t> ids,
                                   const float* hidden,
                                   std::size_t count,
                                   Query& query) const;

    /// At most `count` neurons of a shard by the sampling of the configuration, in a span that is
    /// valid until the query's next use. found: how many neurons the buckets gave (0 where they
    /// are walked); stream: for what is random.
    std::span<const Found> sample(std::size_t shard,
                                  std::span<const std::uint32_t> keys,
                                  const float* hidden,
                                  std::size_t count,
                                  system::Stream stream,
                                  Query& query,
                                  std::uint64_t& found) const;

    /// What the rows in the tables are centred on; zero without centring.
    [[nodiscard]] std::span<const float> row_centre() const noexcept { return tables_.centre(); }

    /// The candidates of highest logit, best first, ties to the lower id; what is not found is
    /// Ranked::kNone. Scores are computed from the fp32 rows, of the best few dozen by the ranking
    /// of the configuration. Returns the number of candidates.
    std::size_t top(const float* hidden,
                    std::span<const std::uint32_t> keys,
                    std::span<Ranked> best,
                    Query& query) const;

    /// Of these ids those of highest logit, in the same form.
    void rank(std::span<const std::uint32_t> ids,
              const float* hidden,
              std::span<Ranked> best,
              Query& query) const;

    /// 8-bit copies of the rows. Requires: they are ranked by them (Rank::dot).
    [[nodiscard]] const RankRows& copies() const noexcept { return *rank_rows_; }
    [[nodiscard]] const LshOutput& config() const noexcept { return config_; }
    /// Neurons that the tables hold, ascending: all, and those of a shard.
    [[nodiscard]] std::span<const std::uint32_t> met() const noexcept { return tables_.met(); }
    [[nodiscard]] std::span<const std::uint32_t> met(std::size_t shard) const noexcept {
        return tables_.met(shard);
    }

    /// Share of the exact top `count` of met() that is among a point's candidates, over all rows of
    /// `hidden`; negative where there is nothing to find.
    [[nodiscard]] double top_recall(kernels::RowMatrix<const float> hidden,
                                    std::size_t count) const;

    /// The tables, the copies and the queries' centre. Copies are no mere function of the weights:
    /// dense Adam moves rows whose copies are older.
    void visit_state(StateVisitor& state, const std::string& name);

private:
    void copy(std::uint32_t id, float* scratch) noexcept;
    void walk(std::size_t shard,
              std::span<const std::uint32_t> keys,
              std::size_t count,
              system::Stream stream,
              Query& query) const;
    static void draw(std::span<const std::uint32_t> ids,
                     std::size_t count,
                     system::Stream stream,
                     Query& query);
    void best_counted(std::span<const std::uint32_t> ids, std::size_t count, Query& query) const;

    system::Executor& executor_;
    const Parameters& parameters_;
    LshOutput config_;
    const Blocks& blocks_;
    const Exchange& exchange_;
    RowTables tables_;
    std::optional<RankRows> rank_rows_;
    QueryCentre centre_;
};

}  // namespace slidekit::nn
