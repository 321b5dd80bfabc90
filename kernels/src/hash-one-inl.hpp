// DWTA of one vector.
//
// Lane = bin, the candidates gathered, or permuted out of registers where the vector fits into
// them. Codes are laid down a byte each and then joined to keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <slidekit/kernels/hash.hpp>

#include "dwta-quantum-inl.hpp"
#include "lanes-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Whole numbers in the order of the scores, so that one integer comparison decides: NaN lowest, -0
// the same as 0.
template <class Arch>
Ints<Arch> order_image(Floats<Arch> x) noexcept {
    using Floats = Floats<Arch>;
    using Ints = Ints<Arch>;
    // -0 + 0 is 0. NaN becomes the bits of -NaN that are all ones: with the sign's flip, the lowest
    // of all.
    const Floats all_ones = xsimd::bitwise_cast<Floats>(Ints(-1));
    const Ints bits = xsimd::bitwise_cast<Ints>(xsimd::select(x == x, x + Floats(0.0F), all_ones));
    return xsimd::select(bits < Ints(0), bits ^ Ints(0x7fffffff), bits);
}

// Makes keys of codes of at most 3 bits that follow each other at `shift` bits, shift <= 3.
//
// Eight codes, a byte each, come together in three products: times 2^(8 + shift) + 1, every second
// byte holds a pair, and nothing carries over, since a pair is below 64. Code by code, joining
// takes half as long as finding the codes did.
struct CodeJoiner {
    std::uint32_t shift;
    std::uint64_t to_pairs = (std::uint64_t{1} << (8 + shift)) + 1;
    std::uint64_t to_fours = (std::uint64_t{1} << (16 + 2 * shift)) + 1;
    std::uint64_t to_eight = (std::uint64_t{1} << (32 + 4 * shift)) + 1;

    // The first n codes, n <= 8; the other bytes read are dropped.
    [[nodiscard]] std::uint32_t join_eight(const std::uint8_t* codes,
                                           std::size_t n) const noexcept {
        std::uint64_t bytes = 0;
        __builtin_memcpy(&bytes, codes, 8);
        bytes <<= 8 * (8 - n);
        const std::uint64_t pairs = (bytes * to_pairs) >> 8 & 0x00ff00ff00ff00ffU;
        const std::uint64_t fours = (pairs * to_fours) >> 16 & 0x0000ffff0000ffffU;
        return static_cast<std::uint32_t>((fours * to_eight) >> 32);
    }

    // keys[t] = the k codes of table t, the first one most significant. Reads 8 bytes past the last
    // code.
    void join(const std::uint8_t* codes,
              std::size_t k,
              std::uint32_t* keys,
              std::size_t tables) const noexcept {
        const std::size_t first = k <= 8 ? k : 8;
        for (std::size_t t = 0; t < tables; ++t) {
            const std::uint8_t* code = codes + t * k;
            std::uint32_t key = join_eight(code, first);
            for (std::size_t j = first; j < k; ++j) key = (key << shift) + code[j];
            keys[t] = key;
        }
    }
};

// Calls find(bin, n, codes) for the n codes of as many tables as fit, and keys them: all codes
// before the first key, since a key must not wait for that of the table before. `bin` is a multiple
// of 16, so that the padding of a DWTA plan lets whole vectors be read; codes has room for whole
// vectors too. k <= 64.
template <class Joiner = CodeJoiner, class Find>
[[gnu::always_inline]] inline void key_by_codes(
    std::size_t k, std::size_t l, std::uint32_t shift, std::uint32_t* keys, Find find) noexcept {
    constexpr std::size_t kCodes = 1024;
    alignas(64) std::uint8_t codes[kCodes + 64];
    const Joiner joiner{shift};
    const std::size_t at_once = kCodes / 16 / k * 16;
    for (std::size_t t = 0; t < l; t += at_once) {
        const std::size_t tables = l - t < at_once ? l - t : at_once;
        find(t * k, tables * k, codes);
        joiner.join(codes, k, keys + t, tables);
    }
}

// Codes of n bins from `bin` on. Lane = bin, candidates gathered.
template <class Arch>
struct GatheredCodes {
    const DwtaPlan& plan;
    const float* x;

    void operator()(std::size_t bin, std::size_t n, std::uint8_t* codes) const noexcept {
        constexpr std::size_t kCount = Lanes<Arch>::kCount;
        for (std::size_t i = 0; i < n; i += kCount) {
            const std::size_t here = n - i < kCount ? n - i : kCount;
            Ints<Arch> best(0);
            Ints<Arch> code(0);
            for (std::size_t c = 0; c < DwtaPlan::kBinSize; ++c) {
                const std::size_t at = c * plan.bins + bin + i;
                const Ints<Arch> index = Lanes<Arch>::widen(plan.coordinates + at);
                const Ints<Arch> value =
                    order_image<Arch>(Lanes<Arch>::gather_first(x, index, here));
                const Ints<Arch> position = Lanes<Arch>::widen(plan.positions + at);
                const auto better =
                    c == 0 ? xsimd::batch_bool<std::int32_t, Arch>(true) : value > best;
                best = xsimd::select(better, value, best);
                code = xsimd::select(better, position, code);
            }
            Lanes<Arch>::store_bytes(codes + i, code, kCount);
        }
    }
};

template <class Arch>
void hash_dwta(const DwtaPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    key_by_codes(plan.k, plan.l, plan.shift, keys, GatheredCodes<Arch>{plan, x});
}

#ifdef __AVX512BW__
// 128 numbers of 16 bits in four registers, looked up 32 at a time.
struct WordTable {
    __m512i words[4];
    __m512i operator()(__m512i index, __mmask32 upper) const noexcept {
        const __m512i low = _mm512_permutex2var_epi16(words[0], index, words[1]);
        const __m512i high = _mm512_permutex2var_epi16(words[2], index, words[3]);
        return _mm512_mask_mov_epi16(low, upper, high);
    }
};

// Codes of n bins from `bin` on. Up to 128 coordinates stay in registers: their order image as two
// tables of 16-bit halves, which permutes look up for 32 bins at a time (a 32-bit permute serves
// half as many bins and sees half as much of the vector, so that it takes three and a half times as
// many instructions).
struct PermutedCodes {
    const DwtaPlan& plan;
    WordTable upper_half;
    WordTable lower_half;

    PermutedCodes(const DwtaPlan& dwta_plan, const float* x) noexcept : plan(dwta_plan) {
        for (std::size_t i = 0; i < 4; ++i) {
            const __m512i a = image(x, 32 * i);
            const __m512i b = image(x, 32 * i + 16);
            lower_half.words[i] = join(_mm512_cvtepi32_epi16(a), _mm512_cvtepi32_epi16(b));
            upper_half.words[i] = join(_mm512_cvtepi32_epi16(_mm512_srli_epi32(a, 16)),
                                       _mm512_cvtepi32_epi16(_mm512_srli_epi32(b, 16)));
        }
    }

    void operator()(std::size_t bin, std::size_t n, std::uint8_t* codes) const noexcept {
        for (std::size_t i = 0; i < n; i += 32) {
            // The padding of the plan ends with a half step.
            const __mmask32 there = plan.bins - bin - i < 32 ? 0xffffU : 0xffffffffU;
            __m512i best_upper = _mm512_setzero_si512();
            __m512i best_lower = _mm512_setzero_si512();
            __m512i code = _mm512_setzero_si512();
            for (std::size_t c = 0; c < DwtaPlan::kBinSize; ++c) {
                const std::size_t at = c * plan.bins + bin + i;
                const __m512i index = _mm512_maskz_loadu_epi16(there, plan.coordinates + at);
                const __m512i position =
                    _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(there, plan.positions + at));
                const __mmask32 from_64 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(64));
                const __m512i upper = upper_half(index, from_64);
                const __m512i lower = lower_half(index, from_64);
                const __mmask32 level = _mm512_cmpeq_epu16_mask(upper, best_upper);
                __mmask32 better = _mm512_cmpgt_epu16_mask(upper, best_upper) |
                                   _mm512_mask_cmpgt_epu16_mask(level, lower, best_lower);
                if (c == 0) better = 0xffffffffU;
                best_upper = _mm512_max_epu16(best_upper, upper);
                best_lower = _mm512_mask_mov_epi16(best_lower, better, lower);
                code = _mm512_mask_mov_epi16(code, better, position);
            }
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + i), _mm512_cvtepi16_epi8(code));
        }
    }

private:
    // Coordinates c .. c + 15 as unsigned numbers; what lies past the vector is never asked for.
    __m512i image(const float* x, std::size_t c) const noexcept {
        using Arch = xsimd::avx512bw;
        const std::size_t left = plan.dim > c ? plan.dim - c : 0;
        const Ints<Arch> order = order_image<Arch>(
            Lanes<Arch>::load_first(x + (left > 0 ? c : 0), left < 16 ? left : 16));
        return _mm512_xor_si512(order, _mm512_set1_epi32(std::numeric_limits<std::int32_t>::min()));
    }
    static __m512i join(__m256i low, __m256i high) noexcept {
        return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    }
};

template <class Quantised, class Joiner>
void hash_dwta_by_permutes(const DwtaPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    if (plan.dim > 128) {
        key_by_codes(plan.k, plan.l, plan.shift, keys, GatheredCodes<xsimd::avx512bw>{plan, x});
        return;
    }
    const Quantised quantised(plan, x);
    key_by_codes<Joiner>(plan.k,
                         plan.l,
                         plan.shift,
                         keys,
                         [&](std::size_t bin, std::size_t count, std::uint8_t* codes) {
                             if (quantised.quantiser.usable && quantised.find(bin, count, codes))
                                 return;
                             PermutedCodes(plan, x)(bin, count, codes);
                         });
}

template <>
inline void hash_dwta<xsimd::avx512bw>(const DwtaPlan& plan,
                                       const float* x,
                                       std::uint32_t* keys) noexcept {
    hash_dwta_by_permutes<QuantisedCodes, CodeJoiner>(plan, x, keys);
}
#endif

#ifdef __AVX512VBMI__
// Keys of eight tables at a time: a permute of bytes gives each its own 64 bits, the last code
// last, and products of neighbours join two, then four codes.
struct ByteCodeJoiner {
    std::uint32_t shift;

    void join(const std::uint8_t* codes,
              std::size_t k,
              std::uint32_t* keys,
              std::size_t tables) const noexcept {
        if (k > 8) return CodeJoiner{shift}.join(codes, k, keys, tables);
        // Byte j of table t comes from t * k + j + k - 8, where that is one of its own.
        constexpr long long kEach = 0x0101010101010101;
        const __m512i table = _mm512_setr_epi64(
            0, kEach, 2 * kEach, 3 * kEach, 4 * kEach, 5 * kEach, 6 * kEach, 7 * kEach);
        const __m512i byte = _mm512_set1_epi64(0x0706050403020100);
        const __m512i index = _mm512_add_epi8(
            _mm512_mullo_epi16(table, _mm512_set1_epi16(static_cast<short>(k))),
            _mm512_add_epi8(byte, _mm512_set1_epi8(static_cast<char>(static_cast<int>(k) - 8))));
        const __mmask64 used = 0x0101010101010101U * (0xffU & 0xffU << (8 - k));
        const __m512i pairs = _mm512_set1_epi16(static_cast<short>(1 << shift | 1 << 8));
        const __m512i fours = _mm512_set1_epi32(1 << (2 * shift) | 1 << 16);
        const __m128i to_first = _mm_cvtsi32_si128(static_cast<int>(4 * shift));
        for (std::size_t t = 0; t < tables; t += 8) {
            const std::size_t left = tables - t < 8 ? tables - t : 8;
            const __m512i all = _mm512_loadu_si512(codes + t * k);
            const __m512i bytes = _mm512_maskz_permutexvar_epi8(used, index, all);
            const __m512i parts = _mm512_madd_epi16(_mm512_maddubs_epi16(bytes, pairs), fours);
            const __m512i key =
                _mm512_add_epi64(_mm512_sll_epi64(parts, to_first), _mm512_srli_epi64(parts, 32));
            _mm512_mask_cvtepi64_storeu_epi32(
                keys + t, static_cast<__mmask8>((1U << left) - 1), key);
        }
    }
};
#endif

}  // namespace
}  // namespace slidekit::kernels::detail
