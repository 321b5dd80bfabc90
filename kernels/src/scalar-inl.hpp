// The plainest statement of each kernel: the oracle of the other levels, and the fallback where
// there is no SIMD.
//
// Sums run in the order in which the loops are written, one product and one addition at a time. The
// helpers have names that no kernel has: a call by the name of a kernel would find the public
// function too, through its arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dense.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/optimizer.hpp>

#include "scalar-dedup-inl.hpp"
#include "scalar-fused-inl.hpp"
#include "scalar-hadamard-inl.hpp"
#include "scalar-hash-inl.hpp"
#include "scalar-projections-inl.hpp"
#include "scalar-sparse-dwta-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

inline float dot(const float* x, const float* y, std::size_t dim) noexcept {
    float sum = 0;
    for (std::size_t k = 0; k < dim; ++k) sum += x[k] * y[k];
    return sum;
}

inline float dot_picked(SparseView x, const float* y) noexcept {
    float sum = 0;
    for (std::size_t i = 0; i < x.nnz; ++i) sum += x.values[i] * y[x.ids[i]];
    return sum;
}

inline float dot_sparse_dense(SparseView x, const float* y, std::size_t) noexcept {
    return dot_picked(x, y);
}

inline float dot_sparse_sparse(SparseView x, SparseView y) noexcept {
    float sum = 0;
    for (std::size_t i = 0, j = 0; i < x.nnz && j < y.nnz;) {
        if (x.ids[i] == y.ids[j]) {
            sum += x.values[i++] * y.values[j++];
        } else {
            ++(x.ids[i] < y.ids[j] ? i : j);
        }
    }
    return sum;
}

inline void dot_sparse_rows(SparseView x,
                            RowMatrix<const float> rows,
                            const std::uint32_t* ids,
                            std::size_t count,
                            float* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) out[i] = dot_picked(x, rows.row(ids[i]));
}

inline void dot_rows(const float* x,
                     RowMatrix<const float> rows,
                     const std::uint32_t* ids,
                     std::size_t count,
                     float* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) out[i] = dot(x, rows.row(ids[i]), rows.dim);
}

inline void dot_rows_i8(const std::uint8_t* x,
                        RowMatrix<const std::int8_t> rows,
                        const std::uint32_t* ids,
                        std::size_t count,
                        std::int32_t* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const std::int8_t* row = rows.row(ids[i]);
        std::int32_t sum = 0;
        for (std::size_t k = 0; k < rows.dim; ++k) sum += x[k] * row[k];
        out[i] = sum;
    }
}

inline void dot_groups(GroupsView groups,
                       RowMatrix<const float> rows,
                       const float* bias,
                       RowMatrix<const float> vectors,
                       float* out) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::uint32_t id = groups.ids[g];
        for (std::uint32_t p = groups.starts[g]; p < groups.starts[g + 1]; ++p) {
            const Member member = groups.members[p];
            const float sum = dot(rows.row(id), vectors.row(member.vector), rows.dim);
            out[member.slot] = bias == nullptr ? sum : sum + bias[id];
        }
    }
}

inline void axpy(float a, const float* x, float* y, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) y[k] += a * x[k];
}

inline void bag_rows(SparseView input, RowMatrix<const float> rows, float* out) noexcept {
    for (std::size_t i = 0; i < input.nnz; ++i)
        axpy(input.values[i], rows.row(input.ids[i]), out, rows.dim);
}

inline void scatter_rows(SparseView weights, const float* x, RowMatrix<float> rows) noexcept {
    for (std::size_t i = 0; i < weights.nnz; ++i)
        axpy(weights.values[i], x, rows.row(weights.ids[i]), rows.dim);
}

inline void relu(float* x, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) x[k] = x[k] > 0 ? x[k] : 0;
}

inline void relu_gradient(const float* activation, float* gradient, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) gradient[k] = activation[k] > 0 ? gradient[k] : 0;
}

inline float max_value(const float* x, std::size_t count) noexcept {
    float largest = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
    return largest;
}

inline float exp_sum(float* x, std::size_t count, float shift) noexcept {
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += x[i] = __builtin_expf(x[i] - shift);
    return sum;
}

inline void scale(float a, float* x, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) x[i] *= a;
}

inline void sigmoid(float* x, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) {
        const float e = __builtin_expf(-__builtin_fabsf(x[k]));
        x[k] = (x[k] < 0 ? e : 1) / (1 + e);
    }
}

inline void sigmoid_gradient(const float* activation, float* gradient, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) gradient[k] *= activation[k] * (1 - activation[k]);
}

inline void tanh(float* x, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) x[k] = __builtin_tanhf(x[k]);
}

inline void tanh_gradient(const float* activation, float* gradient, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) gradient[k] *= (1 - activation[k]) * (1 + activation[k]);
}

inline float softmax(float* x, std::size_t count) noexcept {
    constexpr float kLowest = -std::numeric_limits<float>::infinity();
    const float largest = max_value(x, count);
    const float sum = exp_sum(x, count, largest == kLowest ? 0 : largest);
    if (sum == 0) return kLowest;
    scale(1 / sum, x, count);
    return largest + __builtin_logf(sum);
}

// A column whose largest logit is -infinity has met nothing yet, or only -infinity: any finite
// shift gives zeros there, where its maximum would give NaN.
inline float column_shift(float max) noexcept {
    return max == -std::numeric_limits<float>::infinity() ? 0 : max;
}

inline void fold_softmax_columns(RowMatrix<const float> logits, float* max, float* sum) noexcept {
    for (std::size_t c = 0; c < logits.dim; ++c) {
        float largest = max[c];
        for (std::size_t r = 0; r < logits.rows; ++r) {
            const float x = logits.row(r)[c];
            largest = x > largest ? x : largest;
        }
        const float shift = column_shift(largest);
        float total = sum[c] * __builtin_expf(max[c] - shift);
        for (std::size_t r = 0; r < logits.rows; ++r)
            total += __builtin_expf(logits.row(r)[c] - shift);
        max[c] = largest;
        sum[c] = total;
    }
}

inline void apply_softmax_columns(RowMatrix<float> logits,
                                  const float* max,
                                  const float* factor) noexcept {
    for (std::size_t r = 0; r < logits.rows; ++r) {
        float* row = logits.row(r);
        for (std::size_t c = 0; c < logits.dim; ++c) {
            row[c] = __builtin_expf(row[c] - column_shift(max[c])) * factor[c];
        }
    }
}

inline void multiply_add(StridedMatrix a, RowMatrix<const float> b, RowMatrix<float> c) noexcept {
    for (std::size_t i = 0; i < a.rows; ++i) {
        for (std::size_t k = 0; k < a.columns; ++k) {
            axpy(a.data[i * a.row_stride + k * a.column_stride], b.row(k), c.row(i), c.dim);
        }
    }
}

inline void transpose(RowMatrix<const float> in, RowMatrix<float> out) noexcept {
    for (std::size_t r = 0; r < in.rows; ++r) {
        for (std::size_t c = 0; c < in.dim; ++c) out.row(c)[r] = in.row(r)[c];
    }
}

// Updates the moments; what the weight goes down by, decay apart.
inline float adam_change(float& m, float& v, float gradient, const AdamStep& step) noexcept {
    m = fused(step.beta1, m, (1 - step.beta1) * gradient);
    v = fused(step.beta2, v, (1 - step.beta2) * (gradient * gradient));
    return step.lr * m / (__builtin_sqrtf(v) + step.epsilon);
}

inline void adam_element(
    float& w, float& m, float& v, float gradient, float decay, const AdamStep& step) noexcept {
    w = fused(-decay, w, w) - adam_change(m, v, gradient, step);
}

inline void adam_bias_element(const AdamBias& bias,
                              std::size_t id,
                              float gradient,
                              const AdamStep& step) noexcept {
    bias.weights[id] -= adam_change(bias.first[id], bias.second[id], gradient, step);
}

inline void adam_row(float* weights,
                     float* first,
                     float* second,
                     const float* gradient,
                     std::size_t dim,
                     const AdamStep& step) noexcept {
    for (std::size_t k = 0; k < dim; ++k) {
        adam_element(weights[k], first[k], second[k], gradient[k], step.decay, step);
    }
}

inline void sgd_element(float& w, float gradient, const SgdStep& step) noexcept {
    w = fused(-step.lr, gradient, fused(-step.decay, w, w));
}

inline void sgd_row(float* weights,
                    const float* gradient,
                    std::size_t dim,
                    const SgdStep& step) noexcept {
    for (std::size_t k = 0; k < dim; ++k) sgd_element(weights[k], gradient[k], step);
}

// What coordinate k of a group's row, w, gets, and gives to its vectors: returns the gradient.
inline float weight_gradient(GroupsView groups,
                             std::size_t group,
                             const float* values,
                             RowMatrix<const float> vectors,
                             RowMatrix<float> back,
                             float w,
                             std::size_t k) noexcept {
    float gradient = 0;
    for (std::uint32_t p = groups.starts[group]; p < groups.starts[group + 1]; ++p) {
        const Member member = groups.members[p];
        const float value = values[member.slot];
        gradient = fused(value, vectors.row(member.vector)[k], gradient);
        if (back.data == nullptr) continue;
        float& share = back.row(member.vector)[k];
        share = fused(value, w, share);
    }
    return gradient;
}

inline float group_gradient(GroupsView groups,
                            std::size_t group,
                            const float* values,
                            RowMatrix<const float> vectors,
                            RowMatrix<float> back,
                            const float* w,
                            std::size_t k) noexcept {
    return weight_gradient(groups, group, values, vectors, back, w[k], k);
}

inline float group_bias_gradient(GroupsView groups,
                                 std::size_t group,
                                 const float* values) noexcept {
    float gradient = 0;
    for (std::uint32_t p = groups.starts[group]; p < groups.starts[group + 1]; ++p) {
        gradient += values[groups.members[p].slot];
    }
    return gradient;
}

inline void adam_groups(GroupsView groups,
                        const float* values,
                        RowMatrix<const float> vectors,
                        RowMatrix<float> back,
                        AdamRows rows,
                        AdamBias bias,
                        const AdamStep& step) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::size_t id = groups.ids[g];
        const std::size_t at = id * rows.weights.stride;
        float* w = rows.weights.row(id);
        for (std::size_t k = 0; k < rows.weights.dim; ++k) {
            const float gradient = group_gradient(groups, g, values, vectors, back, w, k);
            adam_element(w[k], rows.first[at + k], rows.second[at + k], gradient, step.decay, step);
        }
        if (bias.weights != nullptr)
            adam_bias_element(bias, id, group_bias_gradient(groups, g, values), step);
    }
}

inline void sgd_groups(GroupsView groups,
                       const float* values,
                       RowMatrix<const float> vectors,
                       RowMatrix<float> back,
                       RowMatrix<float> rows,
                       float* bias,
                       const SgdStep& step) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::size_t id = groups.ids[g];
        float* w = rows.row(id);
        for (std::size_t k = 0; k < rows.dim; ++k) {
            sgd_element(w[k], group_gradient(groups, g, values, vectors, back, w, k), step);
        }
        if (bias != nullptr)
            bias[id] = fused(-step.lr, group_bias_gradient(groups, g, values), bias[id]);
    }
}

// `kept` is the weight after decay.
inline float momentum_moved(float kept,
                            float& u,
                            float gradient,
                            const MomentumStep& step) noexcept {
    u = fused(step.momentum, u, gradient);
    const bool nesterov = step.nesterov != 0;
    const float ahead = fused(nesterov ? -step.lr : -0.0F, gradient, kept);
    return fused(nesterov ? -(step.lr * step.momentum) : -step.lr, u, ahead);
}

inline void momentum_element(float& w,
                             float& u,
                             float gradient,
                             const MomentumStep& step) noexcept {
    w = momentum_moved(fused(-step.decay, w, w), u, gradient, step);
}

inline void momentum_row(float* weights,
                         float* velocity,
                         const float* gradient,
                         std::size_t dim,
                         const MomentumStep& step) noexcept {
    for (std::size_t k = 0; k < dim; ++k)
        momentum_element(weights[k], velocity[k], gradient[k], step);
}

inline void momentum_groups(GroupsView groups,
                            const float* values,
                            RowMatrix<const float> vectors,
                            RowMatrix<float> back,
                            MomentumRows rows,
                            MomentumBias bias,
                            const MomentumStep& step) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::size_t id = groups.ids[g];
        float* w = rows.weights.row(id);
        float* u = rows.velocity + id * rows.weights.stride;
        for (std::size_t k = 0; k < rows.weights.dim; ++k) {
            const float gradient = group_gradient(groups, g, values, vectors, back, w, k);
            momentum_element(w[k], u[k], gradient, step);
        }
        if (bias.weights == nullptr) continue;
        const float gradient = group_bias_gradient(groups, g, values);
        float& weight = bias.weights[id];
        weight = momentum_moved(weight, bias.velocity[id], gradient, step);
    }
}

// The learning rate of a row, whose squared gradient goes into its state.
inline float adagrad_rate(float& state, float mean_square, const AdagradStep& step) noexcept {
    state += mean_square;
    return step.lr / (__builtin_sqrtf(state) + step.epsilon);
}

inline void adagrad_row(float* weights,
                        float* state,
                        const float* gradient,
                        std::size_t dim,
                        const AdagradStep& step) noexcept {
    if (dim == 0) return;
    const float mean_square = dot(gradient, gradient, dim) / static_cast<float>(dim);
    const float rate = adagrad_rate(*state, mean_square, step);
    for (std::size_t k = 0; k < dim; ++k)
        weights[k] = weights[k] - step.decay * weights[k] - rate * gradient[k];
}

// Without scratch for a row's gradient, it is gathered twice: for the mean, and for the weights.
inline void adagrad_groups(GroupsView groups,
                           const float* values,
                           RowMatrix<const float> vectors,
                           RowMatrix<float> back,
                           AdagradRows rows,
                           AdagradBias bias,
                           const AdagradStep& step) noexcept {
    const std::size_t dim = rows.weights.dim;
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::size_t id = groups.ids[g];
        float* w = rows.weights.row(id);
        float squares = 0;
        for (std::size_t k = 0; k < dim; ++k) {
            const float gradient = group_gradient(groups, g, values, vectors, back, w, k);
            squares += gradient * gradient;
        }
        const float rate =
            dim == 0 ? 0 : adagrad_rate(rows.state[id], squares / static_cast<float>(dim), step);
        for (std::size_t k = 0; k < dim; ++k) {
            const float gradient = group_gradient(groups, g, values, vectors, {}, w, k);
            w[k] = w[k] - step.decay * w[k] - rate * gradient;
        }
        if (bias.weights == nullptr) continue;
        const float gradient = group_bias_gradient(groups, g, values);
        bias.weights[id] -= adagrad_rate(bias.state[id], gradient * gradient, step) * gradient;
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
