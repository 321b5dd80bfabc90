// The plainest statement of the updates of rows in bf16: the oracle of the other levels.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/optimizer_bf16.hpp>

#include "scalar-bf16-inl.hpp"
#include "scalar-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// A weight in two halves, for as long as it is one.
struct SplitWeight {
    Bf16& high;
    std::uint16_t& low;
    float value = std::bit_cast<float>(static_cast<std::uint32_t>(high.bits) << 16 | low);

    void put_back() const noexcept {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        high.bits = static_cast<std::uint16_t>(bits >> 16);
        low = static_cast<std::uint16_t>(bits);
    }
};

inline void adam_row_split(Bf16* high,
                           std::uint16_t* low,
                           float* first,
                           float* second,
                           const float* gradient,
                           std::size_t dim,
                           const AdamStep& step) noexcept {
    for (std::size_t k = 0; k < dim; ++k) {
        SplitWeight w{high[k], low[k]};
        adam_element(w.value, first[k], second[k], gradient[k], step.decay, step);
        w.put_back();
    }
}

inline void sgd_row_split(Bf16* high,
                          std::uint16_t* low,
                          const float* gradient,
                          std::size_t dim,
                          const SgdStep& step) noexcept {
    for (std::size_t k = 0; k < dim; ++k) {
        SplitWeight w{high[k], low[k]};
        sgd_element(w.value, gradient[k], step);
        w.put_back();
    }
}

inline void adam_groups_split(GroupsView groups,
                              const float* values,
                              RowMatrix<const float> vectors,
                              RowMatrix<float> back,
                              AdamSplitRows rows,
                              AdamBias bias,
                              const AdamStep& step) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::size_t id = groups.ids[g];
        for (std::size_t k = 0; k < rows.high.dim; ++k) {
            const std::size_t at = id * rows.high.stride + k;
            SplitWeight w{rows.high.data[at], rows.low[at]};
            const float gradient = weight_gradient(groups, g, values, vectors, back, w.value, k);
            adam_element(w.value, rows.first[at], rows.second[at], gradient, step.decay, step);
            w.put_back();
        }
        if (bias.weights != nullptr)
            adam_bias_element(bias, id, group_bias_gradient(groups, g, values), step);
    }
}

inline void sgd_groups_split(GroupsView groups,
                             const float* values,
                             RowMatrix<const float> vectors,
                             RowMatrix<float> back,
                             SplitRows rows,
                             float* bias,
                             const SgdStep& step) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::size_t id = groups.ids[g];
        for (std::size_t k = 0; k < rows.high.dim; ++k) {
            const std::size_t at = id * rows.high.stride + k;
            SplitWeight w{rows.high.data[at], rows.low[at]};
            const float gradient = weight_gradient(groups, g, values, vectors, back, w.value, k);
            sgd_element(w.value, gradient, step);
            w.put_back();
        }
        if (bias != nullptr)
            bias[id] = fused(-step.lr, group_bias_gradient(groups, g, values), bias[id]);
    }
}

inline void momentum_row_split(Bf16* high,
                               std::uint16_t* low,
                               float* velocity,
                               const float* gradient,
                               std::size_t dim,
                               const MomentumStep& step) noexcept {
    for (std::size_t k = 0; k < dim; ++k) {
        SplitWeight w{high[k], low[k]};
        momentum_element(w.value, velocity[k], gradient[k], step);
        w.put_back();
    }
}

inline void adagrad_row_split(Bf16* high,
                              std::uint16_t* low,
                              float* state,
                              const float* gradient,
                              std::size_t dim,
                              const AdagradStep& step) noexcept {
    if (dim == 0) return;
    const float mean_square = dot(gradient, gradient, dim) / static_cast<float>(dim);
    const float rate = adagrad_rate(*state, mean_square, step);
    for (std::size_t k = 0; k < dim; ++k) {
        SplitWeight w{high[k], low[k]};
        w.value = w.value - step.decay * w.value - rate * gradient[k];
        w.put_back();
    }
}

inline void momentum_groups_split(GroupsView groups,
                                  const float* values,
                                  RowMatrix<const float> vectors,
                                  RowMatrix<float> back,
                                  MomentumSplitRows rows,
                                  MomentumBias bias,
                                  const MomentumStep& step) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::size_t id = groups.ids[g];
        for (std::size_t k = 0; k < rows.high.dim; ++k) {
            const std::size_t at = id * rows.high.stride + k;
            SplitWeight w{rows.high.data[at], rows.low[at]};
            const float gradient = weight_gradient(groups, g, values, vectors, back, w.value, k);
            momentum_element(w.value, rows.velocity[at], gradient, step);
            w.put_back();
        }
        if (bias.weights == nullptr) continue;
        const float gradient = group_bias_gradient(groups, g, values);
        float& weight = bias.weights[id];
        weight = momentum_moved(weight, bias.velocity[id], gradient, step);
    }
}

inline void adagrad_groups_split(GroupsView groups,
                                 const float* values,
                                 RowMatrix<const float> vectors,
                                 RowMatrix<float> back,
                                 AdagradSplitRows rows,
                                 AdagradBias bias,
                                 const AdagradStep& step) noexcept {
    const std::size_t dim = rows.high.dim;
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::size_t id = groups.ids[g];
        const std::size_t start = id * rows.high.stride;
        float squares = 0;
        for (std::size_t k = 0; k < dim; ++k) {
            const SplitWeight w{rows.high.data[start + k], rows.low[start + k]};
            const float gradient = weight_gradient(groups, g, values, vectors, back, w.value, k);
            squares += gradient * gradient;
        }
        const float rate =
            dim == 0 ? 0 : adagrad_rate(rows.state[id], squares / static_cast<float>(dim), step);
        for (std::size_t k = 0; k < dim; ++k) {
            SplitWeight w{rows.high.data[start + k], rows.low[start + k]};
            const float gradient = weight_gradient(groups, g, values, vectors, {}, w.value, k);
            w.value = w.value - step.decay * w.value - rate * gradient;
            w.put_back();
        }
        if (bias.weights == nullptr) continue;
        const float gradient = group_bias_gradient(groups, g, values);
        bias.weights[id] -= adagrad_rate(bias.state[id], gradient * gradient, step) * gradient;
    }
}

inline void adam_row_bf16(Bf16* weights,
                          float* first,
                          float* second,
                          const float* gradient,
                          std::size_t dim,
                          const AdamStep& step,
                          const BitStream& random) noexcept {
    const StreamKey key = stream_key(random);
    for (std::size_t k = 0; k < dim; ++k) {
        float w = widened(weights[k]);
        adam_element(w, first[k], second[k], gradient[k], step.decay, step);
        weights[k] = rounded_at_random(w, key, k);
    }
}

inline void sgd_row_bf16(Bf16* weights,
                         const float* gradient,
                         std::size_t dim,
                         const SgdStep& step,
                         const BitStream& random) noexcept {
    const StreamKey key = stream_key(random);
    for (std::size_t k = 0; k < dim; ++k) {
        float w = widened(weights[k]);
        sgd_element(w, gradient[k], step);
        weights[k] = rounded_at_random(w, key, k);
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
