// Quantisation of rows to 8 bits, for ranking candidates by dot_rows_i8.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// out[k] = round(x[k] / s) with s = max|x| / 127, in -127..127; returns s (0 for a zero row).
///
/// Rounds to nearest even; bit-equal on every level. Requires: x is finite.
SLIDEKIT_API float quantize_i8(const float* x, std::size_t dim, std::int8_t* out) noexcept;

/// The same for non-negative x (an activation after ReLU), in 0..127.
SLIDEKIT_API float quantize_u7(const float* x, std::size_t dim, std::uint8_t* out) noexcept;

/// out[k] = scale * q[k]: the inverse of both, but for what they rounded away.
SLIDEKIT_API void dequantize_i8(const std::int8_t* q,
                                std::size_t dim,
                                float scale,
                                float* out) noexcept;

}  // namespace slidekit::kernels
