// bf16: conversions from and to fp32, and inner products and bags of rows with fp32 sums.
//
// Rows in bf16 are half the bytes, and rows that come from memory are read twice as fast. Products
// of two bf16 are exact in fp32; sums are fp32, in an order that depends on the level in use but on
// nothing else. Error of a product of bf16 with bf16: at most c * dim * eps * sum |x_k y_k| with
// fp32's eps, but on the level avx512bf16 numbers and sums below 2^-126 count as zero, which adds
// at most 2^-126 * sum (|x_k| + |y_k| + 1).
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// Names a sequence of random numbers: number k of the stream is a function of (seed, counter, k)
/// and of nothing else. Two calls that must not share their numbers differ in seed or in counter,
/// for instance by the row's id and the step.
struct BitStream {
    std::uint64_t seed = 0;
    std::uint64_t counter = 0;
};

/// out[k] = x[k] in bf16, rounded to nearest even: past the largest number comes infinity, numbers
/// below 2^-126 are kept, and a NaN stays one, made quiet. Bit-equal on every level.
SLIDEKIT_API void convert_f32_to_bf16(const float* x, std::size_t count, Bf16* out) noexcept;

/// out[k] = x[k], exactly, NaN included.
SLIDEKIT_API void convert_bf16_to_f32(const Bf16* x, std::size_t count, float* out) noexcept;

/// out[k] = one of the two bf16 next to x[k], drawn so that its mean is x[k]: away from zero with
/// the probability of (distance to the nearer-to-zero neighbour) / (distance of the two).
///
/// Adds 16 random bits below bf16's last and cuts. What is exact in bf16, infinity and NaN stay as
/// convert_f32_to_bf16 leaves them. Random number k of the stream belongs to element k. Bit-equal
/// on every level. Source: Gupta et al., "Deep Learning with Limited Numerical Precision" (ICML
/// 2015).
SLIDEKIT_API void round_bf16_stochastic(const float* x,
                                        std::size_t count,
                                        const BitStream& random,
                                        Bf16* out) noexcept;

/// Cuts each float into halves: high is its bf16, rounded towards zero, low the 16 bits below, so
/// that both together are the float. Weights kept so are computed with in bf16 and updated in fp32
/// (optimizer_bf16.hpp) in no more memory than fp32 takes.
SLIDEKIT_API void split_f32(const float* x,
                            std::size_t count,
                            Bf16* high,
                            std::uint16_t* low) noexcept;

/// The inverse of split_f32.
SLIDEKIT_API void join_f32(const Bf16* high,
                           const std::uint16_t* low,
                           std::size_t count,
                           float* out) noexcept;

/// sum_k x[k] * y[k] over dim elements: exact products, sums in fp32.
///
/// Error: at most c * dim * 2^-24 * sum |x_k y_k|; the level avx512bf16 takes numbers and sums
/// below 2^-126 for zeros, which adds at most 2^-126 * sum (|x_k| + |y_k| + 1). So do all products
/// of bf16 with bf16.
SLIDEKIT_API float dot_bf16(const Bf16* x, const Bf16* y, std::size_t dim) noexcept;

/// out[i] = sum_k x[k] * rows[ids[i]][k], i < count: one vector against gathered rows.
///
/// Rows may come from DRAM: the kernel prefetches 32 rows ahead.
/// Requires: x has rows.dim elements, ids[i] < rows.rows, out has count elements.
SLIDEKIT_API void dot_rows_bf16(const Bf16* x,
                                RowMatrix<const Bf16> rows,
                                const std::uint32_t* ids,
                                std::size_t count,
                                float* out) noexcept;

/// The same with x in fp32, which is not rounded: from memory as fast as dot_rows_bf16.
SLIDEKIT_API void dot_rows_mixed(const float* x,
                                 RowMatrix<const Bf16> rows,
                                 const std::uint32_t* ids,
                                 std::size_t count,
                                 float* out) noexcept;

/// out[slot] = rows[id] . vectors[vector] + bias[id] for every pair of the groups: each row is read
/// once and dotted with all its vectors, which are expected in cache.
///
/// bias may be null. Requires: rows.dim == vectors.dim; ids < rows.rows; vectors < vectors.rows.
SLIDEKIT_API void dot_groups_bf16(GroupsView groups,
                                  RowMatrix<const Bf16> rows,
                                  const float* bias,
                                  RowMatrix<const Bf16> vectors,
                                  float* out) noexcept;

/// The same with vectors in fp32, which are not rounded.
SLIDEKIT_API void dot_groups_mixed(GroupsView groups,
                                   RowMatrix<const Bf16> rows,
                                   const float* bias,
                                   RowMatrix<const float> vectors,
                                   float* out) noexcept;

/// out[k] += sum_i input.values[i] * rows[input.ids[i]][k]: an embedding bag in fp32 over rows in
/// bf16. Order of sums: i ascending.
///
/// Requires: ids < rows.rows; out has rows.dim elements and does not overlap the rows.
SLIDEKIT_API void bag_rows_bf16(SparseView input, RowMatrix<const Bf16> rows, float* out) noexcept;

}  // namespace slidekit::kernels
