// Conversions between fp32 and bf16, by integer arithmetic.
//
// Not by vcvtneps2bf16, which takes numbers below 2^-126 for zeros, and which not every level has:
// all levels give the same bits. Bound by the ports of loads and narrowing stores either way.
#pragma once

#include <slidekit/kernels/bf16.hpp>

#include "bf16-lanes-inl.hpp"
#include "random-bits-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// The upper halves of x's bits + more, of NaNs made quiet.
template <class Arch>
SLIDEKIT_INLINE inline Bits<Arch> rounded_up_by(Bits<Arch> x, Bits<Arch> more) noexcept {
    using I = Ints<Arch>;
    const auto nan = xsimd::bitwise_cast<I>(x & Bits<Arch>(0x7fffffffU)) > I(0x7f800000);
    const I quiet = xsimd::bitwise_cast<I>(x | Bits<Arch>(0x400000U));
    const I rounded = xsimd::bitwise_cast<I>(x + more);
    return xsimd::bitwise_cast<Bits<Arch>>(xsimd::select(nan, quiet, rounded)) >> 16;
}

template <class Arch>
SLIDEKIT_INLINE inline Bits<Arch> rounded_to_even(Bits<Arch> x) noexcept {
    return rounded_up_by<Arch>(x, ((x >> 16) & Bits<Arch>(1U)) + Bits<Arch>(0x7fffU));
}

// A stream's numbers, a vector of consecutive ones at a time.
template <class Arch>
struct RandomLanes {
    Bits<Arch> low, high;

    explicit RandomLanes(const BitStream& random) noexcept {
        alignas(64) std::uint32_t lane[kLanes<Arch>];
        for (std::uint32_t i = 0; i < kLanes<Arch>; ++i) lane[i] = i;
        const StreamKey key = stream_key(random);
        low = Bits<Arch>(key.low) + Bits<Arch>::load_aligned(lane);
        high = Bits<Arch>(key.high);
    }

    SLIDEKIT_INLINE Bits<Arch> from(std::size_t k) const noexcept {
        Bits<Arch> h = low + Bits<Arch>(static_cast<std::uint32_t>(k));
        h = ((h ^ (h >> 16)) * Bits<Arch>(kMix1)) ^ high;
        h = (h ^ (h >> 15)) * Bits<Arch>(kMix2);
        return h ^ (h >> 15);
    }

    // x, which is element k and those behind it, rounded at random.
    SLIDEKIT_INLINE Bits<Arch> rounded(Floats<Arch> x, std::size_t k) const noexcept {
        return rounded_up_by<Arch>(as_bits<Arch>(x), from(k) >> 16);
    }
};

template <class Arch>
void convert_f32_to_bf16(const float* x, std::size_t count, Bf16* out) noexcept {
    for_blocks<Arch, 4>(count, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Bits<Arch> bits = as_bits<Arch>(block.load(x + at, j));
            store_words(block, out + at, j, rounded_to_even<Arch>(bits));
        }
    });
}

template <class Arch>
void convert_bf16_to_f32(const Bf16* x, std::size_t count, float* out) noexcept {
    for_blocks<Arch, 4>(count, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j)
            block.store(out + at, j, as_floats<Arch>(load_words(block, x + at, j) << 16));
    });
}

template <class Arch>
void round_bf16_stochastic(const float* x,
                           std::size_t count,
                           const BitStream& random,
                           Bf16* out) noexcept {
    const RandomLanes<Arch> lanes(random);
    for_blocks<Arch, 4>(count, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            store_words(
                block, out + at, j, lanes.rounded(block.load(x + at, j), at + j * kLanes<Arch>));
        }
    });
}

template <class Arch>
void split_f32(const float* x, std::size_t count, Bf16* high, std::uint16_t* low) noexcept {
    for_blocks<Arch, 4>(count, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Bits<Arch> bits = as_bits<Arch>(block.load(x + at, j));
            store_words(block, high + at, j, bits >> 16);
            store_words(block, low + at, j, bits);
        }
    });
}

template <class Arch>
void join_f32(const Bf16* high, const std::uint16_t* low, std::size_t count, float* out) noexcept {
    for_blocks<Arch, 4>(count, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Bits<Arch> upper = load_words(block, high + at, j) << 16;
            block.store(out + at, j, as_floats<Arch>(upper | load_words(block, low + at, j)));
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
