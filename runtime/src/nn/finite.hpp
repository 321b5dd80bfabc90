// Whether numbers are finite, at the price of a dot product: NaN and infinity times zero are NaN,
// all else is zero.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include <slidekit/kernels/dot.hpp>

namespace slidekit::nn {

/// Below every score: what a maximum starts from.
inline constexpr float kLowest = -std::numeric_limits<float>::infinity();

/// zeros: count zeros.
[[nodiscard]] inline bool all_finite(const float* x,
                                     const float* zeros,
                                     std::size_t count) noexcept {
    return std::isfinite(kernels::dot(x, zeros, count));
}

}  // namespace slidekit::nn
