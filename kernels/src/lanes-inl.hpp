// Movements between lanes that xsimd has no words for, one struct of static functions a level.
//
// Intrinsics, for these reasons: masked loads and gathers (xsimd 8.1 gathers by scalar loads, and
// reads whole vectors only), transposes, masks as bits, and narrowing stores.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#ifdef __clang__
// What is not inlined (the sanitizers make functions long) has to stay in this object, or the
// linker may keep it for another level. What xsimd includes itself is not meant, and comes first.
#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#pragma clang attribute push(__attribute__((internal_linkage)), apply_to = function)
#endif
#include <xsimd/xsimd.hpp>
#ifdef __clang__
#pragma clang attribute pop
#endif

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 finds its own AVX-512 intrinsics at fault: their unused pass-through operand is undefined.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace slidekit::kernels::detail {
namespace {

template <class Arch>
using Floats = xsimd::batch<float, Arch>;
template <class Arch>
using Ints = xsimd::batch<std::int32_t, Arch>;
template <class Arch>
using Bits = xsimd::batch<std::uint32_t, Arch>;

template <class Arch>
struct Lanes;

#ifdef __AVX2__
template <>
struct Lanes<xsimd::fma3<xsimd::avx2>> {
    static constexpr std::size_t kCount = 8;

    // All ones in the first n lanes.
    static __m256i first(std::size_t n) noexcept {
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
    }

    // The first n floats, n <= 8; `fill` in the other lanes, which are not read.
    static __m256 load_first(const float* p, std::size_t n, float fill = 0) noexcept {
        const __m256i wanted = first(n);
        return _mm256_blendv_ps(
            _mm256_set1_ps(fill), _mm256_maskload_ps(p, wanted), _mm256_castsi256_ps(wanted));
    }

    // The first n lanes, n <= 8; nothing is written past them.
    static void store_first(float* p, std::size_t n, __m256 v) noexcept {
        _mm256_maskstore_ps(p, first(n), v);
    }

    static std::uint32_t bits(__m256 mask) noexcept {
        return static_cast<std::uint32_t>(_mm256_movemask_ps(mask));
    }

    // r[j][i] = r[i][j].
    static void transpose(__m256 (&r)[8]) noexcept {
        __m256 t[8];
        for (std::size_t i = 0; i < 8; i += 4) {
            const __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(r[i], r[i + 1]));
            const __m256d b = _mm256_castps_pd(_mm256_unpackhi_ps(r[i], r[i + 1]));
            const __m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(r[i + 2], r[i + 3]));
            const __m256d d = _mm256_castps_pd(_mm256_unpackhi_ps(r[i + 2], r[i + 3]));
            t[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
            t[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
            t[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
            t[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
        }
        for (std::size_t j = 0; j < 4; ++j) {
            r[j] = _mm256_permute2f128_ps(t[j], t[4 + j], 0x20);
            r[4 + j] = _mm256_permute2f128_ps(t[j], t[4 + j], 0x31);
        }
    }

    // Eight numbers.
    static __m256i widen(const std::uint8_t* p) noexcept {
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    }
    static __m256i widen(const std::uint16_t* p) noexcept {
        return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }

    // x[index] in the first n lanes, 0 in the others, whose index is not used.
    static __m256 gather_first(const float* x, __m256i index, std::size_t n) noexcept {
        return _mm256_mask_i32gather_ps(
            _mm256_setzero_ps(), x, index, _mm256_castsi256_ps(first(n)), 4);
    }

    // The first n lanes as bytes, which their numbers fit into.
    template <class Byte>
    static void store_bytes(Byte* out, __m256i numbers, std::size_t n) noexcept {
        const __m128i words =
            _mm_packs_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
        const std::int64_t bytes = _mm_cvtsi128_si64(_mm_packs_epi16(words, words));
        __builtin_memcpy(out, &bytes, n);
    }
};
#endif

#ifdef __AVX512BW__
template <>
struct Lanes<xsimd::avx512bw> {
    static constexpr std::size_t kCount = 16;

    // The first n lanes, n <= 16.
    static __mmask16 first(std::size_t n) noexcept {
        return static_cast<__mmask16>((1U << n) - 1U);
    }

    static __m512 load_first(const float* p, std::size_t n, float fill = 0) noexcept {
        return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(n), p);
    }

    static void store_first(float* p, std::size_t n, __m512 v) noexcept {
        _mm512_mask_storeu_ps(p, first(n), v);
    }

    static std::uint32_t bits(__mmask16 mask) noexcept { return mask; }

    static void transpose(__m512 (&r)[16]) noexcept {
        __m512 t[16];
        for (std::size_t i = 0; i < 16; i += 4) {
            const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(r[i], r[i + 1]));
            const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(r[i], r[i + 1]));
            const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(r[i + 2], r[i + 3]));
            const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(r[i + 2], r[i + 3]));
            t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
            t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
            t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
            t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
        }
        // t[4 g + j] holds columns j, 4 + j, 8 + j, 12 + j of rows 4 g .. 4 g + 3, 128 bits each.
        for (std::size_t j = 0; j < 4; ++j) {
            const __m512 even_low = _mm512_shuffle_f32x4(t[j], t[4 + j], 0x88);
            const __m512 even_high = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0x88);
            const __m512 odd_low = _mm512_shuffle_f32x4(t[j], t[4 + j], 0xdd);
            const __m512 odd_high = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0xdd);
            r[j] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
            r[4 + j] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
            r[8 + j] = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
            r[12 + j] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
        }
    }

    // Sixteen numbers.
    static __m512i widen(const std::uint8_t* p) noexcept {
        return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static __m512i widen(const std::uint16_t* p) noexcept {
        return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }

    static __m512 gather_first(const float* x, __m512i index, std::size_t n) noexcept {
        return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), first(n), index, x, 4);
    }

    template <class Byte>
    static void store_bytes(Byte* out, __m512i numbers, std::size_t n) noexcept {
        _mm512_mask_cvtepi32_storeu_epi8(out, first(n), numbers);
    }
};
#endif

}  // namespace
}  // namespace slidekit::kernels::detail
