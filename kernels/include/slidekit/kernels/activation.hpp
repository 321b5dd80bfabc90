// ReLU, sigmoid, tanh and their gradients, and a numerically safe softmax: over one vector, whole
// and in parts, and over the columns of a block.
//
// A block of logits has one row a neuron and one column a sample, columns contiguous, so that the
// dense softmax never transposes.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// x[k] = max(x[k], 0); NaN and -0 become 0.
SLIDEKIT_API void relu(float* x, std::size_t dim) noexcept;

/// gradient[k] = activation[k] > 0 ? gradient[k] : 0.
SLIDEKIT_API void relu_gradient(const float* activation, float* gradient, std::size_t dim) noexcept;

/// x[k] = 1 / (1 + e^-x[k]), within 2.5 ulp; below the least normal number it becomes 0. NaN stays.
SLIDEKIT_API void sigmoid(float* x, std::size_t dim) noexcept;

/// gradient[k] *= y (1 - y) with y = activation[k], what sigmoid() gave.
SLIDEKIT_API void sigmoid_gradient(const float* activation,
                                   float* gradient,
                                   std::size_t dim) noexcept;

/// x[k] = tanh(x[k]), within 2.5 ulp (1.4 but for the scalar level), odd to the last bit. NaN
/// stays.
SLIDEKIT_API void tanh(float* x, std::size_t dim) noexcept;

/// gradient[k] *= 1 - y^2 with y = activation[k], what tanh() gave.
///
/// As (1 - y) (1 + y), which does not cancel where y is near 1.
SLIDEKIT_API void tanh_gradient(const float* activation, float* gradient, std::size_t dim) noexcept;

/// x[i] = e^x[i] / sum of all e^x[i], safely; returns log of that sum (log-sum-exp).
///
/// Of nothing, or where every x[i] is -infinity, the sum is 0: the values become 0 and the result
/// is -infinity. One NaN or +infinity makes all NaN. Accumulators: fp32, one a lane.
SLIDEKIT_API float softmax(float* x, std::size_t count) noexcept;

/// The largest of count values; -infinity when count is 0. NaN values are passed over.
SLIDEKIT_API float max_value(const float* x, std::size_t count) noexcept;

/// x[i] = exp(x[i] - shift), and their sum. Relative error of each exp under 4 ulp; x[i] <= shift
/// expected.
SLIDEKIT_API float exp_sum(float* x, std::size_t count, float shift) noexcept;

/// x[i] *= a.
SLIDEKIT_API void scale(float a, float* x, std::size_t count) noexcept;

/// Folds a block of logits into running column maxima and sums of exponentials (online softmax):
/// max'[c] = max(max[c], max_r logits[r][c]), sum'[c] = sum[c] e^(max[c] - max'[c]) + sum_r
/// e^(logits[r][c] - max'[c]).
///
/// Start with max = -infinity and sum = 0. Requires: max and sum have logits.dim elements.
SLIDEKIT_API void fold_softmax_columns(RowMatrix<const float> logits,
                                       float* max,
                                       float* sum) noexcept;

/// logits[r][c] = exp(logits[r][c] - max[c]) * factor[c].
SLIDEKIT_API void apply_softmax_columns(RowMatrix<float> logits,
                                        const float* max,
                                        const float* factor) noexcept;

}  // namespace slidekit::kernels
