// Selection by looking at every row: the 8-bit copies of the rows against a block of samples, and
// of each sample what passes its threshold.
//
// The strategy that hashing has to beat: its cost grows with the width, but a multiply-add costs
// little, its quality is that of the exact ranking, and it needs no tables. Samples are cut into
// blocks, each of which scans all rows; a sample's result depends on its block as little as on the
// threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/nn/network.hpp>
#include <slidekit/nn/parameters.hpp>
#include <slidekit/system/executor.hpp>

#include "nn/found.hpp"
#include "nn/rank_rows.hpp"

namespace slidekit::nn {

/// Which neurons standout keeps, and how many at most.
struct Standout {
    float alpha = 1;  // above 0
    float beta = 0;
    std::uint32_t most = 0xffffffff;
    std::uint64_t seed = 0;
    std::uint64_t step = 0;
};

/// Holds scratch: confined to one thread, whose calls use the executor's workers.
class LinearScan {
public:
    /// `rows`: ids that are looked at, ascending. What is referred to must outlive this; the copies
    /// are taken as they stand.
    LinearScan(system::Executor& executor,
               const Parameters& parameters,
               const RankRows& copies,
               std::span<const std::uint32_t> rows);

    /// How many rows of each sample top() lists, where `count` are wanted. By Rank::dot_fp32 a
    /// quarter more than that are found by their 8-bit scores, to be ranked again by their fp32
    /// ones.
    [[nodiscard]] static constexpr std::size_t listed(std::size_t count, Rank rank) noexcept {
        return rank == Rank::dot_fp32 && count > 0 ? count + count / 4 + 8 : count;
    }
    /// The min(listed, rows) ids of highest 8-bit logit of each sample, ascending, ranked by it and
    /// again by the fp32 row where that is asked for. Ties go to the lower id. Requires:
    /// activations are not negative; one of these ranks; room for listed(count, rank).
    void top(kernels::RowMatrix<const float> hidden,
             std::size_t count,
             Rank rank,
             const FoundLists& lists);

    /// Each neuron with probability sigma(alpha logit + beta), by its 8-bit logit, independently
    /// (Ba and Frey 2013, "Adaptive dropout for training deep neural networks"); where that makes
    /// more than `most` of a sample, `most` of them, every subset being equally likely. Ids
    /// ascend. Draws depend on seed, step and the sample's place alone. Requires: room for `most`.
    void standout(kernels::RowMatrix<const float> hidden,
                  const Standout& rule,
                  const FoundLists& lists);

private:
    static constexpr std::size_t kSamples = 128;  // a block: its bytes and logits stay in L1 and L2
    struct Scored {
        std::vector<std::uint32_t> ids;
        std::vector<float> scores;

        void clear() noexcept {
            ids.clear();
            scores.clear();
        }
    };
    struct Block;

    template <class Body>
    void for_runs(std::span<const std::uint32_t> ids, std::size_t dim, const Body& body) const;
    static float cut(Scored& list, std::size_t most, std::vector<std::uint32_t>& best);
    void collect(std::span<const std::uint32_t> ids,
                 std::size_t wanted,
                 Block& block,
                 std::span<Scored> found) const;
    void top_of_block(kernels::RowMatrix<const float> hidden,
                      std::size_t first,
                      std::size_t count,
                      Rank rank,
                      const FoundLists& lists);
    void standout_of_block(kernels::RowMatrix<const float> hidden,
                           std::size_t first,
                           const Standout& rule,
                           const FoundLists& lists);
    [[nodiscard]] std::size_t block_of(std::size_t samples) const noexcept;
    void clear(std::size_t samples);

    system::Executor& executor_;
    const Parameters& parameters_;
    const RankRows& copies_;
    std::vector<std::uint32_t> rows_;
    std::vector<std::uint32_t> sample_;  // every so-manieth of them
    std::vector<Scored> found_;          // by sample
};

}  // namespace slidekit::nn
