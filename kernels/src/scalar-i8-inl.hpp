// The plainest statement of the kernels on bytes with scales: the oracle of the other levels.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dot.hpp>

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

inline void multiply_rows_i8(RowMatrix<const std::uint8_t> x,
                             const float* x_scales,
                             RowMatrix<const std::int8_t> rows,
                             RowMatrix<const float> affine,
                             const std::uint32_t* ids,
                             std::size_t count,
                             RowMatrix<float> out) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const std::int8_t* row = rows.row(ids[i]);
        const float* scale_and_bias = affine.row(ids[i]);
        for (std::size_t s = 0; s < out.dim; ++s) {
            std::int32_t sum = 0;
            for (std::size_t k = 0; k < rows.dim; ++k) sum += x.row(k / 4)[4 * s + k % 4] * row[k];
            out.row(i)[s] =
                static_cast<float>(sum) * (x_scales[s] * scale_and_bias[0]) + scale_and_bias[1];
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
