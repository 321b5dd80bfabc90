// Rows of bytes against a batch of byte vectors: the product behind linear scans.
//
// As in multiply_add a tile of the result stays in registers over all coordinates, but a step takes
// four of them: the vectors stand ready by fours, a lane a vector, and four bytes of a row are one
// broadcast. Tiles of six rows by four vectors of lanes need ten loads for 24 products.
#pragma once

#include <slidekit/kernels/dot.hpp>

#include "scan-blocks.hpp"
#include "simd-inl.hpp"
#include "topk-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Adds to each lane the products of four bytes without sign with four signed ones.
template <class Arch>
struct FourBytes;

#ifdef __AVX2__
// Products of 16 bits, by pairs, of the even and of the odd bytes: VPMADDUBSW would saturate.
template <>
struct FourBytes<Avx2> {
    static __m256i add_products(__m256i sums, __m256i x, __m256i row) noexcept {
        const __m256i even = _mm256_madd_epi16(_mm256_and_si256(x, _mm256_set1_epi16(255)),
                                               _mm256_srai_epi16(_mm256_slli_epi16(row, 8), 8));
        const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(row, 8));
        return _mm256_add_epi32(sums, _mm256_add_epi32(even, odd));
    }
};
#endif

#ifdef __AVX512BW__
template <>
struct FourBytes<Avx512> {
    static __m512i add_products(__m512i sums, __m512i x, __m512i row) noexcept {
#ifdef __AVX512VNNI__
        return _mm512_dpbusd_epi32(sums, x, row);
#else
        const __m512i even = _mm512_madd_epi16(_mm512_and_si512(x, _mm512_set1_epi16(255)),
                                               _mm512_srai_epi16(_mm512_slli_epi16(row, 8), 8));
        const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(x, 8), _mm512_srai_epi16(row, 8));
        return _mm512_add_epi32(sums, _mm512_add_epi32(even, odd));
#endif
    }
};
#endif

// The arrays of one call, from the panel's first vector on.
struct BytePanel {
    const std::uint8_t* x;
    std::size_t x_stride;
    const float* x_scales;
    RowMatrix<const std::int8_t> rows;
    RowMatrix<const float> affine;
};

template <class Arch, std::size_t kRows, class Block>
SLIDEKIT_INLINE inline void multiply_bytes_tile(const BytePanel& panel,
                                                const std::uint32_t* ids,
                                                std::size_t dim,
                                                float* out,
                                                std::size_t out_stride,
                                                Block block) noexcept {
    const std::int8_t* row[kRows];
    for (std::size_t r = 0; r < kRows; ++r) row[r] = panel.rows.row(ids[r]);
    Ints<Arch> sums[kRows][Block::kCount];
    for (auto& of_row : sums) {
        for (auto& sum : of_row) sum = Ints<Arch>(0);
    }
    const std::uint8_t* x = panel.x;
    for (std::size_t k = 0; k < dim; k += 4, x += panel.x_stride) {
        Ints<Arch> four[Block::kCount];
        for (std::size_t j = 0; j < Block::kCount; ++j) {
            four[j] =
                xsimd::bitwise_cast<Ints<Arch>>(block.load(reinterpret_cast<const float*>(x), j));
        }
        for (std::size_t r = 0; r < kRows; ++r) {
            std::int32_t word;
            __builtin_memcpy(&word, row[r] + k, sizeof(word));
            const Ints<Arch> weights(word);
            for (std::size_t j = 0; j < Block::kCount; ++j)
                sums[r][j] = FourBytes<Arch>::add_products(sums[r][j], four[j], weights);
        }
    }
    for (std::size_t r = 0; r < kRows; ++r) {
        const Floats<Arch> scale(panel.affine.row(ids[r])[0]);
        const Floats<Arch> shift(panel.affine.row(ids[r])[1]);
        for (std::size_t j = 0; j < Block::kCount; ++j) {
            const Floats<Arch> factor = block.load(panel.x_scales, j) * scale;
            block.store(out + r * out_stride, j, xsimd::to_float(sums[r][j]) * factor + shift);
        }
    }
}

// Panels of vectors outermost, so that a panel (8 KB for 128 coordinates) stays in L1; rows come
// from memory for the first one only.
template <class Arch>
void multiply_rows_i8(RowMatrix<const std::uint8_t> x,
                      const float* x_scales,
                      RowMatrix<const std::int8_t> rows,
                      RowMatrix<const float> affine,
                      const std::uint32_t* ids,
                      std::size_t count,
                      RowMatrix<float> out) noexcept {
    constexpr std::size_t kTile = 6;
    constexpr std::size_t kAhead = 4 * kTile;
    if (count == 0) return;
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        for_blocks<Arch, kLanes<Arch> / 4>(
            out.dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
                const BytePanel panel{
                    dim == 0 ? nullptr : x.data + 4 * at, x.stride, x_scales + at, rows, affine};
                const auto tile = [&]<std::size_t kRows>(std::size_t i) SLIDEKIT_INLINE {
                    multiply_bytes_tile<Arch, kRows>(
                        panel, ids + i, dim, out.row(i) + at, out.stride, block);
                };
                const std::size_t far = at == 0 ? count_if_far(rows, count) : 0;
                const auto prefetch = [&](std::size_t i) SLIDEKIT_INLINE {
                    prefetch_row_to_l2(rows.row(ids[i]), dim);
                    __builtin_prefetch(affine.row(ids[i]), 0, 2);
                };
                for (std::size_t i = 0; i < kAhead && i < far; ++i) prefetch(i);
                std::size_t i = 0;
                for (; i + kTile <= count; i += kTile) {
                    for (std::size_t j = i + kAhead; j < i + kAhead + kTile && j < far; ++j)
                        prefetch(j);
                    tile.template operator()<kTile>(i);
                }
                for (; i + 2 <= count; i += 2) tile.template operator()<2>(i);
                if (i < count) tile.template operator()<1>(i);
            });
    });
}

// A block of the scan by its values, which stay in L1. Returns how many hits it wrote.
template <class Arch>
std::size_t scan_block_i8(const ScanBlock& block,
                          RowMatrix<const std::uint8_t> x,
                          const float* x_scales,
                          RowMatrix<const std::int8_t> rows,
                          RowMatrix<const float> affine,
                          const std::uint32_t* ids,
                          const float* threshold,
                          Hit* hits) noexcept {
    alignas(64) float values[ScanBlock::kRows * ScanBlock::kVectors];
    const RowMatrix<float> out{values, block.rows(), block.vectors(), ScanBlock::kVectors};
    multiply_rows_i8<Arch>(
        {x.rows == 0 ? nullptr : x.data + 4 * block.vector, x.rows, 4 * block.vectors(), x.stride},
        x_scales + block.vector,
        rows,
        affine,
        ids + block.row,
        block.rows(),
        out);
    const std::size_t found = find_above_columns<Arch>(
        {values, out.rows, out.dim, out.stride}, threshold + block.vector, hits);
    for (std::size_t i = 0; i < found; ++i) {
        hits[i].row += static_cast<std::uint32_t>(block.row);
        hits[i].column += static_cast<std::uint32_t>(block.vector);
    }
    return found;
}

template <class Arch>
std::size_t scan_rows_i8(RowMatrix<const std::uint8_t> x,
                         const float* x_scales,
                         std::size_t vectors,
                         RowMatrix<const std::int8_t> rows,
                         RowMatrix<const float> affine,
                         const std::uint32_t* ids,
                         std::size_t count,
                         const float* threshold,
                         Hit* hits) noexcept {
    std::size_t found = 0;
    for_scan_blocks(count, vectors, [&](const ScanBlock& block) {
        found +=
            scan_block_i8<Arch>(block, x, x_scales, rows, affine, ids, threshold, hits + found);
    });
    return found;
}

}  // namespace
}  // namespace slidekit::kernels::detail
