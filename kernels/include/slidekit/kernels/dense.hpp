// The blocked dense product behind the full softmax and exact evaluation.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// The left factor of multiply_add: element (i, j) is data[i * row_stride + j * column_stride], so
/// that a transpose is a swap of strides.
struct StridedMatrix {
    const float* data = nullptr;
    std::size_t rows = 0;
    std::size_t columns = 0;
    std::size_t row_stride = 0;
    std::size_t column_stride = 1;
};

/// c += a * b; a is rows x columns, b has a.columns rows of b.dim elements, c has a.rows rows of
/// b.dim.
///
/// For blocks that fit in L2; accumulates over a.columns in ascending order in fp32 with FMA.
/// Requires: b.rows >= a.columns, c.rows >= a.rows, c.dim == b.dim, c overlaps neither factor.
SLIDEKIT_API void multiply_add(StridedMatrix a,
                               RowMatrix<const float> b,
                               RowMatrix<float> c) noexcept;

/// target[c][r] = source[r][c].
///
/// Requires: target.rows >= source.dim, target.dim >= source.rows; no overlap.
SLIDEKIT_API void transpose(RowMatrix<const float> source, RowMatrix<float> target) noexcept;

}  // namespace slidekit::kernels
