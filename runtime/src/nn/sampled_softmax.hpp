// Softmax over each sample's own active set: its labels, the best of its LSH candidates, labels of
// the batch and uniform draws.
//
// The step regroups the pairs (sample, neuron) by neuron, so that each weight row is loaded once,
// dotted with all its samples, and later gets its whole gradient and its update while it is in
// cache.
#pragma once

#include <cstdint>
#include <vector>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/grouping.hpp"
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

    RebuildReport rebuild() { return retrieval_.rebuild(); }
    [[nodiscard]] const Retrieval& retrieval() const noexcept { return retrieval_; }

    /// Share of the exact top `mix.lsh` of the rows in the tables that are among a point's
    /// candidates, over all rows of `hidden`.
    [[nodiscard]] double top_recall(kernels::RowMatrix<const float> hidden) const;

private:
    struct Scratch;

    void lay_out_slots(const data::PointsView& batch);
    void select(const OutputStep& step, std::size_t sample, Scratch& scratch);
    void softmax(const OutputStep& step, std::size_t sample);
    void update(const OutputStep& step, std::size_t piece);

    system::Executor& executor_;
    Parameters& parameters_;
    LshOutput config_;
    std::uint64_t seed_;
    Retrieval retrieval_;

    // One step's working set, kept from step to step.
    std::vector<Scratch> scratch_;           // by worker
    std::vector<std::uint32_t> query_keys_;  // sample x table
    std::vector<std::uint32_t> labelled_;    // samples that have labels
    std::vector<SlotRun> runs_;              // by sample: its active set within ids_, labels first
    std::vector<std::uint32_t> ids_;
    std::vector<float> values_;               // by slot: logit, then gradient
    std::vector<StepReport> sample_reports_;  // by sample, added in order
    Grouping grouping_;
    PieceGradients gradients_;
};

}  // namespace slidekit::nn
