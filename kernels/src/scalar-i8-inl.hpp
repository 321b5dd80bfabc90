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

}  // namespace
}  // namespace slidekit::kernels::detail
