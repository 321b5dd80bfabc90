// Scaled sums of rows: axpy, the embedding bag forward (bag_rows) and its scatter (scatter_rows).
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// y[k] += a * x[k], k < dim.
SLIDEKIT_API void axpy(float a, const float* x, float* y, std::size_t dim) noexcept;

/// out[k] += sum_i input.values[i] * rows[input.ids[i]][k]: an embedding bag. Order of sums: i
/// ascending.
///
/// Requires: ids < rows.rows; out has rows.dim elements and does not overlap the rows.
SLIDEKIT_API void bag_rows(SparseView input, RowMatrix<const float> rows, float* out) noexcept;

/// rows[weights.ids[i]][k] += weights.values[i] * x[k]: the transpose of bag_rows.
///
/// Requires: ids < rows.rows; x has rows.dim elements and does not overlap the rows.
SLIDEKIT_API void scatter_rows(SparseView weights, const float* x, RowMatrix<float> rows) noexcept;

}  // namespace slidekit::kernels
