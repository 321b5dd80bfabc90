// xxHash's 32-bit hash of four bytes, a key at a time: what a hash library costs where fmix32 does.
#pragma once

#ifdef SLIDEKIT_BENCH_XXHASH

#include <cstddef>
#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace slidekit::bench::xxhash {

inline void mix_keys(const std::uint32_t* keys,
                     std::size_t count,
                     std::uint32_t seed,
                     std::uint32_t* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) out[i] = XXH32(keys + i, sizeof(keys[i]), seed);
}

}  // namespace slidekit::bench::xxhash

#endif
