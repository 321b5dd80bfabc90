// The baselines: softmax over all neurons, or over one set that the whole batch shares.
//
// Both are the same dense computation over blocks of rows. The matrix of logits, batch x neurons,
// never exists: a first pass keeps each sample's running maximum and sum, a second computes the
// logits again, block by block, and turns them into gradients and updates while the block is in
// cache.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/blocks.hpp"
#include "nn/grouping.hpp"
#include "nn/output_step.hpp"
#include "nn/shared_negatives.hpp"

namespace slidekit::nn {

class DenseSoftmax {
public:
    /// negatives: those that a batch shares, beside its labels; without them, all neurons.
    DenseSoftmax(system::Runtime& runtime,
                 Parameters& parameters,
                 const Blocks& blocks,
                 std::optional<SharedNegatives> negatives);
    ~DenseSoftmax();

    /// Forward, softmax, backward and update. `chosen`: neurons of the shared set beside labels and
    /// draws. Adds to the report.
    void step(const OutputStep& step,
              StepReport& report,
              std::span<const std::uint32_t> chosen = {});

    /// The set that the last step shared, ascending. Requires: not all neurons.
    [[nodiscard]] std::span<const std::uint32_t> shared() const noexcept {
        return negatives_->ids();
    }

private:
    struct Scratch;

    void choose_rows(const OutputStep& step, std::span<const std::uint32_t> chosen);
    void fold_piece(std::size_t piece, Scratch& scratch);
    void merge_normalizers(const OutputStep& step);
    void share_out(const OutputStep& step);
    double take_gradients(const OutputStep& step,
                          kernels::RowMatrix<float> values,
                          float* max) const;
    void update_piece(const OutputStep& step, std::size_t piece, Scratch& scratch);
    kernels::RowMatrix<const float> rows_of(std::size_t begin,
                                            std::size_t count,
                                            Scratch& scratch) const;
    /// Where the logits of a block stand: among the kept ones, or in the worker's scratch.
    kernels::RowMatrix<float> logits_place(std::size_t begin, std::size_t rows, Scratch& scratch);
    kernels::RowMatrix<float> logits_of(std::size_t begin,
                                        kernels::RowMatrix<const float> rows,
                                        Scratch& scratch);
    [[nodiscard]] std::uint32_t row_id(std::size_t i) const noexcept;
    static constexpr std::size_t kPiecesOfBlock = Grouping::kPieces / kBlocks;
    static_assert(Grouping::kPieces % kBlocks == 0);
    void cut_pieces();
    [[nodiscard]] Range pieces_of(std::size_t shard) const noexcept {
        const Range blocks = blocks_.of_shard(shard);
        return {blocks.begin * kPiecesOfBlock, blocks.end * kPiecesOfBlock};
    }
    template <class Body>
    void for_each_piece(Body&& body);

    system::Executor& executor_;
    Parameters& parameters_;
    const Blocks& blocks_;
    std::optional<SharedNegatives> negatives_;
    std::vector<bool> remote_;  // by shard: its rows stand on another domain's node

    std::vector<Scratch> scratch_;  // by worker
    Grouping labels_;               // (sample, label) grouped by label
    std::vector<SlotRun> label_runs_;
    std::size_t active_ = 0;
    std::array<Range, Grouping::kPieces> pieces_;  // of the active rows, the same number of a block
    std::size_t samples_ = 0;
    std::vector<float> kept_;               // row x samples: logits of the first pass, or empty
    std::vector<float> hidden_transposed_;  // dim x samples
    std::vector<float> piece_max_;          // piece x samples
    std::vector<float> piece_sum_;
    std::vector<float> max_;         // by sample
    std::vector<float> share_;       // by sample: its weight / batch; 0 for a sample without labels
    std::vector<float> factor_;      // by sample: share / sum
    std::vector<float> divisor_;     // by sample: sum of its targets
    std::vector<float> everywhere_;  // by sample: the target's part on all rows, / batch
    std::vector<double> log_sum_;
    std::vector<double> piece_loss_;    // of losses of one logit and one target
    std::vector<double> piece_logits_;  // piece x samples: sum of all logits there, if smoothing
    std::vector<double>
        piece_label_logits_;  // piece x samples: sum of the logits of the labels there
    std::vector<float> piece_label_max_;
    std::vector<float> ones_;  // sums a row of gradients by a dot
    PieceGradients gradients_;
};

}  // namespace slidekit::nn
