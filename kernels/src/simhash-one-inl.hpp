// SimHash of one vector, and projections that are kept.
//
// The sign of a projection rarely hangs on its last bits: a sum of the coordinates rounded to 8
// bits, which bytes add up exactly and in any order, decides it unless it is closer to zero than
// rounding can take it (1 in 20, for a normal vector). The rest is summed as the oracle does.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/projections.hpp>

#include "key-stream-inl.hpp"
#include "lanes-inl.hpp"
#include "simd-inl.hpp"
#include "simhash-coefficients-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// --- by terms ---

// Calls take(i, sum) with the sum of projection bit(i), i < n; value(term) is a coordinate with its
// sign. No lanes: terms lie by projection, and turning them for 16 projections at once costs what
// it saves, since scalar loads run at three or four a cycle. Eight sums at once, the last of them
// over again where fewer are left: one sum alone waits for each of its additions.
template <class Value, class Bit, class Take>
[[gnu::always_inline]] inline void project_each(
    const SimHashPlan& plan, Value value, std::size_t n, Bit bit, Take take) noexcept {
    constexpr std::size_t kAtOnce = 8;
    for (std::size_t first = 0; first < n; first += kAtOnce) {
        const std::uint16_t* terms[kAtOnce];
        float sums[kAtOnce];
        for (std::size_t p = 0; p < kAtOnce; ++p) {
            terms[p] = plan.terms + bit(first + p < n ? first + p : n - 1) * plan.nonzeros;
            sums[p] = 0;
        }
        for (std::size_t j = 0; j < plan.nonzeros; ++j) {
            for (std::size_t p = 0; p < kAtOnce; ++p) sums[p] += value(terms[p][j]);
        }
        for (std::size_t p = 0; p < kAtOnce && first + p < n; ++p) take(first + p, sums[p]);
    }
}

// Up to this many coordinates are laid down with both signs, so that a term is one load wherever it
// points.
inline constexpr std::size_t kSignedTableDim = 512;

template <class Bit, class Take>
void project_each(
    const SimHashPlan& plan, const float* x, std::size_t n, Bit bit, Take take) noexcept {
    const std::size_t dim = plan.dim;
    if (dim > kSignedTableDim) {
        const auto value = [=](std::size_t c) { return c < dim ? x[c] : -x[c - dim]; };
        project_each(plan, value, n, bit, take);
        return;
    }
    float table[2 * kSignedTableDim];
    for (std::size_t c = 0; c < dim; ++c) {
        table[c] = x[c];
        table[dim + c] = -x[c];
    }
    project_each(
        plan, [&](std::size_t c) { return table[c]; }, n, bit, take);
}

template <class Arch>
void project_simhash(const SimHashPlan& plan, const float* x, float* projections) noexcept {
    project_each(
        plan,
        x,
        std::size_t{plan.k} * plan.l,
        [](std::size_t i) { return i; },
        [=](std::size_t i, float sum) { projections[i] = sum; });
}

// --- by bytes ---

// Sums of products of four unsigned and four signed bytes a lane of 32 bits. Here in two halves of
// 16 bits until the end, which saves an addition a step. They may wrap on the way, but not in the
// end: of n coefficients +1 or -1, n <= 127, those of one half add up to 128 n at most, the
// coefficient that takes the 128s off included, those of the other half to 255 n.
template <class Arch>
struct QuadSums;

#ifdef __AVX2__
template <>
struct QuadSums<Avx2> {
    static __m256i add(__m256i sums, __m256i x, const std::int8_t* coefficients) noexcept {
        const __m256i c = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(coefficients));
        return _mm256_add_epi16(sums, _mm256_maddubs_epi16(x, c));
    }
    static __m256i join(__m256i sums) noexcept {
        return _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
    }
    static std::uint32_t above(Ints<Avx2> a, std::int32_t b) noexcept {
        return Lanes<Avx2>::bits(_mm256_castsi256_ps(_mm256_cmpgt_epi32(a, _mm256_set1_epi32(b))));
    }
};
#endif
#ifdef __AVX512BW__
template <>
struct QuadSums<Avx512> {
    static __m512i add(__m512i sums, __m512i x, const std::int8_t* coefficients) noexcept {
        return _mm512_add_epi16(sums, _mm512_maddubs_epi16(x, _mm512_loadu_si512(coefficients)));
    }
    static __m512i join(__m512i sums) noexcept {
        return _mm512_madd_epi16(sums, _mm512_set1_epi16(1));
    }
    static std::uint32_t above(Ints<Avx512> a, std::int32_t b) noexcept {
        return _mm512_cmpgt_epi32_mask(a, _mm512_set1_epi32(b));
    }
};
#endif

// The bits of each byte in reverse: the code of lane 0 becomes the most significant.
inline std::uint64_t reverse_in_bytes(std::uint64_t x) noexcept {
    constexpr std::uint64_t kOdd = 0x5555555555555555U;
    constexpr std::uint64_t kPairs = 0x3333333333333333U;
    constexpr std::uint64_t kFours = 0x0f0f0f0f0f0f0f0fU;
    x = (x >> 1 & kOdd) | (x & kOdd) << 1;
    x = (x >> 2 & kPairs) | (x & kPairs) << 2;
    return (x >> 4 & kFours) | (x & kFours) << 4;
}

// A vector in bytes: coordinate * scale, rounded, + 128; then 128 for the coefficient that takes
// the sum of the 128s off again.
struct ByteVector {
    // Up to this many terms, halves of sums stay within 16 bits: see QuadSums.
    static constexpr std::size_t kMostNonzeros = 127;
    alignas(64) std::uint8_t bytes[kSignedTableDim + 64];
    std::size_t quads = 0;
};

template <class Arch>
std::int32_t largest_image(const float* x, std::size_t dim) noexcept {
    Ints<Arch> largest(0);
    for (std::size_t c = 0; c < dim; c += kLanes<Arch>) {
        const std::size_t n = dim - c < kLanes<Arch> ? dim - c : kLanes<Arch>;
        const Floats<Arch> v = Lanes<Arch>::load_first(x + c, n);
        largest = xsimd::max(largest, xsimd::bitwise_cast<Ints<Arch>>(v) & Ints<Arch>(0x7fffffff));
    }
    alignas(64) std::int32_t lanes[kLanes<Arch>];
    largest.store_aligned(lanes);
    std::int32_t image = 0;
    for (const std::int32_t lane : lanes) image = lane > image ? lane : image;
    return image;
}

// False for vectors whose sums could overflow, and for those too small to scale.
template <class Arch>
bool to_bytes(const float* x, std::size_t dim, ByteVector& out) noexcept {
    // Images of magnitudes are in their order, and those of infinity and NaN above all.
    const float largest = std::bit_cast<float>(largest_image<Arch>(x, dim));
    if (!(largest >= 1e-30F && largest <= 1e30F)) return false;
    const Floats<Arch> scale(127 / largest);
    // Near 1.5 * 2^23 floats are whole numbers, one unit of the last place apart.
    const Floats<Arch> whole(12582912.0F);
    for (std::size_t c = 0; c < dim; c += kLanes<Arch>) {
        const std::size_t n = dim - c < kLanes<Arch> ? dim - c : kLanes<Arch>;
        const Floats<Arch> rounded =
            Floats<Arch>(Lanes<Arch>::load_first(x + c, n)) * scale + whole;
        const Ints<Arch> units =
            xsimd::bitwise_cast<Ints<Arch>>(rounded) - xsimd::bitwise_cast<Ints<Arch>>(whole);
        Lanes<Arch>::store_bytes(out.bytes + c, units, kLanes<Arch>);
    }
    out.quads = (dim + 3) / 4 + 1;
    const std::uint32_t zeros = 0;
    __builtin_memcpy(out.bytes + dim, &zeros, sizeof(zeros));
    __builtin_memcpy(out.bytes + 4 * (out.quads - 1), &zeros, sizeof(zeros));
    for (std::size_t q = 0; q < out.quads; ++q) {
        std::uint32_t four = 0;
        __builtin_memcpy(&four, out.bytes + 4 * q, sizeof(four));
        four ^= 0x80808080U;
        __builtin_memcpy(out.bytes + 4 * q, &four, sizeof(four));
    }
    return true;
}

// Codes of projections `first` .. first + kVectors * kLanes - 1, and which of them are in doubt.
template <class Arch, std::size_t kVectors>
SLIDEKIT_INLINE inline void sum_bytes(const ByteVector& x,
                                      const std::int8_t* coefficients,
                                      std::int32_t doubt,
                                      std::uint64_t& codes,
                                      std::uint64_t& doubtful) noexcept {
    using Register = typename Ints<Arch>::register_type;
    Register sums[kVectors];
    for (Register& sum : sums) sum = Ints<Arch>(0);
    for (std::size_t q = 0; q < x.quads; ++q) {
        std::int32_t four = 0;
        __builtin_memcpy(&four, x.bytes + 4 * q, 4);
        const Ints<Arch> all(four);
        for (std::size_t i = 0; i < kVectors; ++i) {
            const std::size_t at =
                (i * kLanes<Arch> / 16 * x.quads + q) * 16 + i * kLanes<Arch> % 16;
            sums[i] = QuadSums<Arch>::add(sums[i], all, coefficients + at * 4);
        }
    }
    for (std::size_t i = 0; i < kVectors; ++i) {
        const Ints<Arch> sum = QuadSums<Arch>::join(sums[i]);
        const std::uint64_t above = QuadSums<Arch>::above(sum, doubt);
        const std::uint64_t not_below = QuadSums<Arch>::above(sum, -doubt - 1);
        codes |= above << i * kLanes<Arch>;
        doubtful |= (not_below & ~above) << i * kLanes<Arch>;
    }
}

// Codes of up to 1024 projections, 64 a word, and the list of those in doubt.
struct Codes {
    static constexpr std::size_t kMost = 1024;
    static constexpr std::size_t kWord = 64;
    std::uint64_t words[kMost / kWord];
    std::uint16_t doubts[kMost];
    std::size_t doubt_count = 0;

    void doubt(std::size_t word, std::uint64_t bits) noexcept {
        for (; bits != 0; bits &= bits - 1) {
            const auto bit = static_cast<std::size_t>(std::countr_zero(bits));
            doubts[doubt_count++] = static_cast<std::uint16_t>(word * kWord + bit);
        }
    }
};

// The first n codes of those whose coefficients start at `coefficients`.
template <class Arch>
void find_codes(const ByteVector& x,
                const std::int8_t* coefficients,
                std::int32_t doubt,
                std::size_t n,
                Codes& out) noexcept {
    constexpr std::size_t kStep = 16;
    for (std::size_t first = 0; first < n; first += Codes::kWord) {
        const std::size_t here = n - first < Codes::kWord ? n - first : Codes::kWord;
        std::uint64_t codes = 0;
        std::uint64_t doubtful = 0;
        if (here == Codes::kWord) {
            sum_bytes<Arch, Codes::kWord / kLanes<Arch>>(
                x, coefficients + first * x.quads * 4, doubt, codes, doubtful);
        }
        for (std::size_t b = 0; here < Codes::kWord && b < here; b += kStep) {
            std::uint64_t some = 0;
            std::uint64_t some_doubtful = 0;
            sum_bytes<Arch, kStep / kLanes<Arch>>(
                x, coefficients + (first + b) * x.quads * 4, doubt, some, some_doubtful);
            codes |= some << b;
            doubtful |= some_doubtful << b;
        }
        out.words[first / Codes::kWord] = codes;
        out.doubt(first / Codes::kWord, doubtful & ~std::uint64_t{0} >> (Codes::kWord - here));
    }
}

template <class Arch>
void hash_simhash(const SimHashPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    const std::size_t bits = std::size_t{plan.k} * plan.l;
    ByteVector bytes;
    const bool by_bytes = plan.coefficients != nullptr && plan.dim <= kSignedTableDim &&
                          plan.nonzeros <= ByteVector::kMostNonzeros &&
                          to_bytes<Arch>(x, plan.dim, bytes);
    // Half a unit a term for rounding to bytes, and less than 1e-5 more for that of the product
    // with the scale; the oracle's own sums err by 2^-24 of their magnitude, 127 units a term, each
    // time.
    const double n = plan.nonzeros;
    const std::int32_t doubt = static_cast<std::int32_t>(n * 0.50001 + n * n * 8e-6);

    KeyStream<Arch> stream(plan.k, plan.l, keys, 1);
    for (std::size_t first = 0; first < bits; first += Codes::kMost) {
        const std::size_t here = bits - first < Codes::kMost ? bits - first : Codes::kMost;
        Codes codes;
        if (by_bytes) {
            find_codes<Arch>(
                bytes, plan.coefficients + first * bytes.quads * 4, doubt, here, codes);
        } else {
            for (std::uint64_t& word : codes.words) word = 0;
            for (; codes.doubt_count < here; ++codes.doubt_count) {
                codes.doubts[codes.doubt_count] = static_cast<std::uint16_t>(codes.doubt_count);
            }
        }
        project_each(
            plan,
            x,
            codes.doubt_count,
            [&](std::size_t i) { return first + codes.doubts[i]; },
            [&](std::size_t i, float sum) {
                const std::size_t bit = codes.doubts[i];
                codes.words[bit / Codes::kWord] |= std::uint64_t{sum > 0} << bit % Codes::kWord;
            });
        for (std::size_t bit = 0; bit < here; bit += Codes::kWord) {
            const std::uint64_t word = reverse_in_bytes(codes.words[bit / Codes::kWord]);
            __builtin_memcpy(stream.extend(sizeof(word)), &word, sizeof(word));
        }
    }
    stream.finish();
}

// --- projections kept ---

template <class Arch>
void expand_simhash(const SimHashPlan& plan, std::int8_t* coefficients) noexcept {
    expand_terms(plan, coefficients);
}

template <class Arch>
void update_projections(const ProjectionPlan& plan,
                        SparseView change,
                        float* projections) noexcept {
    const std::size_t quads = std::size_t{plan.dim + 3} / 4 + 1;
    for_blocks<Arch, 8>(std::size_t{plan.k} * plan.l, [=](auto block, std::size_t first) {
        Floats<Arch> sums[block.kCount];
        for (std::size_t i = 0; i < block.kCount; ++i) sums[i] = block.load(projections + first, i);
        for (std::size_t j = 0; j < change.nnz; ++j) {
            const std::size_t c = change.ids[j];
            const Floats<Arch> value(change.values[j]);
            const std::int8_t* const of_c = plan.coefficients + c / 4 * 64;
            const std::int32_t above = 24 - 8 * static_cast<std::int32_t>(c % 4);
            for (std::size_t i = 0; i < block.kCount; ++i) {
                const std::size_t bit = first + i * kLanes<Arch>;
                const std::int8_t* const fours = of_c + (bit / 16 * quads * 16 + bit % 16) * 4;
                const Ints<Arch> all =
                    Ints<Arch>::load_unaligned(reinterpret_cast<const std::int32_t*>(fours));
                // The product by 1, 0 or -1 is exact, so fusing it rounds as the oracle does.
                sums[i] = fused_add(xsimd::to_float((all << above) >> 24), value, sums[i]);
            }
        }
        for (std::size_t i = 0; i < block.kCount; ++i) block.store(projections + first, i, sums[i]);
    });
}

template <class Arch>
void hash_projections(const float* projections,
                      const float* centre,
                      std::uint32_t k,
                      std::uint32_t l,
                      std::uint32_t* keys) noexcept {
    constexpr std::size_t kBlock = 64;
    KeyStream<Arch> stream(k, l, keys, 1);
    const std::size_t bits = std::size_t{k} * l;
    for (std::size_t first = 0; first < bits; first += kBlock) {
        const std::size_t here = bits - first < kBlock ? bits - first : kBlock;
        std::uint64_t codes = 0;
        for (std::size_t b = 0; b < here; b += kLanes<Arch>) {
            const std::size_t n = here - b < kLanes<Arch> ? here - b : kLanes<Arch>;
            const Floats<Arch> v = Lanes<Arch>::load_first(projections + first + b, n);
            Floats<Arch> zero(0.0F);
            if (centre != nullptr) zero = Lanes<Arch>::load_first(centre + first + b, n);
            codes |= std::uint64_t{Lanes<Arch>::bits(v > zero)} << b;
        }
        const std::uint64_t word = reverse_in_bytes(codes);
        __builtin_memcpy(stream.extend(kBlock / 8), &word, sizeof(word));
    }
    stream.finish();
}

}  // namespace
}  // namespace slidekit::kernels::detail
