// mix32 in all lanes, and the mixing of arrays of keys.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lanes-inl.hpp"
#include "mix-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

template <class Arch>
[[gnu::always_inline]] inline Bits<Arch> mix32(Bits<Arch> x, Bits<Arch> seed) noexcept {
    Bits<Arch> h = x ^ seed;
    h = h ^ (h >> 16);
    h = h * Bits<Arch>(0x85ebca6bU);
    h = h ^ (h >> 13);
    h = h * Bits<Arch>(0xc2b2ae35U);
    return h ^ (h >> 16);
}

template <class Arch>
void mix_keys(const std::uint32_t* keys,
              std::size_t count,
              std::uint32_t seed,
              std::uint32_t* out) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    const std::size_t whole = count - count % kCount;
    for (std::size_t i = 0; i < whole; i += kCount) {
        mix32<Arch>(Bits<Arch>::load_unaligned(keys + i), Bits<Arch>(seed))
            .store_unaligned(out + i);
    }
    for (std::size_t i = whole; i < count; ++i) out[i] = mix32(keys[i], seed);
}

// Where the keys of one vector go: the first n of some lanes to tables t, t + 1, ...
template <class Arch>
[[gnu::always_inline]] inline void store_keys(
    std::uint32_t* keys, std::size_t stride, std::size_t t, std::size_t n, Bits<Arch> v) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    if (stride == 1 && n >= kCount) {
        v.store_unaligned(keys + t);
        return;
    }
    alignas(64) std::uint32_t lanes[kCount];
    v.store_aligned(lanes);
    if (n > kCount) n = kCount;
    for (std::size_t i = 0; i < n; ++i) keys[(t + i) * stride] = lanes[i];
}

}  // namespace
}  // namespace slidekit::kernels::detail
