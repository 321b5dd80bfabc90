// A layer over sparse input: of each sample some neurons are active, found by hash tables over the
// rows and by draws, or all.
//
// Its cost follows the active pairs times the input's non-zeros, never either layer's width. Rows
// are of neurons, so that a sample's pre-activations read a few coordinates of a few rows; the
// update goes by neuron, each of which gathers the coordinates that its samples list.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <slidekit/lsh/candidates.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/nn/parameters.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/blocks.hpp"
#include "nn/grouping.hpp"
#include "nn/query_centre.hpp"
#include "nn/row_tables.hpp"
#include "nn/sparse_batch.hpp"

namespace slidekit::nn {

class SparseLayer {
public:
    /// `sampled`: how neurons are found, absent for all; its sampling is top_k, exact or none. Rows
    /// belong to the caller and must outlive this, as the runtime. `met`: neurons that can be found
    /// by hash, ascending. Throws Error (memory, usage).
    SparseLayer(system::Runtime& runtime,
                Parameters& rows,
                const std::optional<LshOutput>& sampled,
                std::vector<std::uint32_t> met,
                std::uint64_t seed);
    ~SparseLayer();
    SparseLayer(const SparseLayer&) = delete;
    SparseLayer& operator=(const SparseLayer&) = delete;

    [[nodiscard]] bool sampled() const noexcept { return config_.has_value(); }
    /// Whether neurons come from tables.
    [[nodiscard]] bool has_tables() const noexcept { return tables_.has_value(); }
    [[nodiscard]] RowTables& row_tables() noexcept { return *tables_; }
    [[nodiscard]] const RowTables& row_tables() const noexcept { return *tables_; }
    [[nodiscard]] std::span<const float> query_centre() const noexcept { return centre_.mean(); }

    /// Chooses each sample's neurons and computes their pre-activations. `labels`: of an output
    /// layer: labels are active and come first, and a sample without any has no active neuron.
    /// False where a pre-activation is NaN or infinite. Adds to the report what was found.
    bool forward(const SparseBatch& in,
                 std::uint64_t step,
                 const data::PointsView* labels,
                 StepReport& report);
    /// Leaves the neurons of positive pre-activation, the others being 0 and without a gradient.
    void relu();
    /// What is active: after forward() with pre-activations, after relu() with activations.
    [[nodiscard]] SparseBatch active() const noexcept {
        return {rows_.rows(), runs_, ids_, values_};
    }
    [[nodiscard]] std::span<float> values() noexcept { return values_; }

    /// gradient: of the pre-activations, by slot of active(). in_gradient: by slot of `in`, or
    /// empty.
    void backward(const SparseBatch& in,
                  std::span<const float> gradient,
                  std::span<float> in_gradient,
                  const UpdateRule& rule);
    /// Neurons of the last step, each once.
    [[nodiscard]] std::size_t rows_touched() const noexcept { return grouping_.view().count; }

    /// Tables and the queries' centre; rows are their owner's.
    void visit_state(StateVisitor& state, const std::string& name);

    /// Activations of one sample over all neurons, of a sampled layer the mix.lsh highest; the rest
    /// is 0. out: as many floats as neurons. Safe from many threads.
    void predict(kernels::SparseView in, float* out) const;

private:
    struct Scratch;

    [[nodiscard]] std::uint32_t capacity(std::size_t labels) const noexcept;
    void hash(const SparseBatch& in, std::size_t begin, std::size_t end, Scratch& scratch) const;
    void choose(const SparseBatch& in,
                std::size_t sample,
                std::span<const std::uint32_t> keys,
                std::uint64_t step,
                const data::PointsView* labels,
                Scratch& scratch);
    void add_best(kernels::SparseView in,
                  std::span<const std::uint32_t> candidates,
                  Scratch& scratch) const;
    void pre_activations(kernels::SparseView in,
                         std::span<const std::uint32_t> ids,
                         float* out) const noexcept;
    void update(const SparseBatch& in,
                std::span<const float> gradient,
                kernels::GroupsView groups,
                const UpdateRule& rule,
                Scratch& scratch);
    [[nodiscard]] Scratch& scratch_of(system::Worker worker);

    system::Executor& executor_;
    Parameters& rows_;
    std::optional<LshOutput> config_;
    std::uint64_t seed_;
    Blocks blocks_;
    std::optional<RowTables> tables_;
    QueryCentre centre_;
    std::vector<std::uint32_t> all_;  // ids

    // One step's working set.
    std::vector<SlotRun> runs_;       // by sample
    std::vector<std::uint32_t> ids_;  // by slot
    std::vector<float> values_;       // by slot
    std::vector<float> zeros_;        // as many as the most active
    std::vector<std::uint32_t> labelled_;
    std::vector<StepReport> found_;  // by sample
    Grouping grouping_;
    std::vector<std::unique_ptr<Scratch>> scratch_;  // by worker
};

}  // namespace slidekit::nn
