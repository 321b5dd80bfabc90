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

/// One row. The division and square root are exact (IEEE), not estimates.
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

}  // namespace slidekit::kernels
