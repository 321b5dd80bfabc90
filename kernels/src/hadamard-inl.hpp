// Structured SimHash: Walsh-Hadamard rounds on one vector.
//
// A step between lanes is one swap of lanes and one fused product by +1 and -1 and sum, which
// rounds as the plain sum does since the product is exact. The last round leaves the first eight
// coordinates in lanes 7 .. 0, and so on, at no cost (which of a pair gets the sum, and which the
// difference, is a matter of the order of operands): the mask of the positive ones is then
// big-endian in its bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/hadamard.hpp>

#include "key-stream-inl.hpp"
#include "lanes-inl.hpp"
#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Lane i holds what lane i ^ kStep held. Intrinsics: xsimd 8.1 has no words for it.
#ifdef __AVX2__
template <std::size_t kStep>
SLIDEKIT_INLINE inline Floats<Avx2> swap_lanes(Floats<Avx2> v) noexcept {
    if constexpr (kStep == 4) {
        return _mm256_permute2f128_ps(v, v, 0x01);
    } else {
        return _mm256_permute_ps(v, kStep == 1 ? 0xb1 : 0x4e);
    }
}
#endif
#ifdef __AVX512BW__
template <std::size_t kStep>
SLIDEKIT_INLINE inline Floats<Avx512> swap_lanes(Floats<Avx512> v) noexcept {
    if constexpr (kStep >= 4) {
        return _mm512_shuffle_f32x4(v, v, kStep == 4 ? 0xb1 : 0x4e);
    } else {
        return _mm512_permute_ps(v, kStep == 1 ? 0xb1 : 0x4e);
    }
}
#endif

// 1 in the lanes that keep the sum of a pair `step` apart, -1 in the others.
template <std::size_t kStep>
struct LaneSigns {
    alignas(64) float of_lane[16];
    constexpr LaneSigns() noexcept : of_lane() {
        for (std::size_t i = 0; i < 16; ++i) of_lane[i] = (i & kStep) == 0 ? 1.0F : -1.0F;
    }
};
template <std::size_t kStep>
inline constexpr LaneSigns<kStep> kLaneSigns;

enum class LaneOrder { ascending, descending_in_bytes };

template <class Arch, LaneOrder kOrder, std::size_t kStep, std::size_t kVectors>
SLIDEKIT_INLINE inline void add_lanes(Floats<Arch> (&v)[kVectors]) noexcept {
    if constexpr (kStep < kLanes<Arch>) {
        const Floats<Arch> sign = Floats<Arch>::load_aligned(kLaneSigns<kStep>.of_lane);
        for (std::size_t i = 0; i < kVectors; ++i) {
            const Floats<Arch> other = swap_lanes<kStep>(v[i]);
            if constexpr (kOrder == LaneOrder::descending_in_bytes && kStep < 8) {
                v[i] = fused_subtract(other, sign, v[i]);
            } else {
                v[i] = fused_add(v[i], sign, other);
            }
        }
        add_lanes<Arch, kOrder, kStep * 2>(v);
    }
}

// Steps from kStep to below kEnd vectors.
template <class Arch, std::size_t kStep, std::size_t kEnd, std::size_t kVectors>
SLIDEKIT_INLINE inline void add_vectors(Floats<Arch> (&v)[kVectors]) noexcept {
    if constexpr (kStep < kEnd) {
        for (std::size_t i = 0; i < kVectors; ++i) {
            if ((i & kStep) != 0) continue;
            const Floats<Arch> a = v[i];
            const Floats<Arch> b = v[i + kStep];
            v[i] = a + b;
            v[i + kStep] = a - b;
        }
        add_vectors<Arch, kStep * 2, kEnd>(v);
    }
}

// A round on all the coordinates of v, but for the steps from kEnd vectors on.
template <class Arch, LaneOrder kOrder, std::size_t kEnd, std::size_t kVectors>
SLIDEKIT_INLINE inline void round_in_registers(const std::uint32_t* signs,
                                               Floats<Arch> (&v)[kVectors]) noexcept {
    for (std::size_t i = 0; i < kVectors; ++i) {
        const Ints<Arch> flip = Ints<Arch>::load_unaligned(
            reinterpret_cast<const std::int32_t*>(signs + i * kLanes<Arch>));
        v[i] = xsimd::bitwise_cast<Floats<Arch>>(xsimd::bitwise_cast<Ints<Arch>>(v[i]) ^ flip);
    }
    add_lanes<Arch, kOrder, 1>(v);
    add_vectors<Arch, 1, kEnd>(v);
}

// The vectors of a row from coordinate `first` on, less the centre, and zeros past its end.
template <class Arch, std::size_t kVectors>
SLIDEKIT_INLINE inline void load_row(const float* x,
                                     const float* centre,
                                     std::size_t dim,
                                     std::size_t first,
                                     Floats<Arch> (&v)[kVectors]) noexcept {
    for (std::size_t i = 0; i < kVectors; ++i) {
        const std::size_t c = first + i * kLanes<Arch>;
        const std::size_t left = dim > c ? dim - c : 0;
        const std::size_t n = left < kLanes<Arch> ? left : kLanes<Arch>;
        const std::size_t at = n == 0 ? 0 : c;
        v[i] = Lanes<Arch>::load_first(x + at, n);
        if (centre != nullptr) v[i] -= Floats<Arch>(Lanes<Arch>::load_first(centre + at, n));
    }
}

// Codes of a > b.
template <class Arch>
SLIDEKIT_INLINE inline void store_codes(Floats<Arch> a,
                                        Floats<Arch> b,
                                        std::uint8_t* bytes) noexcept {
    const std::uint32_t above = Lanes<Arch>::bits(a > b);
    __builtin_memcpy(bytes, &above, kLanes<Arch> / 8);
}
#ifdef __AVX512BW__
// Volatile: GCC would collect the masks of a block in a vector register first, by way of the port
// that swaps lanes.
template <>
SLIDEKIT_INLINE inline void store_codes<Avx512>(Floats<Avx512> a,
                                                Floats<Avx512> b,
                                                std::uint8_t* bytes) noexcept {
    using Mask [[gnu::may_alias]] = __mmask16;
    *reinterpret_cast<volatile Mask*>(bytes) = _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
#endif

// The last step, of `step` coordinates: a + b > 0 if a > -b, and a - b > 0 if a > b, as a sum of
// floats rounds to zero only where it is zero; and with infinities and NaN too.
template <class Arch>
SLIDEKIT_INLINE inline void store_last(Floats<Arch> a,
                                       Floats<Arch> b,
                                       std::size_t step,
                                       std::uint8_t* bytes) noexcept {
    store_codes<Arch>(a, -b, bytes);
    store_codes<Arch>(a, b, bytes + step / 8);
}

// All rounds of a vector of kVectors registers.
template <class Arch, std::size_t kVectors>
void hash_in_registers(const HadamardPlan& plan,
                       const float* x,
                       const float* centre,
                       KeyStream<Arch>& stream) noexcept {
    constexpr std::size_t n = kVectors * kLanes<Arch>;
    Floats<Arch> shared[kVectors];
    load_row<Arch>(x, centre, plan.dim, 0, shared);
    round_in_registers<Arch, LaneOrder::ascending, kVectors>(plan.signs, shared);
    round_in_registers<Arch, LaneOrder::ascending, kVectors>(plan.signs + n, shared);
    const std::size_t bits = std::size_t{plan.k} * plan.l;
    for (std::size_t bit = 0; bit < bits; bit += n) {
        Floats<Arch> v[kVectors];
        for (std::size_t i = 0; i < kVectors; ++i) v[i] = shared[i];
        round_in_registers<Arch, LaneOrder::descending_in_bytes, kVectors / 2>(
            plan.signs + 2 * n + bit, v);
        std::uint8_t* const bytes = stream.extend(n / 8);
        if constexpr (kVectors == 1) {
            store_codes<Arch>(v[0], Floats<Arch>(0.0F), bytes);
        } else {
            for (std::size_t i = 0; i < kVectors / 2; ++i) {
                store_last<Arch>(v[i], v[i + kVectors / 2], n / 2, bytes + i * kLanes<Arch> / 8);
            }
        }
    }
}

inline constexpr std::size_t kMostVectors = 8;  // of a vector that stays in registers

// A round of a longer vector: in registers piece by piece, then the longer steps, below `end`,
// through memory.
template <class Arch, LaneOrder kOrder>
void round_in_memory(const float* in,
                     const std::uint32_t* signs,
                     float* out,
                     std::size_t n,
                     std::size_t end) noexcept {
    constexpr std::size_t kPiece = kMostVectors * kLanes<Arch>;
    for (std::size_t c = 0; c < n; c += kPiece) {
        Floats<Arch> v[kMostVectors];
        for (std::size_t i = 0; i < kMostVectors; ++i) {
            v[i] = Floats<Arch>::load_aligned(in + c + i * kLanes<Arch>);
        }
        round_in_registers<Arch, kOrder, kMostVectors>(signs + c, v);
        for (std::size_t i = 0; i < kMostVectors; ++i) {
            v[i].store_aligned(out + c + i * kLanes<Arch>);
        }
    }
    for (std::size_t step = kPiece; step < end; step *= 2) {
        for (std::size_t pair = 0; pair < n; pair += 2 * step) {
            for (std::size_t c = pair; c < pair + step; c += kLanes<Arch>) {
                const Floats<Arch> a = Floats<Arch>::load_aligned(out + c);
                const Floats<Arch> b = Floats<Arch>::load_aligned(out + c + step);
                (a + b).store_aligned(out + c);
                (a - b).store_aligned(out + c + step);
            }
        }
    }
}

template <class Arch>
void hash_in_memory(const HadamardPlan& plan,
                    const float* x,
                    const float* centre,
                    KeyStream<Arch>& stream) noexcept {
    const std::size_t n = plan.padded;
    alignas(64) float shared[HadamardPlan::kMaxPadded];
    alignas(64) float block[HadamardPlan::kMaxPadded];
    for (std::size_t c = 0; c < n; c += kLanes<Arch>) {
        Floats<Arch> v[1];
        load_row<Arch>(x, centre, plan.dim, c, v);
        v[0].store_aligned(shared + c);
    }
    round_in_memory<Arch, LaneOrder::ascending>(shared, plan.signs, shared, n, n);
    round_in_memory<Arch, LaneOrder::ascending>(shared, plan.signs + n, shared, n, n);
    const std::size_t bits = std::size_t{plan.k} * plan.l;
    for (std::size_t bit = 0; bit < bits; bit += n) {
        round_in_memory<Arch, LaneOrder::descending_in_bytes>(
            shared, plan.signs + 2 * n + bit, block, n, n / 2);
        std::uint8_t* const bytes = stream.extend(n / 8);
        for (std::size_t c = 0; c < n / 2; c += kLanes<Arch>) {
            store_last<Arch>(Floats<Arch>::load_aligned(block + c),
                             Floats<Arch>::load_aligned(block + n / 2 + c),
                             n / 2,
                             bytes + c / 8);
        }
    }
}

template <class Arch>
void hash_hadamard_one(const HadamardPlan& plan,
                       const float* x,
                       const float* centre,
                       std::uint32_t* keys,
                       std::size_t stride) noexcept {
    KeyStream<Arch> stream(plan.k, plan.l, keys, stride);
    switch (plan.padded / kLanes<Arch>) {
        case 1: hash_in_registers<Arch, 1>(plan, x, centre, stream); break;
        case 2: hash_in_registers<Arch, 2>(plan, x, centre, stream); break;
        case 4: hash_in_registers<Arch, 4>(plan, x, centre, stream); break;
        case 8: hash_in_registers<Arch, 8>(plan, x, centre, stream); break;
        case 16: hash_in_registers<Arch, 16>(plan, x, centre, stream); break;
        default: hash_in_memory<Arch>(plan, x, centre, stream); break;
    }
    stream.finish();
}

template <class Arch>
void hash_hadamard(const HadamardPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    hash_hadamard_one<Arch>(plan, x, nullptr, keys, 1);
}

// Row by row: a row a lane would save the swaps of lanes, but transposes, and loads and stores of
// what registers cannot hold, take most of that again (by count of instructions, a sixth is left).
// Sixteen rows at a time where keys go by table: their keys for one table are a line then, and rows
// a power of two apart do not fight for a set of the cache.
template <class Arch>
void hash_hadamard_rows(const HadamardPlan& plan,
                        RowMatrix<const float> rows,
                        const float* centre,
                        std::uint32_t* keys,
                        KeyLayout layout,
                        float* scratch) noexcept {
    constexpr std::size_t kGroup = 16;
    constexpr std::size_t kAhead = 4;
    const std::size_t tables = plan.l;
    const bool direct = layout.table_stride == 1 || tables > plan.padded;
    std::uint32_t* const held = reinterpret_cast<std::uint32_t*>(scratch);
    for (std::size_t first = 0; first < rows.rows; first += kGroup) {
        const std::size_t n = rows.rows - first < kGroup ? rows.rows - first : kGroup;
        std::uint32_t* const out = keys + first * layout.row_stride;
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t r = first + i;
            prefetch_row(rows.row(r + kAhead < rows.rows ? r + kAhead : r), rows.dim);
            std::uint32_t* const to = direct ? out + i * layout.row_stride : held + i * tables;
            hash_hadamard_one<Arch>(
                plan, rows.row(r), centre, to, direct ? layout.table_stride : 1);
        }
        for (std::size_t t = 0; !direct && t < tables; ++t) {
            for (std::size_t i = 0; i < n; ++i) {
                out[i * layout.row_stride + t * layout.table_stride] = held[i * tables + t];
            }
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
