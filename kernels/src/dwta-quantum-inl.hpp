// Values as whole numbers of 16 bits, for the DWTA forms that compare twice as many at once.
//
// A scale of the vector's own makes x a quantum ceil(x * s + b), by a product that is rounded once:
// monotone, so that a larger quantum is a larger value, and only equal quanta leave a winner open.
// Of 65,535 quanta eight values seldom share the largest (one bin in some thousands), and such a
// bin is decided again by the values themselves. ReLU zeros have quantum 0 to themselves: a bin of
// nothing else is no open one, the first of its coordinates wins.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/hash.hpp>

#include "lanes-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

struct Quantiser {
    float scale = 0;
    float offset = 0;
    bool usable = false;
    bool zeros_alone = false;  // quantum 0 is the value 0

    // Of values whose largest magnitude has the bits `magnitude`. Not of infinities and NaN, whose
    // bits are larger, nor of scales that could leave the normal numbers.
    Quantiser(std::uint32_t magnitude, bool any_negative) noexcept {
        constexpr std::uint32_t kLeast = 0x0d800000;  // 2^-100
        constexpr std::uint32_t kMost = 0x71800000;   // 2^100
        if (magnitude < kLeast || magnitude > kMost) return;
        usable = true;
        const float largest = __builtin_bit_cast(float, magnitude);
        scale = (any_negative ? 32767.0F : 65534.0F) / largest;
        offset = any_negative ? 32767.0F : 0.0F;
        // From a scale of 1 on no product with a value above 0 vanishes.
        zeros_alone = !any_negative && scale >= 1;
    }
};

// The code of a bin by the values, less the centre where there is one; they are numbers.
inline std::uint8_t code_of_bin(const DwtaPlan& plan,
                                const float* x,
                                const float* centre,
                                std::size_t bin) noexcept {
    const auto value_of = [&](std::size_t c) {
        const std::size_t at = plan.coordinates[c * plan.bins + bin];
        return centre == nullptr ? x[at] : x[at] - centre[at];
    };
    float best = value_of(0);
    std::uint8_t code = plan.positions[bin];
    for (std::size_t c = 1; c < DwtaPlan::kBinSize; ++c) {
        const float value = value_of(c);
        if (!(value > best)) continue;
        best = value;
        code = plan.positions[c * plan.bins + bin];
    }
    return code;
}

#ifdef __AVX512BW__
// What each of eight candidates adds to a bin whose best it equals: a single one is told from
// several, and which it is.
inline constexpr int kTally = 16;

inline __m512i quanta(Quantiser q, __m512 a, __m512 b) noexcept {
    const __m512 scale = _mm512_set1_ps(q.scale);
    const __m512 offset = _mm512_set1_ps(q.offset);
    constexpr int kUp = _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC;
    const __m512i low = _mm512_cvt_roundps_epi32(_mm512_fmadd_ps(a, scale, offset), kUp);
    const __m512i high = _mm512_cvt_roundps_epi32(_mm512_fmadd_ps(b, scale, offset), kUp);
    // Packed in parts of 128 bits, which go back into order.
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7),
                                    _mm512_packus_epi32(low, high));
}

// Codes of n bins from `bin` on, of a vector of up to 128 coordinates whose quanta stay in four
// registers: a permute looks up 32 bins at a time, where whole values would take two tables and
// three comparisons.
struct QuantisedCodes {
    const DwtaPlan& plan;
    const float* x;
    Quantiser quantiser;
    __m512i words[4];

    QuantisedCodes(const DwtaPlan& dwta_plan, const float* vector) noexcept
        : plan(dwta_plan), x(vector), quantiser(0, false) {
        __m512 values[8];
        __m512i magnitude = _mm512_setzero_si512();
        __m512i sign = _mm512_setzero_si512();
        for (std::size_t i = 0; i < 8; ++i) {
            const std::size_t left = plan.dim > 16 * i ? plan.dim - 16 * i : 0;
            values[i] = Lanes<xsimd::avx512bw>::load_first(x + (left > 0 ? 16 * i : 0),
                                                           left < 16 ? left : 16);
            const __m512i bits = _mm512_castps_si512(values[i]);
            sign = _mm512_or_si512(sign, bits);
            magnitude =
                _mm512_max_epu32(magnitude, _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)));
        }
        quantiser = Quantiser(_mm512_reduce_max_epu32(magnitude), _mm512_movepi32_mask(sign) != 0);
        for (std::size_t i = 0; i < 4; ++i)
            words[i] = quanta(quantiser, values[2 * i], values[2 * i + 1]);
    }

    // Leaves too many bins open where many values are equal: then false, and the codes are not to
    // be used.
    [[nodiscard]] bool find(std::size_t bin, std::size_t n, std::uint8_t* codes) const noexcept {
        return find_by<32>(bin, n, codes, [this](std::size_t at, std::uint8_t* out) {
            return std::uint64_t{find_32(at, out)};
        });
    }

protected:
    template <std::size_t kStep, class Find>
    [[gnu::always_inline]] bool find_by(std::size_t bin,
                                        std::size_t n,
                                        std::uint8_t* codes,
                                        Find find_step) const noexcept {
        constexpr std::size_t kMostOpen = 24;
        std::uint16_t open[kMostOpen + kStep];
        std::size_t count = 0;
        for (std::size_t i = 0; i < n; i += kStep) {
            std::uint64_t left = find_step(bin + i, codes + i);
            if (n - i < kStep) left &= (std::uint64_t{1} << (n - i)) - 1;
            for (; left != 0; left &= left - 1) {
                open[count++] =
                    static_cast<std::uint16_t>(i + static_cast<std::size_t>(__builtin_ctzll(left)));
            }
            if (count > kMostOpen) return false;
        }
        for (std::size_t i = 0; i < count; ++i)
            codes[open[i]] = code_of_bin(plan, x, nullptr, bin + open[i]);
        return true;
    }

private:
    // Returns which bins are open.
    [[gnu::always_inline]] __mmask32 find_32(std::size_t bin, std::uint8_t* codes) const noexcept {
        constexpr std::size_t kCandidates = DwtaPlan::kBinSize;
        const __mmask32 there = in_plan(bin);
        __m512i value[kCandidates];
        __m512i best = _mm512_setzero_si512();
        for (std::size_t c = 0; c < kCandidates; ++c) {
            const __m512i index =
                _mm512_maskz_loadu_epi16(there, plan.coordinates + c * plan.bins + bin);
            const __mmask32 from_64 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(64));
            const __m512i low = _mm512_permutex2var_epi16(words[0], index, words[1]);
            const __m512i high = _mm512_permutex2var_epi16(words[2], index, words[3]);
            value[c] = _mm512_mask_mov_epi16(low, from_64, high);
            best = _mm512_max_epu16(best, value[c]);
        }
        return settle(value, best, bin, codes);
    }

protected:
    // Of up to 32 bins from `bin` on, those that the plan has room for.
    [[nodiscard]] __mmask32 in_plan(std::size_t bin) const noexcept {
        const std::size_t left = plan.bins > bin ? plan.bins - bin : 0;
        return left < 32 ? (std::uint32_t{1} << left) - 1 : 0xffffffffU;
    }

    // The codes of 32 bins from the quanta of their candidates, of which `best` are the largest.
    // Returns which bins are open.
    [[gnu::always_inline]] __mmask32 settle(const __m512i (&value)[DwtaPlan::kBinSize],
                                            __m512i best,
                                            std::size_t bin,
                                            std::uint8_t* codes) const noexcept {
        constexpr std::size_t kCandidates = DwtaPlan::kBinSize;
        __m512i tally = _mm512_setzero_si512();
        for (std::size_t c = 0; c < kCandidates; ++c) {
            const __mmask32 equal = _mm512_cmpeq_epi16_mask(value[c], best);
            tally = _mm512_mask_add_epi16(
                tally, equal, tally, _mm512_set1_epi16(static_cast<short>(kTally + c)));
        }
        __mmask32 open = _mm512_cmpgt_epi16_mask(tally, _mm512_set1_epi16(2 * kTally - 1));
        if (quantiser.zeros_alone) {
            const __mmask32 zeros = _mm512_testn_epi16_mask(best, best);
            tally = _mm512_mask_mov_epi16(tally, zeros, _mm512_setzero_si512());
            open &= ~zeros;
        }
        store_codes(bin, in_plan(bin), _mm512_cvtepi16_epi8(tally), codes);
        return open;
    }

    // The position of candidate number & 7 of each bin: three rounds of choices by its bits.
    [[gnu::always_inline]] void store_codes(std::size_t bin,
                                            __mmask32 there,
                                            __m256i number,
                                            std::uint8_t* codes) const noexcept {
        __m256i p[8];
        for (std::size_t c = 0; c < 8; ++c)
            p[c] = _mm256_maskz_loadu_epi8(there, plan.positions + c * plan.bins + bin);
        for (std::size_t half = 1, bit = 1; half < 8; half *= 2, bit *= 2) {
            const __mmask32 odd =
                _mm256_test_epi8_mask(number, _mm256_set1_epi8(static_cast<char>(bit)));
            for (std::size_t c = 0; c < 8; c += 2 * half)
                p[c] = _mm256_mask_mov_epi8(p[c], odd, p[c + half]);
        }
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes), p[0]);
    }
};
#endif

#ifdef __AVX512VBMI__
// The same by permutes of bytes: two tables of 128 bytes, looked up for 64 bins at a time.
struct QuantisedByteCodes : QuantisedCodes {
    __m512i low[2];
    __m512i high[2];

    QuantisedByteCodes(const DwtaPlan& dwta_plan, const float* vector) noexcept
        : QuantisedCodes(dwta_plan, vector) {
        for (std::size_t i = 0; i < 2; ++i) {
            low[i] = bytes(words[2 * i], words[2 * i + 1]);
            high[i] =
                bytes(_mm512_srli_epi16(words[2 * i], 8), _mm512_srli_epi16(words[2 * i + 1], 8));
        }
    }

    [[nodiscard]] bool find(std::size_t bin, std::size_t n, std::uint8_t* codes) const noexcept {
        return find_by<64>(
            bin, n, codes, [this](std::size_t at, std::uint8_t* out) { return find_64(at, out); });
    }

private:
    static __m512i bytes(__m512i a, __m512i b) noexcept {
        return _mm512_inserti64x4(
            _mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)), _mm512_cvtepi16_epi8(b), 1);
    }

    [[gnu::always_inline]] std::uint64_t find_64(std::size_t bin,
                                                 std::uint8_t* codes) const noexcept {
        constexpr std::size_t kCandidates = DwtaPlan::kBinSize;
        const __mmask32 in_a = in_plan(bin);
        const __mmask32 in_b = in_plan(bin + 32);
        __m512i a[kCandidates];
        __m512i b[kCandidates];
        __m512i best_a = _mm512_setzero_si512();
        __m512i best_b = _mm512_setzero_si512();
        for (std::size_t c = 0; c < kCandidates; ++c) {
            const std::uint16_t* coordinates = plan.coordinates + c * plan.bins + bin;
            // Eight bytes of one half, eight of the other; unpacking parts them again.
            const __m512i index = _mm512_packus_epi16(
                _mm512_maskz_loadu_epi16(in_a, coordinates),
                _mm512_maskz_loadu_epi16(in_b, in_b != 0 ? coordinates + 32 : coordinates));
            const __m512i l = _mm512_permutex2var_epi8(low[0], index, low[1]);
            const __m512i h = _mm512_permutex2var_epi8(high[0], index, high[1]);
            a[c] = _mm512_unpacklo_epi8(l, h);
            b[c] = _mm512_unpackhi_epi8(l, h);
            best_a = _mm512_max_epu16(best_a, a[c]);
            best_b = _mm512_max_epu16(best_b, b[c]);
        }
        const std::uint64_t open_a = settle(a, best_a, bin, codes);
        if (in_b == 0) return open_a;
        return open_a | std::uint64_t{settle(b, best_b, bin + 32, codes + 32)} << 32;
    }
};
#endif

}  // namespace
}  // namespace slidekit::kernels::detail
