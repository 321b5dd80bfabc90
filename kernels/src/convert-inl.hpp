// Quantisation to 8 bits: one pass for the largest magnitude, one that divides, rounds and narrows.
//
// A division, not a product with 1 / s: the scalar oracle says why. It hides behind the row's way
// from memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/convert.hpp>

#include "lanes-inl.hpp"
#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// out = round(x / s) in lowest..127 with s = max |x| / 127; to nearest even, as the processor
// converts.
template <class Arch, class Byte>
float quantize(const float* x, std::size_t dim, std::int32_t lowest, Byte* out) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    const std::size_t whole = dim - dim % kCount;
    Floats<Arch> most(0.0F);
    for (std::size_t i = 0; i < whole; i += kCount) {
        most = xsimd::max(most, xsimd::abs(Floats<Arch>::load_unaligned(x + i)));
    }
    // Only where there is a tail: a load of no lanes still waits for the line, that of the next
    // row.
    Floats<Arch> tail(0.0F);
    if (whole < dim) tail = Lanes<Arch>::load_first(x + whole, dim - whole);
    most = xsimd::max(most, xsimd::abs(tail));

    const float s = largest_lane<Arch>(most) / 127;
    const auto store = [&](std::size_t i, Floats<Arch> v, std::size_t n) {
        const Ints<Arch> q = xsimd::nearbyint_as_int(v / Floats<Arch>(s));
        const Ints<Arch> clamped = xsimd::max(xsimd::min(q, Ints<Arch>(127)), Ints<Arch>(lowest));
        Lanes<Arch>::store_bytes(out + i, clamped, n);
    };
    if (s == 0) {
        __builtin_memset(out, 0, dim);
        return s;
    }
    for (std::size_t i = 0; i < whole; i += kCount)
        store(i, Floats<Arch>::load_unaligned(x + i), kCount);
    if (whole < dim) store(whole, tail, dim - whole);
    return s;
}

template <class Arch>
float quantize_i8(const float* x, std::size_t dim, std::int8_t* out) noexcept {
    return quantize<Arch>(x, dim, -127, out);
}

template <class Arch>
float quantize_u7(const float* x, std::size_t dim, std::uint8_t* out) noexcept {
    return quantize<Arch>(x, dim, 0, out);
}

}  // namespace
}  // namespace slidekit::kernels::detail
