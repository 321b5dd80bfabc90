// Inner products: one pair, dense or sparse, one vector against many gathered rows, and grouped
// rows against a batch.
//
// Sums are accumulated in fp32, in an order that depends on the level in use but on nothing else:
// the same call gives the same bits, alone or beside others. Error: at most c * dim * eps * sum
// |x_k y_k|.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/topk.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// sum_k x[k] * y[k] over dim elements. Never throws or allocates; thread-safe.
SLIDEKIT_API float dot(const float* x, const float* y, std::size_t dim) noexcept;

/// sum_j x.values[j] * y[x.ids[j]]: a sparse vector and a dense one of dim elements. Requires:
/// x.ids < dim.
SLIDEKIT_API float dot_sparse_dense(SparseView x, const float* y, std::size_t dim) noexcept;

/// sum of x.values[i] * y.values[j] where x.ids[i] == y.ids[j]: two sparse vectors, of any lengths.
/// Products of coordinates that only one of them has are not formed.
///
/// Requires: the ids of each are strictly ascending.
SLIDEKIT_API float dot_sparse_sparse(SparseView x, SparseView y) noexcept;

/// out[i] = sum_k x[k] * rows[ids[i]][k], i < count: one vector against gathered rows.
///
/// Rows may come from DRAM: the kernel prefetches 16 rows ahead.
/// Requires: x has rows.dim elements, ids[i] < rows.rows, out has count elements.
SLIDEKIT_API void dot_rows(const float* x,
                           RowMatrix<const float> rows,
                           const std::uint32_t* ids,
                           std::size_t count,
                           float* out) noexcept;

/// out[i] = sum_j x.values[j] * rows[ids[i]][x.ids[j]], i < count: one sparse vector against
/// gathered rows, as where the layers on both sides of the weights are sampled.
///
/// Where x has an id for eight coordinates or more, whole rows are read, and what stands at other
/// coordinates is multiplied by zero: it has to be finite for the sum to be.
/// Requires: x.ids < rows.dim, ids[i] < rows.rows, out has count elements.
SLIDEKIT_API void dot_sparse_rows(SparseView x,
                                  RowMatrix<const float> rows,
                                  const std::uint32_t* ids,
                                  std::size_t count,
                                  float* out) noexcept;

/// dot_rows on 8-bit rows, exact in int32: a quarter of the bytes, for ranking candidates.
///
/// Requires: x[k] <= 127, so that no level saturates; dim <= 65536.
SLIDEKIT_API void dot_rows_i8(const std::uint8_t* x,
                              RowMatrix<const std::int8_t> rows,
                              const std::uint32_t* ids,
                              std::size_t count,
                              std::int32_t* out) noexcept;

/// out[i] = x_scale * scales[ids[i]] * sum_k x[k] * rows[ids[i]][k], i < count: inner products of
/// vectors quantised by quantize_i8, with the scale that it returned of x and of each row.
///
/// The sum is exact in int32, and is multiplied, as a float, with x_scale * scales[ids[i]]: the
/// same bits on every level. Requires: dim <= 65536.
SLIDEKIT_API void dot_rows_i8_scaled(const std::int8_t* x,
                                     float x_scale,
                                     RowMatrix<const std::int8_t> rows,
                                     const float* scales,
                                     const std::uint32_t* ids,
                                     std::size_t count,
                                     float* out) noexcept;

/// out[i] = x_scale * scale * (x . rows[ids[i]]) + bias, i < count, with {scale, bias} in
/// affine[ids[i]]: logits of 8-bit copies of rows, for ranking candidates.
///
/// Scale and bias of a row stand together, so that one cache line brings both. The sum is exact in
/// int32, the rest rounded at each step: the same bits on every level. Requires: x[k] <= 127, so
/// that no level saturates; dim <= 65536.
SLIDEKIT_API void score_rows_i8(const std::uint8_t* x,
                                float x_scale,
                                RowMatrix<const std::int8_t> rows,
                                RowMatrix<const float> affine,
                                const std::uint32_t* ids,
                                std::size_t count,
                                float* out) noexcept;

/// out[i][s] = x_scales[s] * scale * (x_s . rows[ids[i]]) + bias, i < count, with {scale, bias} in
/// affine[ids[i]]: many rows of bytes against a batch of byte vectors, for scans of whole layers.
///
/// Four coordinates of a vector stand together: coordinate k of vector s is x[k / 4][4 s + k % 4].
/// The sum is exact in int32, the rest rounded at each step: the same bits on every level.
/// Requires: rows.dim = 4 x.rows <= 65536, x.dim = 4 out.dim, out has count rows.
SLIDEKIT_API void multiply_rows_i8(RowMatrix<const std::uint8_t> x,
                                   const float* x_scales,
                                   RowMatrix<const std::int8_t> rows,
                                   RowMatrix<const float> affine,
                                   const std::uint32_t* ids,
                                   std::size_t count,
                                   RowMatrix<float> out) noexcept;

/// Lists the pairs whose value, that of multiply_rows_i8, is above threshold[vector], as hits {i,
/// vector, value}; returns how many. What scans keep of many values is listed without storing them.
///
/// Hits come by blocks of 32 rows and in these of 64 vectors, in each by row and then vector: those
/// of a vector ascend. Requires: as multiply_rows_i8; hits has room for count * vectors.
SLIDEKIT_API std::size_t scan_rows_i8(RowMatrix<const std::uint8_t> x,
                                      const float* x_scales,
                                      std::size_t vectors,
                                      RowMatrix<const std::int8_t> rows,
                                      RowMatrix<const float> affine,
                                      const std::uint32_t* ids,
                                      std::size_t count,
                                      const float* threshold,
                                      Hit* hits) noexcept;

/// out[slot] = rows[id] . vectors[vector] + bias[id] for every pair of the groups: each row is read
/// once and dotted with all its vectors, which are expected in cache.
///
/// bias may be null. Requires: rows.dim == vectors.dim; ids < rows.rows; vectors < vectors.rows.
SLIDEKIT_API void dot_groups(GroupsView groups,
                             RowMatrix<const float> rows,
                             const float* bias,
                             RowMatrix<const float> vectors,
                             float* out) noexcept;

}  // namespace slidekit::kernels
