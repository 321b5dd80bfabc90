// Softmax over each sample's own active set: its labels, the best of its LSH candidates, labels of
// the batch and uniform draws.
//
// The step regroups the pairs (sample, neuron) by neuron, so that each weight row is loaded once,
// dotted with all its samples, and later gets its whole gradient and its update while it is in
// cache.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/grouping.hpp"
#include "nn/linear_scan.hpp"
#include "nn/output_step.hpp"
#include "nn/retrieval.hpp"

namespace slidekit::nn {

class SampledSoftmax {
public:
    /// `met`: neurons that the tables hold, ascending. parameters must outlive this.
    SampledSoftmax(system::Runtime& runtime,
                   Parameters& parameters,
                   const LshOutput& config,
                   std::vector<std::uint32_t> met,
                   std::uint64_t seed);
    ~SampledSoftmax();

    /// Select, forward, softmax, backward and update. Adds to the report.
    void step(const OutputStep& step, StepReport& report);

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
    /// Nothing without tables.
    RebuildReport rebuild() { return retrieving() ? retrieval_.rebuild() : RebuildReport{}; }
    [[nodiscard]] RowTables& row_tables() noexcept { return retrieval_.row_tables(); }
    [[nodiscard]] const Retrieval& retrieval() const noexcept { return retrieval_; }

    /// Share of the exact top `mix.lsh` of the rows in the tables that are among a point's
    /// candidates, over all rows of `hidden`.
    [[nodiscard]] double top_recall(kernels::RowMatrix<const float> hidden) const;

private:
    struct Scratch;

    void lay_out_slots(const data::PointsView& batch);
    void hash(const OutputStep& step);
    /// The sample's share of the tables' neurons; counts what was found.
    std::span<const std::uint32_t> retrieve(const OutputStep& step,
                                            std::size_t sample,
                                            Scratch& scratch);
    void select(const OutputStep& step, std::size_t sample, Scratch& scratch);
    void scan(const OutputStep& step);
    [[nodiscard]] std::span<const std::uint32_t> scanned(std::size_t sample) const {
        return std::span(scan_ids_).subspan(scan_runs_[sample].first, scan_runs_[sample].count);
    }
    void correct(const OutputStep& step);
    void softmax(const OutputStep& step, std::size_t sample);
    void update(const OutputStep& step, std::size_t piece);

    system::Executor& executor_;
    Parameters& parameters_;
    LshOutput config_;
    std::uint64_t seed_;
    Retrieval retrieval_;
    std::optional<LinearScan> scan_;  // for Sampling::exact and standout

    // One step's working set, kept from step to step.
    std::vector<Scratch> scratch_;           // by worker
    std::vector<std::uint32_t> query_keys_;  // sample x table
    std::vector<std::uint32_t> labelled_;    // samples that have labels
    std::vector<std::uint32_t> retrieved_;   // by sample: how many of its slots the tables filled
    std::vector<float> label_rows_;          // by sample: the row that asks, for QueryBy::label
    std::vector<float> centred_;             // by sample: activation less its centre, for log_q
    std::vector<float> angles_;              // by slot: inner product of the centred vectors
    std::vector<SlotRun> runs_;              // by sample: its active set within ids_, labels first
    std::vector<std::uint32_t> ids_;
    std::vector<SlotRun> scan_runs_;  // by sample: what the scan chose, within scan_ids_
    std::vector<std::uint32_t> scan_ids_;
    std::vector<std::uint32_t> shared_;       // shared_set()
    std::vector<float> values_;               // by slot: logit, then gradient
    std::vector<StepReport> sample_reports_;  // by sample, added in order
    Grouping grouping_;
    PieceGradients gradients_;
};

}  // namespace slidekit::nn
