// What the SIMD kernels share: blocks of vectors, sums across lanes, prefetch.
//
// A kernel is written once, over blocks: for_blocks cuts a length into runs of whole vectors and
// one last part of a vector, and calls the body with each; the body loads and stores through the
// block that it is given, so that no tail is written twice and nothing past the end is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <slidekit/kernels/views.hpp>

#include "lanes-inl.hpp"

// For bodies that keep their sums in registers: a call would send these through memory.
#define SLIDEKIT_INLINE __attribute__((always_inline))

namespace slidekit::kernels::detail {
namespace {

// Intrinsics, because xsimd 8.1 has no masked stores, no sums of several vectors at once and no
// products of bytes, and its fma is a product and a sum on AVX-512. fused_add is a b + c and
// fused_subtract c - a b, both rounded once. sum_each: four sums over the lanes of four vectors,
// each the same whatever the other three hold.
inline void store_four(float* p, __m128 v) noexcept { _mm_storeu_ps(p, v); }
inline void store_four(std::int32_t* p, __m128i v) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
}
inline float first_of(__m128 v) noexcept { return _mm_cvtss_f32(v); }
inline std::int32_t first_of(__m128i v) noexcept { return _mm_cvtsi128_si32(v); }

// Products of unsigned and signed bytes: pairs of them add up in 16 bits, without saturation while
// the unsigned ones stay below 128, and pairs of these in 32. VNNI, where the level has it, does it
// in one instruction.
template <class Arch>
struct ByteLanes;

#ifdef __AVX2__
using Avx2 = xsimd::fma3<xsimd::avx2>;

template <>
struct ByteLanes<Avx2> {
    using Register = __m256i;
    static constexpr std::size_t kCount = 32;

    static Register zero() noexcept { return _mm256_setzero_si256(); }
    static Register load(const void* p) noexcept {
        return _mm256_loadu_si256(static_cast<const __m256i*>(p));
    }
    // By way of memory: AVX2 has no masks for bytes.
    static Register load_first(const void* p, std::size_t n) noexcept {
        alignas(32) std::uint8_t bytes[kCount] = {};
        __builtin_memcpy(bytes, p, n);
        return load(bytes);
    }
    static Register add_products(Register sums, Register x, Register row) noexcept {
        const __m256i pairs = _mm256_maddubs_epi16(x, row);
        return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
};

inline Floats<Avx2> fused_add(Floats<Avx2> a, Floats<Avx2> b, Floats<Avx2> c) noexcept {
    return _mm256_fmadd_ps(a, b, c);
}
inline Floats<Avx2> fused_subtract(Floats<Avx2> a, Floats<Avx2> b, Floats<Avx2> c) noexcept {
    return _mm256_fnmadd_ps(a, b, c);
}

inline void store_first(float* p, std::size_t n, Floats<Avx2> v) noexcept {
    _mm256_maskstore_ps(p, Lanes<Avx2>::first(n), v);
}

inline __m128 sum_each(__m256 a, __m256 b, __m256 c, __m256 d) noexcept {
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256 even = _mm256_shuffle_ps(ab, cd, 0x44);
    const __m256 odd = _mm256_shuffle_ps(ab, cd, 0xee);
    const __m256 sums = _mm256_add_ps(even, odd);
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

inline __m128i sum_each(__m256i a, __m256i b, __m256i c, __m256i d) noexcept {
    const __m256i sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}
#endif

#ifdef __AVX512BW__
using Avx512 = xsimd::avx512bw;

template <>
struct ByteLanes<Avx512> {
    using Register = __m512i;
    static constexpr std::size_t kCount = 64;

    static Register zero() noexcept { return _mm512_setzero_si512(); }
    static Register load(const void* p) noexcept { return _mm512_loadu_si512(p); }
    static Register load_first(const void* p, std::size_t n) noexcept {
        return _mm512_maskz_loadu_epi8((1ULL << n) - 1, p);
    }
    static Register add_products(Register sums, Register x, Register row) noexcept {
#ifdef __AVX512VNNI__
        return _mm512_dpbusd_epi32(sums, x, row);
#else
        const __m512i pairs = _mm512_maddubs_epi16(x, row);
        return _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#endif
    }
};

inline Floats<Avx512> fused_add(Floats<Avx512> a, Floats<Avx512> b, Floats<Avx512> c) noexcept {
    return _mm512_fmadd_ps(a, b, c);
}
inline Floats<Avx512> fused_subtract(Floats<Avx512> a,
                                     Floats<Avx512> b,
                                     Floats<Avx512> c) noexcept {
    return _mm512_fnmadd_ps(a, b, c);
}

inline void store_first(float* p, std::size_t n, Floats<Avx512> v) noexcept {
    _mm512_mask_storeu_ps(p, Lanes<Avx512>::first(n), v);
}

// Halves first: after one addition the rest is a matter of 256 bits.
inline __m256 fold_half(__m512 v) noexcept {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}
inline __m256i fold_half(__m512i v) noexcept {
    return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

inline __m128 sum_each(__m512 a, __m512 b, __m512 c, __m512 d) noexcept {
    return sum_each(fold_half(a), fold_half(b), fold_half(c), fold_half(d));
}
inline __m128i sum_each(__m512i a, __m512i b, __m512i c, __m512i d) noexcept {
    return sum_each(fold_half(a), fold_half(b), fold_half(c), fold_half(d));
}
#endif

template <class Arch>
inline constexpr std::size_t kLanes = Lanes<Arch>::kCount;

inline constexpr std::size_t kCacheLineBytes = 64;

// Vectors of a row that a kernel keeps in registers twice over (a row and its gradient): half the
// registers.
template <class Arch>
inline constexpr std::size_t kRowVectors = kLanes<Arch> / 2;

template <class Arch, std::size_t kVectors>
struct WholeBlock {
    static constexpr std::size_t kCount = kVectors;

    SLIDEKIT_INLINE Floats<Arch> load(const float* p, std::size_t j, float = 0) const noexcept {
        return Floats<Arch>::load_unaligned(p + j * kLanes<Arch>);
    }
    SLIDEKIT_INLINE void store(float* p, std::size_t j, Floats<Arch> v) const noexcept {
        v.store_unaligned(p + j * kLanes<Arch>);
    }
};

template <class Arch>
struct PartBlock {
    static constexpr std::size_t kCount = 1;
    std::size_t lanes = 0;

    // `fill` stands in the lanes past the end.
    SLIDEKIT_INLINE Floats<Arch> load(const float* p, std::size_t, float fill = 0) const noexcept {
        return Lanes<Arch>::load_first(p, lanes, fill);
    }
    SLIDEKIT_INLINE void store(float* p, std::size_t, Floats<Arch> v) const noexcept {
        store_first(p, lanes, v);
    }
};

template <class Arch, std::size_t kMost, class Body>
SLIDEKIT_INLINE inline void rest_blocks(std::size_t dim,
                                        std::size_t from,
                                        const Body& body) noexcept {
    if constexpr (kMost > 0) {
        if (dim - from >= kMost * kLanes<Arch>) {
            body(WholeBlock<Arch, kMost>{}, from);
            from += kMost * kLanes<Arch>;
        }
        rest_blocks<Arch, kMost / 2>(dim, from, body);
    } else if (from < dim) {
        body(PartBlock<Arch>{dim - from}, from);
    }
}

// Calls body(block, offset) for blocks of kMost vectors, at most one each of kMost / 2, .. 1, and
// the part of a vector left over.
template <class Arch, std::size_t kMost, class Body>
SLIDEKIT_INLINE inline void for_blocks(std::size_t dim, const Body& body) noexcept {
    constexpr std::size_t kStep = kMost * kLanes<Arch>;
    std::size_t from = 0;
    for (; dim - from >= kStep; from += kStep) body(WholeBlock<Arch, kMost>{}, from);
    rest_blocks<Arch, kMost / 2>(dim, from, body);
}

// Asks for the lines of a row that starts on a line; of another row, the last line may be missing.
template <class T>
SLIDEKIT_INLINE inline void prefetch_row(const T* row, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; k += kCacheLineBytes / sizeof(T)) __builtin_prefetch(row + k);
}

// The same as far as L2. On Intel's processors a prefetch into L1 holds one of 16 fill buffers
// until the line is there, one into L2 does not: rows of bf16 come 1.4x as fast from memory, rows
// of fp32 1.3x. Their way from L2 hides behind the rows before.
template <class T>
SLIDEKIT_INLINE inline void prefetch_row_to_l2(const T* row, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; k += kCacheLineBytes / sizeof(T))
        __builtin_prefetch(row + k, 0, 2);
}

// Calls body(dim), with a constant where the width is a usual one: loops over the row and its
// prefetch then unroll, and a vector that stays is kept in registers. Worth 1.4x on rows from
// memory, 1.6x from L1.
template <class Body>
SLIDEKIT_INLINE inline void with_dim(std::size_t dim, const Body& body) noexcept {
    switch (dim) {
        case 64: return body(std::size_t{64});
        case 128: return body(std::size_t{128});
        case 256: return body(std::size_t{256});
        default: return body(dim);
    }
}

// How many rows of a list to prefetch among: none where the whole table fits L2, as each request
// takes the place of a load.
template <class T>
SLIDEKIT_INLINE inline std::size_t count_if_far(RowMatrix<T> rows, std::size_t count) noexcept {
    constexpr std::size_t kNearBytes = std::size_t{512} << 10;
    return rows.rows * rows.stride * sizeof(T) <= kNearBytes ? 0 : count;
}

// Asks for the first rows of a list; the loop over it then asks for the one that is kAhead further
// on with each that it takes. Without this, the first rows of a short list come as they are met: a
// bag of 75 rows takes 1.15 times as long.
template <std::size_t kAhead, class T>
SLIDEKIT_INLINE inline void prefetch_first_rows(RowMatrix<T> rows,
                                                const std::uint32_t* ids,
                                                std::size_t count,
                                                std::size_t dim) noexcept {
    for (std::size_t i = 0; i < kAhead && i < count; ++i) prefetch_row_to_l2(rows.row(ids[i]), dim);
}

template <class Arch>
SLIDEKIT_INLINE inline float largest_lane(Floats<Arch> v) noexcept {
    alignas(64) float lanes[kLanes<Arch>];
    v.store_aligned(lanes);
    float largest = lanes[0];
    for (const float lane : lanes) largest = lane > largest ? lane : largest;
    return largest;
}

}  // namespace
}  // namespace slidekit::kernels::detail
