// Vectors of 16-bit words: halves of floats, in natural order (one word a lane) and in pairs.
//
// Intrinsics, because xsimd 8.1 has no masked loads of words, no widening and narrowing of them and
// no products of bf16.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/bf16.hpp>

#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// One word a lane of 32 bits. store keeps the lower half of each lane; what stands above is lost.
template <class Arch>
struct Bf16Words;

// Two bf16 a lane of 32 bits, as they lie in memory; and as floats, those at even places and those
// at odd ones: widening costs one operation each, and no movement between lanes.
template <class Arch>
struct Halves {
    Floats<Arch> even, odd;
};

// add: sums + x y, a lane getting the products of both its places.
template <class Arch>
struct Pairs;

// Hides where x comes from: GCC would load it twice, once for the shift and once for the mask, and
// loads in flight are what rows from memory wait for (1.05x there, 1.04x in L1).
template <class Register>
SLIDEKIT_INLINE inline void keep_in_register(Register& x) noexcept {
    asm("" : "+x"(x));
}

#ifdef __AVX2__
template <>
struct Bf16Words<Avx2> {
    static __m256i load(const void* p) noexcept {
        return _mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    }
    // By way of memory: AVX2 has no masks for words.
    static __m256i load_first(const void* p, std::size_t n) noexcept {
        alignas(16) std::uint16_t words[8] = {};
        __builtin_memcpy(words, p, 2 * n);
        return load(words);
    }
    static __m128i narrowed(__m256i numbers) noexcept {
        const __m256i low = _mm256_and_si256(numbers, _mm256_set1_epi32(0xffff));
        return _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    }
    static void store(void* p, __m256i numbers) noexcept {
        _mm_storeu_si128(static_cast<__m128i*>(p), narrowed(numbers));
    }
    static void store_first(void* p, std::size_t n, __m256i numbers) noexcept {
        alignas(16) std::uint16_t words[8];
        _mm_store_si128(reinterpret_cast<__m128i*>(words), narrowed(numbers));
        __builtin_memcpy(p, words, 2 * n);
    }
};

template <>
struct Pairs<Avx2> {
    using Register = __m256i;
    static constexpr std::size_t kCount = 16;

    static Register load(const Bf16* p) noexcept {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
    // Whole pairs under a mask, then the word that has no neighbour.
    static Register load_first(const Bf16* p, std::size_t n) noexcept {
        const __m256i pairs =
            _mm256_maskload_epi32(reinterpret_cast<const int*>(p), Lanes<Avx2>::first(n / 2));
        if (n % 2 == 0) return pairs;
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        const __m256i last = _mm256_cmpeq_epi32(lane, _mm256_set1_epi32(static_cast<int>(n / 2)));
        return _mm256_or_si256(pairs, _mm256_and_si256(last, _mm256_set1_epi32(p[n - 1].bits)));
    }
    static Halves<Avx2> halves(Register x) noexcept {
        keep_in_register(x);
        const __m256i odd = _mm256_set1_epi32(static_cast<int>(0xffff0000));
        return {_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)),
                _mm256_castsi256_ps(_mm256_and_si256(x, odd))};
    }

    // x[0..3] beside x[8..11], and x[4..7] beside x[12..15]: shuffles then stay in their 128 bits.
    static Halves<Avx2> load(const float* p) noexcept {
        const __m256 a =
            _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 8), 1);
        const __m256 b = _mm256_insertf128_ps(
            _mm256_castps128_ps256(_mm_loadu_ps(p + 4)), _mm_loadu_ps(p + 12), 1);
        return {_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd)};
    }
    static Halves<Avx2> load_first(const float* p, std::size_t n) noexcept {
        alignas(32) float x[kCount] = {};
        __builtin_memcpy(x, p, n * sizeof(float));
        return load(x);
    }
    static void store(float* p, const Halves<Avx2>& x) noexcept {
        const __m256 a = _mm256_unpacklo_ps(x.even, x.odd);
        const __m256 b = _mm256_unpackhi_ps(x.even, x.odd);
        _mm256_storeu_ps(p, _mm256_permute2f128_ps(a, b, 0x20));
        _mm256_storeu_ps(p + 8, _mm256_permute2f128_ps(a, b, 0x31));
    }
    static void store_first(float* p, std::size_t n, const Halves<Avx2>& x) noexcept {
        alignas(32) float out[kCount];
        store(out, x);
        __builtin_memcpy(p, out, n * sizeof(float));
    }
};
#endif

#ifdef __AVX512BW__
template <>
struct Bf16Words<Avx512> {
    static __m512i load(const void* p) noexcept {
        return _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
    }
    static __m512i load_first(const void* p, std::size_t n) noexcept {
        return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(Lanes<Avx512>::first(n), p));
    }
    static void store(void* p, __m512i numbers) noexcept {
        _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtepi32_epi16(numbers));
    }
    static void store_first(void* p, std::size_t n, __m512i numbers) noexcept {
        _mm256_mask_storeu_epi16(p, Lanes<Avx512>::first(n), _mm512_cvtepi32_epi16(numbers));
    }
};

template <>
struct Pairs<Avx512> {
    using Register = __m512i;
    static constexpr std::size_t kCount = 32;

    static Register load(const Bf16* p) noexcept { return _mm512_loadu_si512(p); }
    static Register load_first(const Bf16* p, std::size_t n) noexcept {
        return _mm512_maskz_loadu_epi16(static_cast<__mmask32>((1ULL << n) - 1), p);
    }
    static Halves<Avx512> halves(Register x) noexcept {
        keep_in_register(x);
        const __m512i odd = _mm512_set1_epi32(static_cast<int>(0xffff0000));
        return {_mm512_castsi512_ps(_mm512_slli_epi32(x, 16)),
                _mm512_castsi512_ps(_mm512_and_si512(x, odd))};
    }

    static Halves<Avx512> parted(__m512 a, __m512 b) noexcept {
        const __m512i even =
            _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        return {_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b)};
    }
    static Halves<Avx512> load(const float* p) noexcept {
        return parted(_mm512_loadu_ps(p), _mm512_loadu_ps(p + 16));
    }
    static __mmask16 lower(std::size_t n) noexcept {
        return static_cast<__mmask16>((1ULL << n) - 1);
    }
    static __mmask16 upper(std::size_t n) noexcept {
        return static_cast<__mmask16>(((1ULL << n) - 1) >> 16);
    }
    static Halves<Avx512> load_first(const float* p, std::size_t n) noexcept {
        return parted(_mm512_maskz_loadu_ps(lower(n), p), _mm512_maskz_loadu_ps(upper(n), p + 16));
    }
    static __m512 joined(const Halves<Avx512>& x, int from) noexcept {
        const __m512i order =
            _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        return _mm512_permutex2var_ps(
            x.even, _mm512_add_epi32(order, _mm512_set1_epi32(from)), x.odd);
    }
    static void store(float* p, const Halves<Avx512>& x) noexcept {
        _mm512_storeu_ps(p, joined(x, 0));
        _mm512_storeu_ps(p + 16, joined(x, 8));
    }
    static void store_first(float* p, std::size_t n, const Halves<Avx512>& x) noexcept {
        _mm512_mask_storeu_ps(p, lower(n), joined(x, 0));
        _mm512_mask_storeu_ps(p + 16, upper(n), joined(x, 8));
    }
};
#endif

template <class Arch>
SLIDEKIT_INLINE inline Floats<Arch> add_pairs(Floats<Arch> sums,
                                              const Halves<Arch>& x,
                                              typename Pairs<Arch>::Register y) noexcept {
    const Halves<Arch> wide = Pairs<Arch>::halves(y);
    return fused_add(x.odd, wide.odd, fused_add(x.even, wide.even, sums));
}

// The level with the instruction compiles this otherwise: its two roundings are in another order,
// and numbers below 2^-126 are zeros to it.
template <class Arch>
SLIDEKIT_INLINE inline Floats<Arch> add_pairs(Floats<Arch> sums,
                                              typename Pairs<Arch>::Register x,
                                              typename Pairs<Arch>::Register y) noexcept {
#ifdef __AVX512BF16__
    // A cast that both compilers take: their types of bf16 vectors are of different elements.
    return _mm512_dpbf16_ps(sums, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(y));
#else
    return add_pairs<Arch>(sums, Pairs<Arch>::halves(x), y);
#endif
}

template <class Arch, std::size_t kVectors, class Half>
SLIDEKIT_INLINE inline Bits<Arch> load_words(WholeBlock<Arch, kVectors>,
                                             const Half* p,
                                             std::size_t j) noexcept {
    return Bf16Words<Arch>::load(p + j * kLanes<Arch>);
}
template <class Arch, class Half>
SLIDEKIT_INLINE inline Bits<Arch> load_words(PartBlock<Arch> block,
                                             const Half* p,
                                             std::size_t) noexcept {
    return Bf16Words<Arch>::load_first(p, block.lanes);
}
template <class Arch, std::size_t kVectors, class Half>
SLIDEKIT_INLINE inline void store_words(WholeBlock<Arch, kVectors>,
                                        Half* p,
                                        std::size_t j,
                                        Bits<Arch> numbers) noexcept {
    Bf16Words<Arch>::store(p + j * kLanes<Arch>, numbers);
}
template <class Arch, class Half>
SLIDEKIT_INLINE inline void store_words(PartBlock<Arch> block,
                                        Half* p,
                                        std::size_t,
                                        Bits<Arch> numbers) noexcept {
    Bf16Words<Arch>::store_first(p, block.lanes, numbers);
}

template <class Arch>
SLIDEKIT_INLINE inline Floats<Arch> as_floats(Bits<Arch> bits) noexcept {
    return xsimd::bitwise_cast<Floats<Arch>>(bits);
}
template <class Arch>
SLIDEKIT_INLINE inline Bits<Arch> as_bits(Floats<Arch> x) noexcept {
    return xsimd::bitwise_cast<Bits<Arch>>(x);
}

}  // namespace
}  // namespace slidekit::kernels::detail
