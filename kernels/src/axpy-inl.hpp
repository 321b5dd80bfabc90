// Scaled sums of rows.
//
// bag_rows keeps a block of its output in registers over all rows, so that a row costs its loads
// and nothing else: without that, each row would load and store the output again. What decides its
// speed is the way of the rows from memory: they are asked for well ahead.
#pragma once

#include <slidekit/kernels/axpy.hpp>

#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// 8 KB of rows of 128, into L1. Into L2, which pays for dot_rows' long lists, a bag of 75 rows
// takes 1.1 to 1.5 times as long.
inline constexpr std::size_t kRowsAhead = 16;

template <class Arch>
void axpy(float a, const float* x, float* y, std::size_t dim) noexcept {
    const Floats<Arch> factor(a);
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            block.store(y + at, j, fused_add(factor, block.load(x + at, j), block.load(y + at, j)));
        }
    });
}

// Accumulators: fp32, one a coordinate, in the order of the input.
template <class Arch>
void bag_rows(SparseView input, RowMatrix<const float> rows, float* out) noexcept {
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        const std::size_t far = count_if_far(rows, input.nnz);
        for_blocks<Arch, kRowVectors<Arch>>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
            Floats<Arch> sums[block.kCount];
            for (std::size_t j = 0; j < block.kCount; ++j) sums[j] = block.load(out + at, j);
            for (std::size_t i = 0; i < input.nnz; ++i) {
                // The first block brings the whole row; the others find it in cache.
                if (at == 0 && i + kRowsAhead < far)
                    prefetch_row(rows.row(input.ids[i + kRowsAhead]), dim);
                const float* row = rows.row(input.ids[i]) + at;
                const Floats<Arch> value(input.values[i]);
                for (std::size_t j = 0; j < block.kCount; ++j)
                    sums[j] = fused_add(value, block.load(row, j), sums[j]);
            }
            for (std::size_t j = 0; j < block.kCount; ++j) block.store(out + at, j, sums[j]);
        });
    });
}

// One row after the other, so that repeated ids add up.
template <class Arch>
void scatter_rows(SparseView weights, const float* x, RowMatrix<float> rows) noexcept {
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        const std::size_t far = count_if_far(rows, weights.nnz);
        for (std::size_t i = 0; i < weights.nnz; ++i) {
            if (i + kRowsAhead < far) prefetch_row(rows.row(weights.ids[i + kRowsAhead]), dim);
            axpy<Arch>(weights.values[i], x, rows.row(weights.ids[i]), dim);
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
