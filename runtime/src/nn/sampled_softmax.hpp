// Softmax over each sample's own active set: its labels, the best of its LSH candidates, labels of
// the batch and uniform draws.
//
// The step regroups the pairs (sample, neuron) by neuron, so that each weight row is loaded once,
// dotted with all its samples, and later gets its whole gradient and its update while it is in
// cache.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <slidekit/lsh/candidates.hpp>
#include <slidekit/lsh/family.hpp>
#include <slidekit/lsh/tables.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/grouping.hpp"
#include "nn/output_step.hpp"
#include "nn/rank_rows.hpp"

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

    RebuildReport rebuild();

    /// Share of the exact top `mix.lsh` of the rows in the tables that are among a point's
    /// candidates, over all rows of `hidden`.
    [[nodiscard]] double top_recall(kernels::RowMatrix<const float> hidden);

private:
    struct Scratch;

    void centre_on(kernels::RowMatrix<const float> hidden);
    void hash_queries(kernels::RowMatrix<const float> hidden);
    void lay_out_slots(const data::PointsView& batch);
    void select(const OutputStep& step, std::size_t sample, Scratch& scratch);
    /// Ids in the buckets of a query whose keys are hashed.
    std::span<const std::uint32_t> retrieve(std::size_t query, Scratch& scratch);
    /// The `mix.lsh` best of them by `rank`.
    std::span<const std::uint32_t> best_of(std::span<const std::uint32_t> ids,
                                           const float* hidden,
                                           Scratch& scratch);
    void softmax(const OutputStep& step, std::size_t sample);
    void update(const OutputStep& step, std::size_t piece);
    void mean_of_rows();

    system::Executor& executor_;
    Parameters& parameters_;
    LshOutput config_;
    std::uint64_t seed_;
    std::vector<std::uint32_t> met_;
    lsh::Family family_;
    lsh::Tables tables_;
    system::Region row_keys_;  // tables x met
    std::optional<RankRows> rank_rows_;
    std::uint64_t generation_ = 0;
    std::vector<float> row_mean_;
    std::vector<float> mean_activation_;
    bool mean_activation_known_ = false;

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
