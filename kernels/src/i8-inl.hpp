// Bytes with scales: back to floats, and inner products of signed bytes.
//
// Intrinsics, because xsimd 8.1 neither widens bytes nor multiplies them. Sums are exact integers
// on every level, and then rounded in one stated order.
#pragma once

#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dot.hpp>

#include "dot-inl.hpp"
#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// A vector's worth of bytes as numbers.
template <class Arch>
struct WideBytes;

// Products of signed bytes with signed bytes. `start` is what sums begin with. Without VNNI both
// sides are widened to 16 bits, whose products add up by pairs, exactly.
template <class Arch>
struct SignedByteLanes;

#ifdef __AVX2__
template <>
struct WideBytes<Avx2> {
    static __m256i load(const void* p) noexcept {
        return _mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p)));
    }
    static __m256i load_first(const void* p, std::size_t n) noexcept {
        alignas(8) std::int8_t bytes[8] = {};
        __builtin_memcpy(bytes, p, n);
        return load(bytes);
    }
};

template <>
struct SignedByteLanes<Avx2> {
    using Register = __m256i;
    static constexpr std::size_t kCount = 16;

    static Register start(const std::int8_t*, std::size_t) noexcept {
        return _mm256_setzero_si256();
    }
    static Register load(const void* p) noexcept {
        return _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    }
    static Register load_first(const void* p, std::size_t n) noexcept {
        alignas(16) std::int8_t bytes[kCount] = {};
        __builtin_memcpy(bytes, p, n);
        return load(bytes);
    }
    static Register add_products(Register sums, Register x, Register row) noexcept {
        return _mm256_add_epi32(sums, _mm256_madd_epi16(x, row));
    }
};
#endif

#ifdef __AVX512BW__
template <>
struct WideBytes<Avx512> {
    static __m512i load(const void* p) noexcept {
        return _mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    }
    static __m512i load_first(const void* p, std::size_t n) noexcept {
        return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(Lanes<Avx512>::first(n), p));
    }
};

#ifdef __AVX512VNNI__
// The instruction takes one side without sign: row + 128, and 128 x is taken off before the first
// product.
template <>
struct SignedByteLanes<Avx512> {
    using Register = __m512i;
    static constexpr std::size_t kCount = 64;

    static Register start(const std::int8_t* x, std::size_t dim) noexcept {
        const Register offset = _mm512_set1_epi8(static_cast<char>(128));
        Register sums = _mm512_setzero_si512();
        std::size_t k = 0;
        for (; dim - k >= kCount; k += kCount)
            sums = _mm512_dpbusd_epi32(sums, offset, load(x + k));
        if (k < dim) sums = _mm512_dpbusd_epi32(sums, offset, load_first(x + k, dim - k));
        return _mm512_sub_epi32(_mm512_setzero_si512(), sums);
    }
    static Register load(const void* p) noexcept { return _mm512_loadu_si512(p); }
    static Register load_first(const void* p, std::size_t n) noexcept {
        return _mm512_maskz_loadu_epi8((1ULL << n) - 1, p);
    }
    static Register add_products(Register sums, Register x, Register row) noexcept {
        const Register offset = _mm512_set1_epi8(static_cast<char>(128));
        return _mm512_dpbusd_epi32(sums, _mm512_xor_si512(row, offset), x);
    }
};
#else
template <>
struct SignedByteLanes<Avx512> {
    using Register = __m512i;
    static constexpr std::size_t kCount = 32;

    static Register start(const std::int8_t*, std::size_t) noexcept {
        return _mm512_setzero_si512();
    }
    static Register load(const void* p) noexcept {
        return _mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
    }
    static Register load_first(const void* p, std::size_t n) noexcept {
        return _mm512_cvtepi8_epi16(
            _mm256_maskz_loadu_epi8(static_cast<__mmask32>((1ULL << n) - 1), p));
    }
    static Register add_products(Register sums, Register x, Register row) noexcept {
        return _mm512_add_epi32(sums, _mm512_madd_epi16(x, row));
    }
};
#endif
#endif

template <class Arch>
void dequantize_i8(const std::int8_t* q, std::size_t dim, float scale, float* out) noexcept {
    const Floats<Arch> factor(scale);
    std::size_t k = 0;
    for (; dim - k >= kLanes<Arch>; k += kLanes<Arch>) {
        const Ints<Arch> numbers = WideBytes<Arch>::load(q + k);
        (factor * xsimd::to_float(numbers)).store_unaligned(out + k);
    }
    if (k == dim) return;
    const Ints<Arch> numbers = WideBytes<Arch>::load_first(q + k, dim - k);
    Lanes<Arch>::store_first(out + k, dim - k, factor * xsimd::to_float(numbers));
}

template <class Arch, std::size_t kRows>
SLIDEKIT_INLINE inline __m128i dot_few_signed(typename SignedByteLanes<Arch>::Register start,
                                              const std::int8_t* x,
                                              const std::int8_t* const (&rows)[4],
                                              std::size_t dim) noexcept {
    using Bytes = SignedByteLanes<Arch>;
    typename Bytes::Register sums[4] = {start, start, start, start};
    std::size_t k = 0;
    for (; dim - k >= Bytes::kCount; k += Bytes::kCount) {
        const auto lanes = Bytes::load(x + k);
        for (std::size_t i = 0; i < kRows; ++i)
            sums[i] = Bytes::add_products(sums[i], lanes, Bytes::load(rows[i] + k));
    }
    if (k < dim) {
        const auto last = Bytes::load_first(x + k, dim - k);
        for (std::size_t i = 0; i < kRows; ++i)
            sums[i] = Bytes::add_products(sums[i], last, Bytes::load_first(rows[i] + k, dim - k));
    }
    return sum_each(sums[0], sums[1], sums[2], sums[3]);
}

// As dot_gathered_bf16, with each row's scale on its way beside the row.
template <class Arch>
void dot_rows_i8_scaled(const std::int8_t* x,
                        float x_scale,
                        RowMatrix<const std::int8_t> rows,
                        const float* scales,
                        const std::uint32_t* ids,
                        std::size_t count,
                        float* out) noexcept {
    constexpr std::size_t kAhead = 128;  // 16 KB of rows of 128
    const auto start = SignedByteLanes<Arch>::start(x, rows.dim);
    float* const __restrict results = out;
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        const auto pass = [&](std::size_t i) SLIDEKIT_INLINE {
            const std::int8_t* const four[4] = {
                rows.row(ids[i]), rows.row(ids[i + 1]), rows.row(ids[i + 2]), rows.row(ids[i + 3])};
            const __m128 factors = _mm_mul_ps(
                _mm_set1_ps(x_scale),
                _mm_setr_ps(
                    scales[ids[i]], scales[ids[i + 1]], scales[ids[i + 2]], scales[ids[i + 3]]));
            const __m128 sums = _mm_cvtepi32_ps(dot_few_signed<Arch, 4>(start, x, four, dim));
            store_four(results + i, _mm_mul_ps(sums, factors));
        };
        const auto prefetch = [&](std::size_t i) SLIDEKIT_INLINE {
            prefetch_row_to_l2(rows.row(ids[i]), dim);
            __builtin_prefetch(scales + ids[i], 0, 2);
        };
        for (std::size_t i = 0; i < kAhead && i < count; ++i) prefetch(i);
        std::size_t i = 0;
        for (; i + 4 + kAhead <= count; i += 4) {
            for (std::size_t j = i + kAhead; j < i + kAhead + 4; ++j) prefetch(j);
            pass(i);
        }
        for (; i + 4 <= count; i += 4) pass(i);
        for (; i < count; ++i) {
            const std::int8_t* const one[4] = {rows.row(ids[i])};
            const std::int32_t sum = first_of(dot_few_signed<Arch, 1>(start, x, one, dim));
            results[i] = static_cast<float>(sum) * (x_scale * scales[ids[i]]);
        }
    });
}

// As dot_rows_i8, with each row's scale and bias on their way beside the row.
template <class Arch>
void score_rows_i8(const std::uint8_t* x,
                   float x_scale,
                   RowMatrix<const std::int8_t> rows,
                   RowMatrix<const float> affine,
                   const std::uint32_t* ids,
                   std::size_t count,
                   float* out) noexcept {
    constexpr std::size_t kAhead = 64;  // 8 KB of rows of 128
    const auto load_pair = [&](std::size_t id) SLIDEKIT_INLINE {
        return _mm_castpd_ps(_mm_load_sd(reinterpret_cast<const double*>(affine.row(id))));
    };
    float* const __restrict results = out;
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        const auto pass = [&](std::size_t i) SLIDEKIT_INLINE {
            const std::int8_t* const four[4] = {
                rows.row(ids[i]), rows.row(ids[i + 1]), rows.row(ids[i + 2]), rows.row(ids[i + 3])};
            const __m128 low = _mm_movelh_ps(load_pair(ids[i]), load_pair(ids[i + 1]));
            const __m128 high = _mm_movelh_ps(load_pair(ids[i + 2]), load_pair(ids[i + 3]));
            const __m128 scales = _mm_shuffle_ps(low, high, _MM_SHUFFLE(2, 0, 2, 0));
            const __m128 biases = _mm_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 3, 1));
            const __m128 sums = _mm_cvtepi32_ps(dot_few<Arch, 4>(x, four, dim));
            const __m128 products = _mm_mul_ps(sums, _mm_mul_ps(_mm_set1_ps(x_scale), scales));
            store_four(results + i, _mm_add_ps(products, biases));
        };
        const auto prefetch = [&](std::size_t i) SLIDEKIT_INLINE {
            prefetch_row_to_l2(rows.row(ids[i]), dim);
            __builtin_prefetch(affine.row(ids[i]), 0, 2);
        };
        const std::size_t far = count_if_far(rows, count);
        for (std::size_t i = 0; i < kAhead && i < far; ++i) prefetch(i);
        std::size_t i = 0;
        for (; i + 4 + kAhead <= far; i += 4) {
            for (std::size_t j = i + kAhead; j < i + kAhead + 4; ++j) prefetch(j);
            pass(i);
        }
        for (; i + 4 <= count; i += 4) pass(i);
        for (; i < count; ++i) {
            const std::int8_t* const one[4] = {rows.row(ids[i])};
            const float* const scale_and_bias = affine.row(ids[i]);
            const std::int32_t sum = first_of(dot_few<Arch, 1>(x, one, dim));
            results[i] =
                static_cast<float>(sum) * (x_scale * scale_and_bias[0]) + scale_and_bias[1];
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
