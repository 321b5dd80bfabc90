// Softmax over each sample's own active set: its labels, the best of its LSH candidates, labels of
// the batch and uniform draws.
//
// The step regroups the pairs (sample, neuron) by neuron, so that each weight row is loaded once,
// dotted with all its samples, and later gets its whole gradient and its update while it is in
// cache. Rows are the work of the shard that owns them, samples of anybody: shards propose, a
// sample chooses, shards compute logits, a sample normalises them, shards update.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/blocks.hpp"
#include "nn/exchange.hpp"
#include "nn/grouping.hpp"
#include "nn/linear_scan.hpp"
#include "nn/output_step.hpp"
#include "nn/retrieval.hpp"

namespace slidekit::nn {

class SampledSoftmax {
public:
    /// `met`: neurons that the tables hold, ascending. What is referred to must outlive this.
    /// Throws Error (memory, usage).
    SampledSoftmax(system::Runtime& runtime,
                   Parameters& parameters,
                   const LshOutput& config,
                   std::vector<std::uint32_t> met,
                   std::uint64_t seed,
                   const Blocks& blocks,
                   Exchange& exchange);
    ~SampledSoftmax();

    /// Select, forward, softmax, backward and update. Adds to the report.
    void step(const OutputStep& step, StepReport& report);

    /// The same in parts, for steps that go on by sample (hogwild.hpp). Each sample's active set,
    /// of the whole batch at once:
    void select(const OutputStep& step, StepReport& report);
    /// or sample by sample, after one begin(), from several threads: by the tables as they are, a
    /// batch's queries being centred on the mean of the batches before. Requires: one shard; no
    /// scan; QueryBy::activation; of the hidden vectors that of the sample stands.
    void begin(const OutputStep& step);
    void select_one(const OutputStep& step, std::size_t sample, system::Worker worker);
    /// What was selected, the labels first within a block of neurons, and room for its logits.
    [[nodiscard]] std::span<const std::uint32_t> active(std::size_t sample) const noexcept {
        return std::span(ids_).subspan(runs_[sample].first, runs_[sample].count);
    }
    [[nodiscard]] std::span<float> values(std::size_t sample) noexcept {
        return std::span(values_).subspan(runs_[sample].first, runs_[sample].count);
    }
    /// Turns a sample's logits into gradients, and takes note of its loss. Requires: one shard.
    void normalise_one(const OutputStep& step, std::size_t sample);
    /// Adds what is known of the samples.
    void report_samples(StepReport& report) const;
    /// Moves the queries' centre towards the mean of these activations.
    void observe(kernels::RowMatrix<const float> hidden) { retrieval_.observe(hidden); }

    /// For Scope::batch: what the samples choose, one after the other, for a set that the batch
    /// shares. Adds what was found to the report.
    [[nodiscard]] std::span<const std::uint32_t> shared_set(const OutputStep& step,
                                                            StepReport& report);
    /// Tells of rows that another has updated.
    void refresh(std::span<const std::uint32_t> ids);

    /// Whether neurons come from the tables.
    [[nodiscard]] bool retrieving() const noexcept {
        return config_.mix.lsh > 0 && uses_tables(config_.sampling);
    }
    /// Whether prediction can find rows as training did: it knows them and the queries' centre.
    [[nodiscard]] bool knows_rows() const noexcept {
        return config_.mix.lsh > 0 && config_.sampling != Sampling::none;
    }
    void visit_state(StateVisitor& state, const std::string& name) {
        retrieval_.visit_state(state, name);
    }
    /// Nothing without tables.
    RebuildReport rebuild() { return retrieving() ? retrieval_.rebuild() : RebuildReport{}; }
    [[nodiscard]] const LshOutput& config() const noexcept { return config_; }
    [[nodiscard]] RowTables& row_tables() noexcept { return retrieval_.row_tables(); }
    [[nodiscard]] const Retrieval& retrieval() const noexcept { return retrieval_; }

    /// Share of the exact top `mix.lsh` of the rows in the tables that are among a point's
    /// candidates, over all rows of `hidden`.
    [[nodiscard]] double top_recall(kernels::RowMatrix<const float> hidden) const;

private:
    /// What a sample has in a block: labels first, then what was retrieved, then what was drawn.
    struct Bin {
        std::uint32_t first = 0;  // slot
        std::uint32_t labels = 0;
        std::uint32_t retrieved = 0;
        std::uint32_t count = 0;
    };
    /// Of a sample in a block: its part of the softmax and of the loss.
    struct Part {
        float max = 0;
        float sum = 0;  // of exp(logit - max)
        float best_label = 0;
        double label_logits = 0;
        double all_logits = 0;
    };
    /// What a shard met in its tables for a sample.
    struct Met {
        std::uint32_t candidates = 0;
        std::uint32_t labels = 0;
    };
    struct Shard {
        std::optional<LinearScan> scan;  // for Sampling::exact and standout
        std::vector<SlotRun> runs;       // by sample: what it has in the shard's blocks
        Grouping grouping;
        std::vector<Range> pieces;  // by block of the shard, of the grouping
        PieceGradients gradients;
        bool remote = false;  // its rows stand on another domain's node
    };
    /// What one thread needs to choose a sample's set.
    struct Chooser {
        explicit Chooser(std::uint32_t neurons) : chosen(neurons) {}

        lsh::StampSet chosen;
        std::vector<Found> found;         // the best of all shards
        std::vector<std::uint64_t> keys;  // scratch of keep_best()
        std::vector<std::uint32_t> picked;
    };

    void lay_out_slots(const data::PointsView& batch);
    void hash(const OutputStep& step);
    void propose(const OutputStep& step);
    void retrieve(const OutputStep& step, std::size_t shard, std::size_t sample, system::Worker);
    void merge(std::size_t sample, Chooser& chooser) const;
    void choose(const OutputStep& step);
    void choose_for(const OutputStep& step, std::size_t sample, Chooser& chooser);
    void bin(std::size_t sample, std::size_t labels, std::size_t retrieved, Chooser& chooser);
    void group();
    void forward(const OutputStep& step);
    void correct(const OutputStep& step);
    void normalise_block(const OutputStep& step, std::size_t block, std::size_t sample);
    void normalise(const OutputStep& step, std::size_t sample);
    void take_pointwise(const OutputStep& step, std::size_t sample);
    void update(const OutputStep& step, Shard& shard, std::size_t piece);
    void backward(const OutputStep& step);
    [[nodiscard]] std::size_t proposals() const noexcept;
    [[nodiscard]] FoundLists found_lists(std::size_t shard) noexcept;
    [[nodiscard]] Bin& bin_of(std::size_t block, std::size_t sample) noexcept {
        return bins_[block * samples_ + sample];
    }
    [[nodiscard]] Chooser& chooser_of(system::Worker worker);
    [[nodiscard]] Retrieval::Query& query_of(system::Worker worker);

    system::Executor& executor_;
    Parameters& parameters_;
    LshOutput config_;
    std::uint64_t seed_;
    const Blocks& blocks_;
    Exchange& exchange_;
    Retrieval retrieval_;
    std::vector<std::unique_ptr<Shard>> shards_;

    // By worker, made by the thread that first uses it, so that it stands in its domain.
    std::vector<std::unique_ptr<Retrieval::Query>> queries_;
    std::vector<std::unique_ptr<Chooser>> choosers_;

    // One step's working set, kept from step to step.
    std::size_t samples_ = 0;
    std::vector<std::uint32_t> query_keys_;   // sample x table
    std::vector<std::uint32_t> labelled_;     // samples that have labels
    std::vector<float> label_rows_;           // by sample: the row that asks, for QueryBy::label
    Shared<Found> found_;                     // by sample and proposal
    Shared<std::uint32_t> found_counts_;      // by sample
    Shared<Met> met_;                         // by sample
    std::vector<SlotRun> runs_;               // by sample: its active set within ids_
    std::vector<Bin> bins_;                   // block x sample: that set by blocks
    std::vector<std::uint32_t> ids_;          // by slot
    std::vector<float> values_;               // by slot: logit, then gradient
    std::vector<std::uint32_t> shared_;       // shared_set()
    Shared<std::uint64_t> work_;              // of a block
    Shared<Part> parts_;                      // block x sample
    Shared<float> block_gradients_;           // block x sample x dim
    std::vector<StepReport> sample_reports_;  // by sample, added in order

    // For log_q.
    std::vector<float> centred_;  // by sample: activation less its centre
    std::vector<float> angles_;   // by slot: inner product of the centred vectors
    Shared<float> last_;          // block x sample: logit of the last candidate that was kept
};

}  // namespace slidekit::nn
