// Whether numbers are finite, at the price of a dot product: NaN and infinity times zero are NaN,
// all else is zero.
#pragma once

#include <cmath>
#include <cstddef>

#include <slidekit/kernels/dot.hpp>

namespace slidekit::nn {

/// zeros: count zeros.
[[nodiscard]] inline bool all_finite(const float* x,
                                     const float* zeros,
                                     std::size_t count) noexcept {
    return std::isfinite(kernels::dot(x, zeros, count));
}

}  // namespace slidekit::nn
