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
#include <vector>

#include <slidekit/lsh/candidates.hpp>
#include <slidekit/lsh/family.hpp>
#include <slidekit/lsh/tables.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/rank_rows.hpp"

namespace slidekit::nn {

class Retrieval {
public:
    /// `met`: neurons that the tables hold, ascending. parameters must outlive this.
    Retrieval(system::Runtime& runtime,
              const Parameters& parameters,
              const LshOutput& config,
              std::vector<std::uint32_t> met,
              std::uint64_t seed);

    /// Scratch of one query at a time: one for each thread that asks.
    struct Query {
        Query(std::uint32_t neurons, std::uint32_t dim, Rank rank);

        lsh::Candidates candidates;
        std::vector<float> hash;
        std::vector<std::uint8_t> quantized;
        std::vector<std::int32_t> dots;
        std::vector<float> scores;
        std::vector<std::uint32_t> best;
        std::vector<Ranked> ranked;
    };
    [[nodiscard]] Query make_query() const;

    /// Hashes the rows anew and fills the tables with them.
    RebuildReport rebuild();
    /// Tells of a row that has changed.
    void refresh(std::uint32_t id) noexcept;
    /// Moves the queries' centre towards the mean of these activations.
    void observe(kernels::RowMatrix<const float> hidden);
    /// The queries' centre: what observe() has made of it, or a known one. Requires: dim elements.
    [[nodiscard]] std::span<const float> query_centre() const noexcept { return mean_activation_; }
    void set_query_centre(std::span<const float> centre);

    /// Keys of all queries: keys[query * tables() + table].
    void hash_queries(kernels::RowMatrix<const float> hidden,
                      std::vector<std::uint32_t>& keys) const;
    /// The same on the caller's thread alone, into room for hidden.rows * tables() keys.
    void hash_queries(kernels::RowMatrix<const float> hidden,
                      std::uint32_t* keys,
                      Query& query) const noexcept;
    [[nodiscard]] std::size_t tables() const noexcept { return config_.hash.l; }

    /// The distinct ids in the buckets of a query's keys. Valid until the query's next use.
    std::span<const std::uint32_t> candidates(std::span<const std::uint32_t> keys,
                                              Query& query) const;
    /// The `count` best of ids, which candidates() gave, by the ranking of the configuration.
    std::span<const std::uint32_t> best_of(std::span<const std::uint32_t> ids,
                                           const float* hidden,
                                           std::size_t count,
                                           Query& query) const;

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
    /// Neurons that the tables hold, ascending.
    [[nodiscard]] std::span<const std::uint32_t> met() const noexcept { return met_; }

    /// Share of the exact top `count` of met() that is among a point's candidates, over all rows of
    /// `hidden`; negative where there is nothing to find.
    [[nodiscard]] double top_recall(kernels::RowMatrix<const float> hidden,
                                    std::size_t count) const;

private:
    void mean_of_rows();

    system::Executor& executor_;
    const Parameters& parameters_;
    LshOutput config_;
    std::vector<std::uint32_t> met_;
    lsh::Family family_;
    lsh::Tables tables_;
    system::Region row_keys_;  // tables x met
    std::optional<RankRows> rank_rows_;
    std::uint64_t generation_ = 0;
    std::vector<float> row_mean_;
    std::vector<float> mean_activation_;
    bool mean_activation_known_ = false;
};

}  // namespace slidekit::nn
