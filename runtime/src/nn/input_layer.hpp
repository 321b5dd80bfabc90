// The first layer: an embedding bag over the sample's features, a bias, ReLU.
//
// Weights are stored by feature, so that forward reads and backward updates whole rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/nn/parameters.hpp>
#include <slidekit/system/executor.hpp>

#include "nn/finite.hpp"
#include "nn/grouping.hpp"

namespace slidekit::nn {

/// The bias is kept as a row of weights, but it is none: it does not decay.
[[nodiscard]] UpdateRule without_decay(UpdateRule rule);

class InputLayer {
public:
    InputLayer(system::Runtime& runtime,
               std::uint32_t features,
               std::uint32_t hidden,
               Optimizer optimizer,
               Precision precision);

    [[nodiscard]] Parameters& parameters() noexcept { return rows_; }
    [[nodiscard]] const Parameters& parameters() const noexcept { return rows_; }
    /// One row.
    [[nodiscard]] Parameters& bias_parameters() noexcept { return bias_; }
    [[nodiscard]] std::span<float> bias() noexcept { return {bias_.weights().row(0), rows_.dim()}; }
    [[nodiscard]] std::span<const float> bias() const noexcept {
        return {bias_.weights().row(0), rows_.dim()};
    }

    /// hidden[i] = relu(bias + sum of value * row) for points first .. first + hidden.rows - 1.
    /// False where a sum is NaN or infinite, which ReLU may hide.
    bool forward(const data::PointsView& points,
                 std::size_t first,
                 kernels::RowMatrix<float> hidden) const noexcept;

    /// The same for all points, on the executor's workers.
    bool forward(system::Executor& executor,
                 const data::PointsView& points,
                 kernels::RowMatrix<float> hidden) const;

    /// Updates rows and bias. gradient: of the activations, by sample; it is overwritten by that of
    /// the pre-activations.
    void backward(system::Executor& executor,
                  const data::PointsView& batch,
                  kernels::RowMatrix<const float> hidden,
                  kernels::RowMatrix<float> gradient,
                  const UpdateRule& rule);

    void visit_state(StateVisitor& state, const std::string& name) {
        rows_.visit_state(state, name);
        bias_.visit_state(state, name + ".bias");
    }

private:
    Parameters rows_;  // by feature
    Parameters bias_;  // one row
    Grouping grouping_;
    std::vector<SlotRun> runs_;
    std::vector<float> bias_gradient_;
    std::vector<float> zeros_;
};

}  // namespace slidekit::nn
