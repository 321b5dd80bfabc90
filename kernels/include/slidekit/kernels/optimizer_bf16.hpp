// Optimiser updates of rows whose weights are bf16: as the upper halves of fp32 weights, whose
// lower halves lie apart (split), or alone, rounded at random (bf16).
//
// Split weights are computed with in bf16 (half the bytes in every product) and updated in fp32: an
// update sees the bits that it would see had the weights never been split. Weights that are bf16
// alone take half the memory; rounded to nearest they would stand still once updates are smaller
// than half their last bit, rounded at random they move as far as updates say, on average.
// Source: "Accelerating SLIDE Deep Learning on Modern CPUs" (MLSys 2021), section 4.3, for the
// first; Gupta et al. (ICML 2015) for the second.
#pragma once

#include <slidekit/kernels/bf16.hpp>
#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/optimizer.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// Weights of a matrix as halves, row by row, both with one stride.
struct SplitRows {
    RowMatrix<Bf16> high;
    std::uint16_t* low = nullptr;  // laid out like high
};

/// Weights as halves and moments of a matrix, row by row, all with one stride.
struct AdamSplitRows {
    RowMatrix<Bf16> high;
    std::uint16_t* low = nullptr;  // laid out like high
    float* first = nullptr;        // m, laid out like high
    float* second = nullptr;       // v, laid out like high
};

/// Weights as halves and their velocities, all with one stride.
struct MomentumSplitRows {
    RowMatrix<Bf16> high;
    std::uint16_t* low = nullptr;  // laid out like high
    float* velocity = nullptr;     // u, laid out like high
};

/// Weights as halves, and one accumulator a row.
struct AdagradSplitRows {
    RowMatrix<Bf16> high;
    std::uint16_t* low = nullptr;  // laid out like high
    float* state = nullptr;        // s: high.rows elements, none below 0
};

/// adam_row on weights in halves: the same bits as adam_row on the weights that they are halves of.
SLIDEKIT_API void adam_row_split(Bf16* high,
                                 std::uint16_t* low,
                                 float* first,
                                 float* second,
                                 const float* gradient,
                                 std::size_t dim,
                                 const AdamStep& step) noexcept;

/// sgd_row on weights in halves.
SLIDEKIT_API void sgd_row_split(Bf16* high,
                                std::uint16_t* low,
                                const float* gradient,
                                std::size_t dim,
                                const SgdStep& step) noexcept;

/// momentum_row on weights in halves.
SLIDEKIT_API void momentum_row_split(Bf16* high,
                                     std::uint16_t* low,
                                     float* velocity,
                                     const float* gradient,
                                     std::size_t dim,
                                     const MomentumStep& step) noexcept;

/// adagrad_row on weights in halves.
SLIDEKIT_API void adagrad_row_split(Bf16* high,
                                    std::uint16_t* low,
                                    float* state,
                                    const float* gradient,
                                    std::size_t dim,
                                    const AdagradStep& step) noexcept;

/// adam_groups on weights in halves: the same bits, in what flows back too, which takes the whole
/// weights and not their upper halves.
///
/// Requires: all dims equal; one task at a time per row and per back matrix.
SLIDEKIT_API void adam_groups_split(GroupsView groups,
                                    const float* values,
                                    RowMatrix<const float> vectors,
                                    RowMatrix<float> back,
                                    AdamSplitRows rows,
                                    AdamBias bias,
                                    const AdamStep& step) noexcept;

/// sgd_groups on weights in halves; bias may be null.
SLIDEKIT_API void sgd_groups_split(GroupsView groups,
                                   const float* values,
                                   RowMatrix<const float> vectors,
                                   RowMatrix<float> back,
                                   SplitRows rows,
                                   float* bias,
                                   const SgdStep& step) noexcept;

/// momentum_groups on weights in halves.
SLIDEKIT_API void momentum_groups_split(GroupsView groups,
                                        const float* values,
                                        RowMatrix<const float> vectors,
                                        RowMatrix<float> back,
                                        MomentumSplitRows rows,
                                        MomentumBias bias,
                                        const MomentumStep& step) noexcept;

/// adagrad_groups on weights in halves.
SLIDEKIT_API void adagrad_groups_split(GroupsView groups,
                                       const float* values,
                                       RowMatrix<const float> vectors,
                                       RowMatrix<float> back,
                                       AdagradSplitRows rows,
                                       AdagradBias bias,
                                       const AdagradStep& step) noexcept;

/// adam_row on weights in bf16: computed in fp32, then rounded as round_bf16_stochastic does, with
/// number k of the stream for element k. Moments are fp32. Give each row and step a stream of its
/// own.
SLIDEKIT_API void adam_row_bf16(Bf16* weights,
                                float* first,
                                float* second,
                                const float* gradient,
                                std::size_t dim,
                                const AdamStep& step,
                                const BitStream& random) noexcept;

/// sgd_row on weights in bf16, rounded in the same way.
SLIDEKIT_API void sgd_row_bf16(Bf16* weights,
                               const float* gradient,
                               std::size_t dim,
                               const SgdStep& step,
                               const BitStream& random) noexcept;

}  // namespace slidekit::kernels
