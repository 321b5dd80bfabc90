// DWTA of batches of rows, by quanta of 16 bits: lane = row, twice as many rows as there are floats
// in a vector.
//
// The largest quantum of a bin, then which candidates equal it: each adds its number to a tally, so
// that one sum tells who won, and whether more than one did. Three operations a candidate, on
// twice as many rows as a comparison of whole values takes three.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/hash.hpp>

#include "dwta-quantum-inl.hpp"
#include "lanes-inl.hpp"
#include "row-group-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

#ifdef __AVX2__
// Intrinsics: xsimd 8.1 has no sums under a mask, no rounding up as it converts, no byte shuffles.
// tally(t, v, best, add): t + add where v equals best.
template <class Arch>
struct WordLanes;

template <>
struct WordLanes<xsimd::fma3<xsimd::avx2>> {
    using Register = __m256i;
    static constexpr std::size_t kCount = 16;

    static Register all(int x) noexcept { return _mm256_set1_epi16(static_cast<short>(x)); }
    static Register load(const std::uint16_t* p) noexcept {
        return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
    }
    static void store(std::uint16_t* p, Register v) noexcept {
        _mm256_store_si256(reinterpret_cast<__m256i*>(p), v);
    }
    static Register max(Register a, Register b) noexcept { return _mm256_max_epu16(a, b); }
    static Register tally(Register t, Register v, Register best, Register add) noexcept {
        return _mm256_add_epi16(t, _mm256_and_si256(_mm256_cmpeq_epi16(v, best), add));
    }
    // A bit a lane.
    static std::uint32_t open(Register t, Register best, bool zeros_alone) noexcept {
        __m256i more = _mm256_cmpgt_epi16(t, all(15));
        if (zeros_alone)
            more = _mm256_andnot_si256(_mm256_cmpeq_epi16(best, _mm256_setzero_si256()), more);
        if (_mm256_testz_si256(more, more)) return 0;
        const __m128i bytes =
            _mm_packs_epi16(_mm256_castsi256_si128(more), _mm256_extracti128_si256(more, 1));
        return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes));
    }
    // Byte t & 7 of eight.
    static Register choose(const std::uint8_t* eight, Register t) noexcept {
        std::int64_t bytes;
        __builtin_memcpy(&bytes, eight, 8);
        return _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi64x(bytes), t), all(0xff));
    }
    static Register multiply_add(Register a, Register b, Register c) noexcept {
        return _mm256_add_epi16(_mm256_mullo_epi16(a, b), c);
    }
    static __m256i widen_half(const std::uint16_t* p) noexcept {
        return _mm256_cvtepu16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
    }
    // Eight quanta.
    static void store_quanta(std::uint16_t* p, __m256 x, Quantiser q) noexcept {
        const __m256 y = _mm256_fmadd_ps(x, _mm256_set1_ps(q.scale), _mm256_set1_ps(q.offset));
        const __m256i whole = _mm256_cvtps_epi32(_mm256_ceil_ps(y));
        _mm_store_si128(
            reinterpret_cast<__m128i*>(p),
            _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
    }
};

#ifdef __AVX512BW__
template <>
struct WordLanes<xsimd::avx512bw> {
    using Register = __m512i;
    static constexpr std::size_t kCount = 32;

    static Register all(int x) noexcept { return _mm512_set1_epi16(static_cast<short>(x)); }
    static Register load(const std::uint16_t* p) noexcept { return _mm512_load_si512(p); }
    static void store(std::uint16_t* p, Register v) noexcept { _mm512_store_si512(p, v); }
    static Register max(Register a, Register b) noexcept { return _mm512_max_epu16(a, b); }
    static Register tally(Register t, Register v, Register best, Register add) noexcept {
        return _mm512_mask_add_epi16(t, _mm512_cmpeq_epi16_mask(v, best), t, add);
    }
    static std::uint32_t open(Register t, Register best, bool zeros_alone) noexcept {
        const __mmask32 settled = zeros_alone ? _mm512_testn_epi16_mask(best, best) : 0;
        return _mm512_cmpgt_epi16_mask(t, all(15)) & ~settled;
    }
    static Register choose(const std::uint8_t* eight, Register t) noexcept {
        std::int64_t bytes;
        __builtin_memcpy(&bytes, eight, 8);
        return _mm512_maskz_shuffle_epi8(0x5555555555555555U, _mm512_set1_epi64(bytes), t);
    }
    static Register multiply_add(Register a, Register b, Register c) noexcept {
        return _mm512_add_epi16(_mm512_mullo_epi16(a, b), c);
    }
    static __m512i widen_half(const std::uint16_t* p) noexcept {
        return _mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static void store_quanta(std::uint16_t* p, __m512 x, Quantiser q) noexcept {
        const __m512 y = _mm512_fmadd_ps(x, _mm512_set1_ps(q.scale), _mm512_set1_ps(q.offset));
        const __m512i whole =
            _mm512_cvt_roundps_epi32(y, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
        _mm256_store_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(whole));
    }
};
#endif

// Of all rows from `first` on that a group holds, less the centre.
template <class Arch>
Quantiser quantiser_of_rows(RowMatrix<const float> rows,
                            std::size_t first,
                            std::size_t count,
                            const float* centre) noexcept {
    using Floats = Floats<Arch>;
    using Ints = Ints<Arch>;
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    // Bits without the sign: their order as whole numbers is that of magnitudes, NaN above all.
    Ints magnitude(0);
    Ints sign(0);
    for (std::size_t c = 0; c < rows.dim; c += kCount) {
        const std::size_t n = rows.dim - c < kCount ? rows.dim - c : kCount;
        const Floats shift =
            centre == nullptr ? Floats(0.0F) : Floats(Lanes<Arch>::load_first(centre + c, n));
        for (std::size_t r = first; r < first + count; ++r) {
            Floats x = n == kCount ? Floats::load_unaligned(rows.row(r) + c)
                                   : Floats(Lanes<Arch>::load_first(rows.row(r) + c, n));
            if (centre != nullptr) x = x - shift;
            const Ints bits = xsimd::bitwise_cast<Ints>(x);
            sign = sign | bits;
            magnitude = xsimd::max(magnitude, bits & Ints(0x7fffffff));
        }
    }
    alignas(64) std::int32_t m[kCount];
    alignas(64) std::int32_t s[kCount];
    magnitude.store_aligned(m);
    sign.store_aligned(s);
    std::int32_t largest = 0;
    std::int32_t any = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
        largest = m[i] > largest ? m[i] : largest;
        any |= s[i];
    }
    return {static_cast<std::uint32_t>(largest), any < 0};
}

// What candidate c adds to a tally, of 8 candidates: 8 + slot_of(c). All eight together come to
// slot 4, which is that of the first: who wins where all are equal.
constexpr std::size_t slot_of(std::size_t c) noexcept { return c == 0 ? 4 : c == 4 ? 0 : c; }

// A block of 16 bins, turned: eight numbers of each lie together.
struct BlockOfBins {
    static constexpr std::size_t kBins = 16;
    alignas(64) std::uint8_t positions[8 * kBins];  // by slot
    alignas(64) std::uint16_t coordinates[8 * kBins];

    BlockOfBins(const DwtaPlan& plan, std::size_t block) noexcept {
        __m128i p[8];
        __m128i low[8];
        __m128i high[8];
        for (std::size_t c = 0; c < 8; ++c) {
            p[slot_of(c)] = load(plan.positions + c * plan.bins + block);
            low[c] = load(plan.coordinates + c * plan.bins + block);
            high[c] = load(plan.coordinates + c * plan.bins + block + 8);
        }
        turn(low, coordinates);
        turn(high, coordinates + 64);
        // Of two slots, the bytes of a bin are a word.
        for (std::size_t i = 0; i < 4; ++i) {
            low[i] = _mm_unpacklo_epi8(p[2 * i], p[2 * i + 1]);
            high[i] = _mm_unpackhi_epi8(p[2 * i], p[2 * i + 1]);
        }
        turn_four(low, positions);
        turn_four(high, positions + 64);
    }

private:
    template <class T>
    static __m128i load(const T* p) noexcept {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    }
    // Eight words of each of eight.
    static void turn(const __m128i* q, std::uint16_t* out) noexcept {
        alignas(16) std::uint8_t half[2][64];
        turn_four(q, half[0]);
        turn_four(q + 4, half[1]);
        for (std::size_t i = 0; i < 4; ++i) {
            const __m128i a = load(half[0] + 16 * i);
            const __m128i b = load(half[1] + 16 * i);
            _mm_store_si128(reinterpret_cast<__m128i*>(out + 16 * i), _mm_unpacklo_epi64(a, b));
            _mm_store_si128(reinterpret_cast<__m128i*>(out + 16 * i + 8), _mm_unpackhi_epi64(a, b));
        }
    }
    // Eight words of each of four.
    static void turn_four(const __m128i* q, std::uint8_t* out) noexcept {
        const __m128i a[2] = {_mm_unpacklo_epi16(q[0], q[1]), _mm_unpackhi_epi16(q[0], q[1])};
        const __m128i b[2] = {_mm_unpacklo_epi16(q[2], q[3]), _mm_unpackhi_epi16(q[2], q[3])};
        for (std::size_t i = 0; i < 2; ++i) {
            __m128i* at = reinterpret_cast<__m128i*>(out + 32 * i);
            _mm_store_si128(at, _mm_unpacklo_epi32(a[i], b[i]));
            _mm_store_si128(at + 1, _mm_unpackhi_epi32(a[i], b[i]));
        }
    }
};

// Keys of a group of rows as they grow: codes gather in words, up to four, then move to 32 bits.
template <class Arch>
struct GrowingKeys {
    using Words = WordLanes<Arch>;
    typename Words::Register part = Words::all(0);
    Ints<Arch> key[2] = {Ints<Arch>(0), Ints<Arch>(0)};
    std::uint32_t in_part = 0;

    [[gnu::always_inline]] void append(typename Words::Register code,
                                       typename Words::Register factor,
                                       std::uint32_t shift) noexcept {
        part = Words::multiply_add(part, factor, code);
        if (++in_part == 4) flush(shift);
    }
    [[gnu::always_inline]] void flush(std::uint32_t shift) noexcept {
        alignas(64) std::uint16_t words[Words::kCount];
        Words::store(words, part);
        const auto bits = static_cast<std::int32_t>(shift * in_part);
        for (std::size_t half = 0; half < 2; ++half) {
            key[half] = (key[half] << bits) +
                        Ints<Arch>(Words::widen_half(words + half * Lanes<Arch>::kCount));
        }
        part = Words::all(0);
        in_part = 0;
    }
};

// Keys of a group of rows on their way out. Where the keys of a row lie together, as many tables as
// there are lanes are turned and go out a vector a row: one by one, they would take longer than the
// codes of a table do.
template <class Arch>
struct KeyWriter {
    static constexpr std::size_t kCount = Lanes<Arch>::kCount;
    std::uint32_t* keys = nullptr;  // of the group's first row
    KeyLayout layout;
    std::size_t rows = 0;    // up to 2 kCount
    std::size_t tables = 0;  // done
    alignas(64) std::int32_t waiting[2][kCount][kCount];

    void append(const Ints<Arch> (&key)[2]) noexcept {
        const std::size_t at = tables++ % kCount;
        for (std::size_t half = 0; half < 2; ++half) key[half].store_aligned(waiting[half][at]);
        if (at + 1 == kCount) write(kCount);
    }
    void finish() noexcept {
        if (tables % kCount != 0) write(tables % kCount);
    }

private:
    // The last n tables.
    void write(std::size_t n) noexcept {
        std::uint32_t* out = keys + (tables - n) * layout.table_stride;
        for (std::size_t half = 0; half < 2; ++half) {
            const std::size_t first = half * kCount;
            const std::size_t here = rows < first            ? 0
                                     : rows - first < kCount ? rows - first
                                                             : kCount;
            if (n == kCount && layout.table_stride == 1) {
                typename Floats<Arch>::register_type lanes[kCount];
                for (std::size_t t = 0; t < kCount; ++t) {
                    lanes[t] = xsimd::bitwise_cast<Floats<Arch>>(
                        Ints<Arch>::load_aligned(waiting[half][t]));
                }
                Lanes<Arch>::transpose(lanes);
                alignas(64) std::int32_t turned[kCount];
                for (std::size_t i = 0; i < here; ++i) {
                    xsimd::bitwise_cast<Ints<Arch>>(Floats<Arch>(lanes[i])).store_aligned(turned);
                    __builtin_memcpy(out + (first + i) * layout.row_stride, turned, sizeof(turned));
                }
                continue;
            }
            for (std::size_t t = 0; t < n; ++t) {
                for (std::size_t i = 0; i < here; ++i) {
                    out[(first + i) * layout.row_stride + t * layout.table_stride] =
                        static_cast<std::uint32_t>(waiting[half][t][i]);
                }
            }
        }
    }
};

// Asks for the rows of the next group, a few lines at a time, while this one is hashed.
struct NextRows {
    RowMatrix<const float> rows;
    std::size_t row;
    std::size_t end;
    std::size_t at = 0;

    [[gnu::always_inline]] void ask() noexcept {
        constexpr std::size_t kLine = 16;
        if (row >= end) return;
        __builtin_prefetch(rows.row(row) + at);
        at += kLine;
        if (at < rows.dim) return;
        at = 0;
        ++row;
    }
};

// The group of rows from `first` on, `count` of them. False where too many bins are open: the keys
// are then to be made otherwise.
template <class Arch>
bool hash_dwta_quantised(const DwtaPlan& plan,
                         RowMatrix<const float> rows,
                         std::size_t first,
                         std::size_t count,
                         const float* centre,
                         std::uint32_t* keys,
                         KeyLayout layout,
                         std::uint16_t* table) noexcept {
    using Words = WordLanes<Arch>;
    using Register = typename Words::Register;
    constexpr std::size_t kRows = Words::kCount;
    constexpr std::size_t kHalf = Lanes<Arch>::kCount;
    constexpr std::size_t kBlock = 16;  // plan.bins is a multiple of it
    constexpr std::size_t kCandidates = DwtaPlan::kBinSize;
    const Quantiser quantiser = quantiser_of_rows<Arch>(rows, first, count, centre);
    if (!quantiser.usable) return false;
    const RowMatrix<const float> up_to{rows.data, first + count, rows.dim, rows.stride};
    for (std::size_t half = 0; half < 2; ++half) {
        if (half == 1 && count <= kHalf) break;
        transpose_group<Arch>(up_to, first + half * kHalf, centre, [=](std::size_t c, auto x) {
            Words::store_quanta(table + c * kRows + half * kHalf, x, quantiser);
        });
    }
    const std::uint32_t inside = count < 32 ? (std::uint32_t{1} << count) - 1 : 0xffffffffU;
    std::size_t may_be_open = 8 * kRows;
    KeyWriter<Arch> out;
    out.keys = keys + first * layout.row_stride;
    out.layout = layout;
    out.rows = count;
    const std::size_t next = first + count;
    NextRows ahead{rows, next, rows.rows - next < kRows ? rows.rows : next + kRows};
    const Register factor = Words::all(1 << plan.shift);
    GrowingKeys<Arch> growing;
    std::size_t code_of_key = 0;
    const std::size_t bins = std::size_t{plan.k} * plan.l;
    const std::uint32_t k = plan.k;
    const std::uint32_t shift = plan.shift;
    const std::size_t lines_a_block = kRows * (rows.dim / 16 + 1) / (plan.bins / kBlock) + 1;
    for (std::size_t block = 0; block < bins; block += kBlock) {
        const BlockOfBins here(plan, block);
        for (std::size_t i = 0; i < lines_a_block; ++i) ahead.ask();

        const std::size_t in_block = bins - block < kBlock ? bins - block : kBlock;
        for (std::size_t b = 0; b < in_block; ++b) {
            const std::uint16_t* coordinates = here.coordinates + 8 * b;
            Register value[kCandidates];
            for (std::size_t c = 0; c < kCandidates; ++c)
                value[c] = Words::load(table + std::size_t{coordinates[c]} * kRows);
            Register best = value[0];
            for (std::size_t c = 1; c < kCandidates; ++c) best = Words::max(best, value[c]);
            Register tally = Words::all(0);
            for (std::size_t c = 0; c < kCandidates; ++c) {
                tally = Words::tally(
                    tally, value[c], best, Words::all(static_cast<int>(8 + slot_of(c))));
            }
            Register code = Words::choose(here.positions + 8 * b, tally);
            const std::uint32_t open = Words::open(tally, best, quantiser.zeros_alone) & inside;
            if (__builtin_expect(open != 0, 0)) {
                alignas(64) std::uint16_t codes[kRows];
                Words::store(codes, code);
                for (std::uint32_t left = open; left != 0; left &= left - 1) {
                    if (may_be_open-- == 0) return false;
                    const auto i = static_cast<std::size_t>(__builtin_ctz(left));
                    codes[i] = code_of_bin(plan, rows.row(first + i), centre, block + b);
                }
                code = Words::load(codes);
            }
            growing.append(code, factor, shift);
            if (++code_of_key < k) continue;
            if (growing.in_part != 0) growing.flush(shift);
            out.append(growing.key);
            growing = {};
            code_of_key = 0;
        }
    }
    out.finish();
    return true;
}
#endif

}  // namespace
}  // namespace slidekit::kernels::detail
