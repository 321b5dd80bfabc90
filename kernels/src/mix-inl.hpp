// The integer mixer of the hashes: the finaliser of MurmurHash3 (Appleby 2011), which is a
// permutation of the 32-bit numbers in which every bit of the input moves every bit of the output
// about half of the time. Plain and constexpr, for scalar code and for what is computed once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slidekit::kernels::detail {
namespace {

/// fmix32(x ^ seed); fmix32(1) is MurmurHash3_x86_32 of nothing with seed 1: 0x514e28b7.
[[nodiscard]] constexpr std::uint32_t mix32(std::uint32_t x, std::uint32_t seed) noexcept {
    std::uint32_t h = x ^ seed;
    h ^= h >> 16;
    h *= 0x85ebca6bU;
    h ^= h >> 13;
    h *= 0xc2b2ae35U;
    h ^= h >> 16;
    return h;
}

static_assert(mix32(0, 1) == 0x514e28b7U);
static_assert(mix32(0, 0xffffffffU) == 0x81f16f39U);

}  // namespace
}  // namespace slidekit::kernels::detail
