// The blocked dense product, and transposes.
//
// A tile of c stays in registers over all of a.columns: each step loads one row of b's panel and
// one element of a for each row of the tile. Six rows by kPanelVectors vectors fill the register
// file (24 of 32 on AVX-512, 12 of 16 on AVX2) and hide the latency of FMA many times over.
#pragma once

#include <slidekit/kernels/dense.hpp>

#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

template <class Arch>
inline constexpr std::size_t kPanelVectors = kLanes<Arch> / 4;

// Rows i..i + kRows - 1 of one panel. Accumulators: fp32, one an element of c, a.columns ascending.
template <class Arch, std::size_t kRows, class Block>
SLIDEKIT_INLINE inline void multiply_add_tile(const StridedMatrix& a,
                                              std::size_t i,
                                              const float* b,
                                              std::size_t b_stride,
                                              float* c,
                                              std::size_t c_stride,
                                              Block block) noexcept {
    Floats<Arch> sums[kRows][Block::kCount];
    for (std::size_t r = 0; r < kRows; ++r) {
        for (std::size_t j = 0; j < Block::kCount; ++j)
            sums[r][j] = block.load(c + r * c_stride, j);
    }
    const float* column = a.data + i * a.row_stride;
    for (std::size_t k = 0; k < a.columns; ++k, column += a.column_stride, b += b_stride) {
        Floats<Arch> panel[Block::kCount];
        for (std::size_t j = 0; j < Block::kCount; ++j) panel[j] = block.load(b, j);
        for (std::size_t r = 0; r < kRows; ++r) {
            const Floats<Arch> factor(column[r * a.row_stride]);
            for (std::size_t j = 0; j < Block::kCount; ++j)
                sums[r][j] = fused_add(factor, panel[j], sums[r][j]);
        }
    }
    for (std::size_t r = 0; r < kRows; ++r) {
        for (std::size_t j = 0; j < Block::kCount; ++j)
            block.store(c + r * c_stride, j, sums[r][j]);
    }
}

// Panels of b outermost: a panel of 128 rows (32 KB) stays in L1 or L2 while the rows of a and c
// pass by once. Nothing is packed: with blocks that fit L2 this reaches 80 to 95 % of peak, either
// way round of a, so that copies would cost what they save.
template <class Arch>
void multiply_add(StridedMatrix a, RowMatrix<const float> b, RowMatrix<float> c) noexcept {
    // Nothing to add; b or c may then have no rows, and no place to compute an offset of.
    if (a.rows == 0 || a.columns == 0) return;
    for_blocks<Arch, kPanelVectors<Arch>>(c.dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        std::size_t i = 0;
        for (; i + 6 <= a.rows; i += 6) {
            multiply_add_tile<Arch, 6>(a, i, b.data + at, b.stride, c.row(i) + at, c.stride, block);
        }
        for (; i + 2 <= a.rows; i += 2) {
            multiply_add_tile<Arch, 2>(a, i, b.data + at, b.stride, c.row(i) + at, c.stride, block);
        }
        if (i < a.rows)
            multiply_add_tile<Arch, 1>(a, i, b.data + at, b.stride, c.row(i) + at, c.stride, block);
    });
}

// Squares of as many rows as a vector has lanes, transposed in registers. Rows run innermost, so
// that the lines of `out` are filled while they are in cache.
template <class Arch>
void transpose(RowMatrix<const float> in, RowMatrix<float> out) noexcept {
    constexpr std::size_t kSide = kLanes<Arch>;
    for_blocks<Arch, 1>(in.dim, [&](auto block, std::size_t c) SLIDEKIT_INLINE {
        const std::size_t width = in.dim - c < kSide ? in.dim - c : kSide;
        for (std::size_t r = 0; r < in.rows; r += kSide) {
            const std::size_t height = in.rows - r < kSide ? in.rows - r : kSide;
            typename Floats<Arch>::register_type lanes[kSide];
            for (std::size_t i = 0; i < kSide; ++i) {
                lanes[i] = i < height ? block.load(in.row(r + i) + c, 0) : Floats<Arch>(0.0F);
            }
            Lanes<Arch>::transpose(lanes);
            for (std::size_t i = 0; i < width; ++i)
                PartBlock<Arch>{height}.store(out.row(c + i) + r, 0, lanes[i]);
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
