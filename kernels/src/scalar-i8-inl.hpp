// The plainest statement of the kernels on bytes with scales: the oracle of the other levels.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dot.hpp>

#include "scan-blocks.hpp"

namespace slidekit::kernels::detail {
namespace {

inline void dequantize_i8(const std::int8_t* q, std::size_t dim, float scale, float* out) noexcept {
    for (std::size_t k = 0; k < dim; ++k) out[k] = scale * static_cast<float>(q[k]);
}

inline void dot_rows_i8_scaled(const std::int8_t* x,
                               float x_scale,
                               RowMatrix<const std::int8_t> rows,
                               const float* scales,
                               const std::uint32_t* ids,
                               std::size_t count,
                               float* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const std::int8_t* row = rows.row(ids[i]);
        std::int32_t sum = 0;
        for (std::size_t k = 0; k < rows.dim; ++k) sum += x[k] * row[k];
        out[i] = static_cast<float>(sum) * (x_scale * scales[ids[i]]);
    }
}

inline void score_rows_i8(const std::uint8_t* x,
                          float x_scale,
                          RowMatrix<const std::int8_t> rows,
                          RowMatrix<const float> affine,
                          const std::uint32_t* ids,
                          std::size_t count,
                          float* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const std::int8_t* row = rows.row(ids[i]);
        const float* scale_and_bias = affine.row(ids[i]);
        std::int32_t sum = 0;
        for (std::size_t k = 0; k < rows.dim; ++k) sum += x[k] * row[k];
        out[i] = static_cast<float>(sum) * (x_scale * scale_and_bias[0]) + scale_and_bias[1];
    }
}

// Vector s of those by fours of coordinates, with one row.
inline float affine_product(RowMatrix<const std::uint8_t> x,
                            const float* x_scales,
                            std::size_t s,
                            RowMatrix<const std::int8_t> rows,
                            RowMatrix<const float> affine,
                            std::uint32_t id) noexcept {
    const std::int8_t* row = rows.row(id);
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < rows.dim; ++k) sum += x.row(k / 4)[4 * s + k % 4] * row[k];
    return static_cast<float>(sum) * (x_scales[s] * affine.row(id)[0]) + affine.row(id)[1];
}

inline void multiply_rows_i8(RowMatrix<const std::uint8_t> x,
                             const float* x_scales,
                             RowMatrix<const std::int8_t> rows,
                             RowMatrix<const float> affine,
                             const std::uint32_t* ids,
                             std::size_t count,
                             RowMatrix<float> out) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t s = 0; s < out.dim; ++s)
            out.row(i)[s] = affine_product(x, x_scales, s, rows, affine, ids[i]);
    }
}

inline std::size_t scan_rows_i8(RowMatrix<const std::uint8_t> x,
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
        for (std::size_t i = block.row; i < block.row_end; ++i) {
            for (std::size_t s = block.vector; s < block.vector_end; ++s) {
                const float value = affine_product(x, x_scales, s, rows, affine, ids[i]);
                if (value > threshold[s])
                    hits[found++] = {
                        static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(s), value};
            }
        }
    });
    return found;
}

}  // namespace
}  // namespace slidekit::kernels::detail
