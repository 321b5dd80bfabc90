// The output layer behind a sampled hidden layer: its input is sparse, of each sample some neurons
// are active, or all.
#pragma once

#include <span>
#include <vector>

#include <slidekit/nn/network.hpp>

#include "nn/loss.hpp"
#include "nn/sparse_layer.hpp"

namespace slidekit::nn {

class SparseOutput {
public:
    /// See SparseLayer.
    SparseOutput(system::Runtime& runtime,
                 Parameters& rows,
                 const std::optional<LshOutput>& sampled,
                 std::vector<std::uint32_t> met,
                 Loss loss,
                 std::uint64_t seed)
        : executor_(runtime.executor()),
          layer_(runtime, rows, sampled, std::move(met), seed),
          loss_(loss) {}

    /// Forward, loss, backward and update. in_gradient: by slot of `in`; it is overwritten. Adds to
    /// the report. False where a logit is NaN or infinite.
    bool step(const SparseBatch& in,
              const data::PointsView& batch,
              std::uint64_t step,
              float label_smoothing,
              const UpdateRule& rule,
              std::span<float> in_gradient,
              StepReport& report);

    [[nodiscard]] SparseLayer& layer() noexcept { return layer_; }
    [[nodiscard]] const SparseLayer& layer() const noexcept { return layer_; }

private:
    system::Executor& executor_;
    SparseLayer layer_;
    Loss loss_;
    std::vector<StepReport> reports_;  // by sample
};

}  // namespace slidekit::nn
