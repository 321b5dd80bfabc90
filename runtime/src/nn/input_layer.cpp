// The input layer's passes; the row update is the same fused kernel as the output layer's.
#include "nn/input_layer.hpp"

#include <algorithm>
#include <atomic>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>

#include "nn/sparse_batch.hpp"
#include "system/task.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

UpdateRule without_decay(UpdateRule rule) {
    std::visit([](auto& step) { step.decay = 0; }, rule);
    return rule;
}

InputLayer::InputLayer(system::Runtime& runtime,
                       std::uint32_t features,
                       std::uint32_t hidden,
                       Optimizer optimizer,
                       Precision precision)
    : rows_(runtime, "input", features, hidden, optimizer, Bias::none, precision),
      bias_(runtime, "input_bias", 1, hidden, optimizer, Bias::none),
      bias_gradient_(hidden),
      zeros_(hidden) {}

bool InputLayer::forward(const data::PointsView& points,
                         std::size_t first,
                         RowMatrix<float> hidden) const noexcept {
    const std::span<const float> initial = bias();
    bool finite = true;
    for (std::size_t i = 0; i < hidden.rows; ++i) {
        float* out = hidden.row(i);
        std::copy(initial.begin(), initial.end(), out);
        rows_.bag_rows(features_of(points, first + i), out);
        finite = finite && all_finite(out, zeros_.data(), hidden.dim);
        kernels::relu(out, hidden.dim);
    }
    return finite;
}

bool InputLayer::forward(system::Executor& executor,
                         const data::PointsView& points,
                         RowMatrix<float> hidden) const {
    constexpr std::size_t kSamplesPerTask = 8;
    std::atomic<bool> finite = true;
    executor.for_each_piece(
        points.points, kSamplesPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            if (!forward(
                    points, begin, {hidden.row(begin), end - begin, hidden.dim, hidden.stride}))
                finite = false;
        });
    return finite;
}

void InputLayer::backward(system::Executor& executor,
                          const data::PointsView& batch,
                          RowMatrix<const float> hidden,
                          RowMatrix<float> gradient,
                          const UpdateRule& rule) {
    static const system::TaskName kTask("input_backward");
    const system::Task stage(kTask);
    runs_.resize(batch.points);
    std::fill(bias_gradient_.begin(), bias_gradient_.end(), 0.0F);
    for (std::size_t s = 0; s < batch.points; ++s) {
        runs_[s] = {static_cast<std::uint32_t>(batch.feature_offsets[s]),
                    static_cast<std::uint32_t>(batch.nnz_of(s))};
        kernels::relu_gradient(hidden.row(s), gradient.row(s), gradient.dim);
        kernels::axpy(1, gradient.row(s), bias_gradient_.data(), gradient.dim);
    }
    grouping_.build(executor, batch.feature_ids, runs_, batch.features);
    executor.for_each(Grouping::kPieces, [&](std::size_t piece, system::Worker) {
        rows_.update_groups(
            grouping_.piece(piece), batch.feature_values.data(), gradient, {}, rule);
    });
    rows_.update_others(executor, grouping_.view(), rule, 0, rows_.rows());
    bias_.update_row(0, bias_gradient_.data(), 0, without_decay(rule));
}

}  // namespace slidekit::nn
