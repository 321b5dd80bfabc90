// a b + c rounded once, on processors that cannot do it.
//
// The SIMD levels fuse in updates of rows; with the same roundings here, a row gets the same bits
// on every level. (What is rounded at random, or kept as two halves, would not even be near
// otherwise.)
#pragma once

#include <bit>
#include <cstdint>

namespace slidekit::kernels::detail {
namespace {

// In double the product is exact and the sum is off by `rest`. Rounded to odd (cut, and the last
// bit set where anything was cut), it rounds to float as the exact sum does: Boldo and Melquiond,
// "Emulation of FMA and correctly rounded sums" (IEEE TC 2008). fmaf() of the C library is a call,
// and slow where the processor is old.
inline float fused(float a, float b, float c) noexcept {
#ifdef __FP_FAST_FMAF
    return __builtin_fmaf(a, b, c);
#else
    const double product = static_cast<double>(a) * static_cast<double>(b);
    const auto addend = static_cast<double>(c);
    const double sum = product + addend;
    const double of_addend = sum - product;
    const double rest = (product - (sum - of_addend)) + (addend - of_addend);
    auto bits = std::bit_cast<std::uint64_t>(sum);
    // Not where rest is 0, or NaN because the sum is infinite.
    const bool is_cut = rest < 0 || rest > 0;
    if (is_cut && (bits & 1) == 0) bits += (rest > 0) == (sum > 0) ? 1ULL : ~0ULL;
    return static_cast<float>(std::bit_cast<double>(bits));
#endif
}

}  // namespace
}  // namespace slidekit::kernels::detail
