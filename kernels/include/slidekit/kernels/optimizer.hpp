// Optimiser updates of one row, and of all rows of a batch fused with their gradients.
//
// The fused form is the step of SLIDE: a row is read once, gets its whole gradient from the samples
// that it was active for, passes its share of the gradient back to them, and is updated while it is
// in cache.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019):
/// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w = w - lr m / (sqrt(v) + epsilon) - decay w.
struct AdamStep {
    float lr = 0;  // bias-corrected: lr sqrt(1 - b2^t) / (1 - b1^t)
    float beta1 = 0.9F;
    float beta2 = 0.999F;
    float epsilon = 1e-8F;
    float decay = 0;  // absolute: lr times the weight decay
};

/// Plain stochastic gradient descent: w = w - lr g - decay w.
struct SgdStep {
    float lr = 0;
    float decay = 0;
};

/// Gradient descent with momentum (Polyak 1964, in the form of Sutskever et al. 2013):
/// u = momentum u + g; w = w - lr u - decay w; with Nesterov's look-ahead
/// w = w - lr (g + momentum u) - decay w.
struct MomentumStep {
    float lr = 0;
    float momentum = 0.9F;
    float decay = 0;             // absolute: lr times the weight decay
    std::uint32_t nesterov = 0;  // 0: plain; anything else: with look-ahead
};

/// Adagrad with one accumulator a row (Naumov et al. 2019, DLRM; FBGEMM's "rowwise Adagrad"):
/// s = s + mean over the row of g^2; w = w - lr g / (sqrt(s) + epsilon) - decay w.
struct AdagradStep {
    float lr = 0;
    float epsilon = 1e-8F;
    float decay = 0;  // absolute: lr times the weight decay
};

/// The learning rate of Adam's step `step` (the first is 1), bias-corrected as AdamStep takes it:
/// lr sqrt(1 - beta2^step) / (1 - beta1^step). In double precision, for the caller to round once.
[[nodiscard]] inline double adam_bias_corrected_lr(double lr,
                                                   double beta1,
                                                   double beta2,
                                                   std::uint64_t step) noexcept {
    // Repeated squaring: its errors double with each square, as the power they belong to vanishes.
    double power1 = 1;
    double power2 = 1;
    for (; step > 0; step >>= 1) {
        if ((step & 1) != 0) {
            power1 *= beta1;
            power2 *= beta2;
        }
        beta1 *= beta1;
        beta2 *= beta2;
    }
    return lr * __builtin_sqrt(1 - power2) / (1 - power1);
}

/// Weights and moments of a matrix, row by row, all with one stride.
struct AdamRows {
    RowMatrix<float> weights;
    float* first = nullptr;   // m, laid out like weights
    float* second = nullptr;  // v, laid out like weights
};

/// Biases and their moments, one a row; weights may be null: no bias. The bias does not decay.
struct AdamBias {
    float* weights = nullptr;
    float* first = nullptr;
    float* second = nullptr;
};

/// Weights and their velocities, all with one stride.
struct MomentumRows {
    RowMatrix<float> weights;
    float* velocity = nullptr;  // u, laid out like weights
};

/// Biases and their velocities, one a row; weights may be null: no bias. The bias does not decay.
struct MomentumBias {
    float* weights = nullptr;
    float* velocity = nullptr;
};

/// Weights, and one accumulator a row.
struct AdagradRows {
    RowMatrix<float> weights;
    float* state = nullptr;  // s: weights.rows elements, none below 0
};

/// Biases, each with its accumulator; weights may be null: no bias. The bias does not decay.
struct AdagradBias {
    float* weights = nullptr;
    float* state = nullptr;
};

/// One row. The division and square root are exact (IEEE), not estimates.
///
/// It works element by element: dense Adam, which moves rows without a gradient too, is this over
/// all rows, or over a whole matrix without padding as one row of rows * dim.
SLIDEKIT_API void adam_row(float* weights,
                           float* first,
                           float* second,
                           const float* gradient,
                           std::size_t dim,
                           const AdamStep& step) noexcept;

SLIDEKIT_API void sgd_row(float* weights,
                          const float* gradient,
                          std::size_t dim,
                          const SgdStep& step) noexcept;

SLIDEKIT_API void momentum_row(float* weights,
                               float* velocity,
                               const float* gradient,
                               std::size_t dim,
                               const MomentumStep& step) noexcept;

/// One row with its accumulator, *state.
///
/// Accumulators of the mean: fp32, one a lane. The division and square root are exact (IEEE), one a
/// row. A row of no elements is left alone, its state too.
SLIDEKIT_API void adagrad_row(float* weights,
                              float* state,
                              const float* gradient,
                              std::size_t dim,
                              const AdagradStep& step) noexcept;

/// Backward pass and update of every group's row, fused. For group g with row id and old weights w:
///   gradient = sum over members of values[slot] * vectors[vector]       (bias: sum of
///   values[slot]) back[vector] += values[slot] * w                                    for each
///   member, unless back.data is null Adam on the row and its bias.
///
/// Order of sums: members ascending within a group, groups ascending. Prefetches rows ahead.
/// Requires: all dims equal; one task at a time per row and per back matrix.
/// Source: SLIDE [MLSys 2020], section 3, regrouped by neuron so that a row belongs to one task.
SLIDEKIT_API void adam_groups(GroupsView groups,
                              const float* values,
                              RowMatrix<const float> vectors,
                              RowMatrix<float> back,
                              AdamRows rows,
                              AdamBias bias,
                              const AdamStep& step) noexcept;

/// The same with plain gradient descent; bias may be null.
SLIDEKIT_API void sgd_groups(GroupsView groups,
                             const float* values,
                             RowMatrix<const float> vectors,
                             RowMatrix<float> back,
                             RowMatrix<float> rows,
                             float* bias,
                             const SgdStep& step) noexcept;

/// The same with momentum. Velocities of rows outside the groups do not decay: "lazy" momentum.
SLIDEKIT_API void momentum_groups(GroupsView groups,
                                  const float* values,
                                  RowMatrix<const float> vectors,
                                  RowMatrix<float> back,
                                  MomentumRows rows,
                                  MomentumBias bias,
                                  const MomentumStep& step) noexcept;

/// The same with row-wise Adagrad: a row's whole gradient, then its accumulator, then its weights.
///
/// Rows of up to 1024 elements gather their gradient once; wider ones twice.
SLIDEKIT_API void adagrad_groups(GroupsView groups,
                                 const float* values,
                                 RowMatrix<const float> vectors,
                                 RowMatrix<float> back,
                                 AdagradRows rows,
                                 AdagradBias bias,
                                 const AdagradStep& step) noexcept;

}  // namespace slidekit::kernels
