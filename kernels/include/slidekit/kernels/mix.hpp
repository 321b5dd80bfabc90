// Mixing of integer keys: what makes a bucket number out of any number.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// out[i] = fmix32(keys[i] ^ seed), the finaliser of MurmurHash3 (Appleby 2011).
///
/// A permutation of the 32-bit numbers for each seed, so distinct keys stay distinct; its highest
/// bits are as good as its lowest. out may be keys.
SLIDEKIT_API void mix_keys(const std::uint32_t* keys,
                           std::size_t count,
                           std::uint32_t seed,
                           std::uint32_t* out) noexcept;

}  // namespace slidekit::kernels
