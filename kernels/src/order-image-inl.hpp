// The order of scores as an order of whole numbers.
#pragma once

#include <bit>
#include <cstdint>

namespace slidekit::kernels::detail {
namespace {

// A number whose unsigned order is the order of scores: NaN lowest, -0 the same as 0.
inline std::uint32_t order_image(float x) noexcept {
    if (x != x) return 0;
    if (x == 0) return 0x80000000U;
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
    return bits >> 31 != 0 ? ~bits : bits | 0x80000000U;
}

}  // namespace
}  // namespace slidekit::kernels::detail
