// Rows of bytes against a batch of byte vectors in AMX's tiles: a thousand products a cycle where
// VNNI has 128, so that what remains is to bring rows in and to turn sums into floats.
//
// The vectors' layout by fours of coordinates is that of a tile already. Rows are copied first, 32
// at a time, since a tile's rows stand evenly apart, while ids are any. Four tiles of sums take two
// loads each of rows and of vectors.
#pragma once

#include "i8-product-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Tiles 0 to 3 for sums, 4 and 5 for rows, 6 and 7 for vectors, each 16 rows of 64 bytes.
struct alignas(64) TileShapes {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

inline constexpr std::size_t kTileSide = 32;       // rows and vectors of four tiles
inline constexpr std::size_t kMostTileDim = 1024;  // 32 KB of copied rows

// sums[r * sums_stride + c] of 32 rows, dim bytes each, and 32 vectors.
inline void multiply_tiles(const std::int8_t* rows,
                           std::size_t dim,
                           const std::uint8_t* x,
                           std::size_t x_stride,
                           std::int32_t* sums,
                           std::size_t sums_stride) noexcept {
    constexpr std::size_t kHalf = kTileSide / 2;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (std::size_t k = 0; k < dim; k += 64, x += kHalf * x_stride) {
        _tile_loadd(4, rows + k, dim);
        _tile_loadd(5, rows + kHalf * dim + k, dim);
        _tile_loadd(6, x, x_stride);
        _tile_loadd(7, x + 64, x_stride);
        _tile_dpbsud(0, 4, 6);
        _tile_dpbsud(1, 4, 7);
        _tile_dpbsud(2, 5, 6);
        _tile_dpbsud(3, 5, 7);
    }
    const std::size_t bytes = sums_stride * sizeof(std::int32_t);
    _tile_stored(0, sums, bytes);
    _tile_stored(1, sums + kHalf, bytes);
    _tile_stored(2, sums + kHalf * sums_stride, bytes);
    _tile_stored(3, sums + kHalf * sums_stride + kHalf, bytes);
}

// The values of sixteen sums of a row, rounded at each step as the scalar level does.
SLIDEKIT_INLINE inline __m512 affine_values(const std::int32_t* sums,
                                            const float* x_scales,
                                            const float* scale_and_bias) noexcept {
    const __m512 scale = _mm512_set1_ps(scale_and_bias[0]);
    const __m512 factor = _mm512_mul_ps(_mm512_loadu_ps(x_scales), scale);
    const __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums));
    return _mm512_add_ps(_mm512_mul_ps(sum, factor), _mm512_set1_ps(scale_and_bias[1]));
}

// The first 32 of `left` rows one after the other; asks for the next 32.
inline void copy_tile_rows(RowMatrix<const std::int8_t> rows,
                           const std::uint32_t* ids,
                           std::size_t left,
                           std::int8_t* copies) noexcept {
    for (std::size_t r = 0; r < kTileSide; ++r) {
        __builtin_memcpy(copies + r * rows.dim, rows.row(ids[r]), rows.dim);
        if (kTileSide + r < left) prefetch_row_to_l2(rows.row(ids[kTileSide + r]), rows.dim);
    }
}

// What does not fill whole tiles is left to VNNI, whose sums are the same.
inline void multiply_rows_i8_amx(RowMatrix<const std::uint8_t> x,
                                 const float* x_scales,
                                 RowMatrix<const std::int8_t> rows,
                                 RowMatrix<const float> affine,
                                 const std::uint32_t* ids,
                                 std::size_t count,
                                 RowMatrix<float> out) noexcept {
    const bool tiled = rows.dim > 0 && rows.dim % 64 == 0 && rows.dim <= kMostTileDim;
    const std::size_t tall = tiled && out.dim >= kTileSide ? count - count % kTileSide : 0;
    const std::size_t wide = tall > 0 ? out.dim - out.dim % kTileSide : 0;
    if (tall > 0) {
        alignas(64) std::int8_t copies[kTileSide * kMostTileDim];
        alignas(64) std::int32_t sums[kTileSide * kTileSide];
        const TileShapes shapes;
        _tile_loadconfig(&shapes);
        for (std::size_t i = 0; i < tall; i += kTileSide) {
            copy_tile_rows(rows, ids + i, count - i, copies);
            for (std::size_t c = 0; c < wide; c += kTileSide) {
                multiply_tiles(copies, rows.dim, x.data + 4 * c, x.stride, sums, kTileSide);
                for (std::size_t r = 0; r < kTileSide; ++r) {
                    const float* const scale_and_bias = affine.row(ids[i + r]);
                    float* const to = out.row(i + r) + c;
                    for (std::size_t j = 0; j < kTileSide; j += 16)
                        _mm512_storeu_ps(
                            to + j,
                            affine_values(
                                sums + r * kTileSide + j, x_scales + c + j, scale_and_bias));
                }
            }
        }
        _tile_release();
    }
    const auto rest = [&](std::size_t from, std::size_t to, std::size_t at) SLIDEKIT_INLINE {
        if (from == to || at == out.dim) return;
        multiply_rows_i8<Avx512>({x.data + 4 * at, x.rows, x.dim - 4 * at, x.stride},
                                 x_scales + at,
                                 rows,
                                 affine,
                                 ids + from,
                                 to - from,
                                 {out.row(from) + at, to - from, out.dim - at, out.stride});
    };
    rest(0, tall, wide);
    rest(tall, count, 0);
}

// A whole block of the scan: its sums are compared as they come from the tiles. copies: the block's
// rows, one after the other.
inline std::size_t scan_tiles(const ScanBlock& block,
                              RowMatrix<const std::uint8_t> x,
                              const float* x_scales,
                              const std::int8_t* copies,
                              std::size_t dim,
                              RowMatrix<const float> affine,
                              const std::uint32_t* ids,
                              const float* threshold,
                              Hit* hits) noexcept {
    constexpr std::size_t kVectors = ScanBlock::kVectors;
    alignas(64) std::int32_t sums[ScanBlock::kRows * kVectors];
    for (std::size_t c = 0; c < kVectors; c += kTileSide)
        multiply_tiles(copies, dim, x.data + 4 * (block.vector + c), x.stride, sums + c, kVectors);
    std::size_t found = 0;
    for (std::size_t r = 0; r < ScanBlock::kRows; ++r) {
        const float* const scale_and_bias = affine.row(ids[block.row + r]);
        const auto value = [&](std::size_t j) SLIDEKIT_INLINE {
            return affine_values(
                sums + r * kVectors + 16 * j, x_scales + block.vector + 16 * j, scale_and_bias);
        };
        const auto above = [&](std::size_t j) SLIDEKIT_INLINE {
            return _mm512_cmp_ps_mask(
                value(j), _mm512_loadu_ps(threshold + block.vector + 16 * j), _CMP_GT_OQ);
        };
        const __mmask16 any =
            _kor_mask16(_kor_mask16(above(0), above(1)), _kor_mask16(above(2), above(3)));
        if (_kortestz_mask16_u8(any, any) != 0) continue;
        for (std::size_t j = 0; j < 4; ++j) {
            alignas(64) float lanes[16];
            _mm512_store_ps(lanes, value(j));
            for (std::uint32_t bits = above(j); bits != 0; bits &= bits - 1) {
                const auto lane = static_cast<std::uint32_t>(__builtin_ctz(bits));
                hits[found++] = {static_cast<std::uint32_t>(block.row + r),
                                 static_cast<std::uint32_t>(block.vector + 16 * j) + lane,
                                 lanes[lane]};
            }
        }
    }
    return found;
}

inline std::size_t scan_rows_i8_amx(RowMatrix<const std::uint8_t> x,
                                    const float* x_scales,
                                    std::size_t vectors,
                                    RowMatrix<const std::int8_t> rows,
                                    RowMatrix<const float> affine,
                                    const std::uint32_t* ids,
                                    std::size_t count,
                                    const float* threshold,
                                    Hit* hits) noexcept {
    static_assert(ScanBlock::kRows == kTileSide && ScanBlock::kVectors % kTileSide == 0);
    const bool tiled = rows.dim > 0 && rows.dim % 64 == 0 && rows.dim <= kMostTileDim;
    alignas(64) std::int8_t copies[kTileSide * kMostTileDim];
    const TileShapes shapes;
    if (tiled) _tile_loadconfig(&shapes);
    std::size_t found = 0;
    for_scan_blocks(count, vectors, [&](const ScanBlock& block) {
        Hit* const out = hits + found;
        if (!tiled || block.rows() < ScanBlock::kRows || block.vectors() < ScanBlock::kVectors) {
            found += scan_block_i8<Avx512>(block, x, x_scales, rows, affine, ids, threshold, out);
            return;
        }
        if (block.vector == 0) copy_tile_rows(rows, ids + block.row, count - block.row, copies);
        found += scan_tiles(block, x, x_scales, copies, rows.dim, affine, ids, threshold, out);
    });
    if (tiled) _tile_release();
    return found;
}

}  // namespace
}  // namespace slidekit::kernels::detail
