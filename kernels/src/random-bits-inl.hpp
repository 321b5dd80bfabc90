// Random bits as a function of (seed, counter, k): the key of a stream, for all levels.
//
// The key is 64 bits of splitmix64's finisher (Steele, Lea and Flood 2014) over seed and counter.
// Number k is a 32-bit finisher (the constants are those of "lowbias32", Wellons 2018) of
// key's low half + k, with key's high half mixed in between its two rounds: streams whose low
// halves lie close together would else hold each other's numbers, shifted. 32-bit words, so that a
// vector makes one a lane.
#pragma once

#include <cstdint>

#include <slidekit/kernels/bf16.hpp>

namespace slidekit::kernels::detail {
namespace {

struct StreamKey {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
};

inline constexpr std::uint32_t kMix1 = 0x21f0aaad;
inline constexpr std::uint32_t kMix2 = 0x735a2d97;

inline std::uint64_t mix_u64(std::uint64_t z) noexcept {
    z += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

inline StreamKey stream_key(const BitStream& random) noexcept {
    const std::uint64_t key = mix_u64(random.seed ^ mix_u64(random.counter));
    return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

}  // namespace
}  // namespace slidekit::kernels::detail
