// Candidates without repeats, which one plain body finds on every level (scalar-dedup-inl.hpp says
// why), and selection by small counts: a threshold, and the k largest.
//
// The k-th largest count is found as select_top_k finds the k-th largest score, by bisection: six
// passes where 50 tables were looked up. A histogram would wait on itself, because most counts are
// 1.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/dedup.hpp>

#include "lanes-inl.hpp"
#include "scalar-dedup-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

template <class Arch>
std::size_t dedup_ids(const std::uint32_t* ids,
                      std::size_t count,
                      std::uint16_t stamp,
                      std::uint16_t* stamps,
                      std::size_t bound,
                      std::uint32_t* out) noexcept {
    return detail::dedup_ids(ids, count, stamp, stamps, bound, out);
}

template <class Arch>
std::size_t dedup_buckets(BucketsView buckets,
                          std::uint16_t stamp,
                          std::uint16_t* stamps,
                          std::size_t bound,
                          std::uint32_t* out) noexcept {
    return detail::dedup_buckets(buckets, stamp, stamps, bound, out);
}

template <class Arch>
std::size_t count_ids(const std::uint32_t* ids,
                      std::size_t count,
                      std::uint16_t base,
                      std::uint16_t* stamps,
                      std::size_t bound,
                      std::uint32_t* out,
                      std::uint16_t* counts) noexcept {
    return detail::count_ids(ids, count, base, stamps, bound, out, counts);
}

template <class Arch>
std::size_t count_buckets(BucketsView buckets,
                          std::uint16_t base,
                          std::uint16_t* stamps,
                          std::size_t bound,
                          std::uint32_t* out,
                          std::uint16_t* counts) noexcept {
    return detail::count_buckets(buckets, base, stamps, bound, out, counts);
}

// Counts, kCount at a time: which of them reach a bound, and the positions of these. Here without
// SIMD. Intrinsics below, because masks have to become bits and bits positions.
template <class Arch>
struct CountLanes {
    static constexpr std::size_t kCount = 16;

    static std::uint32_t reaching(const std::uint16_t* counts, std::uint16_t least) noexcept {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < kCount; ++i) bits |= (counts[i] >= least ? 1U : 0U) << i;
        return bits;
    }
    static std::size_t reach(const std::uint16_t* counts, std::uint16_t least) noexcept {
        std::size_t n = 0;
        for (std::size_t i = 0; i < kCount; ++i) n += counts[i] >= least ? 1U : 0U;
        return n;
    }
    // first + the number of each bit that is set.
    static void append(std::uint32_t* positions, std::uint32_t first, std::uint32_t bits) noexcept {
        for (; bits != 0; bits &= bits - 1)
            *positions++ = first + static_cast<std::uint32_t>(std::countr_zero(bits));
    }
};

#ifdef __AVX2__
template <>
struct CountLanes<xsimd::fma3<xsimd::avx2>> {
    static constexpr std::size_t kCount = 16;

    // All ones where a count reaches: AVX2 compares no unsigned numbers, but takes their maximum.
    static __m256i mask(const std::uint16_t* counts, std::uint16_t least) noexcept {
        const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(counts));
        const __m256i bound = _mm256_set1_epi16(static_cast<std::int16_t>(least));
        return _mm256_cmpeq_epi16(_mm256_max_epu16(x, bound), x);
    }
    static std::uint32_t reaching(const std::uint16_t* counts, std::uint16_t least) noexcept {
        const __m256i reached = mask(counts, least);
        const __m128i bytes =
            _mm_packs_epi16(_mm256_castsi256_si128(reached), _mm256_extracti128_si256(reached, 1));
        return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes));
    }
    static std::size_t reach(const std::uint16_t* counts, std::uint16_t least) noexcept {
        const int bits = _mm256_movemask_epi8(mask(counts, least));  // two a count
        return static_cast<std::size_t>(std::popcount(static_cast<std::uint32_t>(bits))) / 2;
    }
    static void append(std::uint32_t* positions, std::uint32_t first, std::uint32_t bits) noexcept {
        for (; bits != 0; bits &= bits - 1)
            *positions++ = first + static_cast<std::uint32_t>(std::countr_zero(bits));
    }
};
#endif

#ifdef __AVX512BW__
template <>
struct CountLanes<xsimd::avx512bw> {
    static constexpr std::size_t kCount = 32;

    static std::uint32_t reaching(const std::uint16_t* counts, std::uint16_t least) noexcept {
        const __m512i bound = _mm512_set1_epi16(static_cast<std::int16_t>(least));
        return _mm512_cmpge_epu16_mask(_mm512_loadu_si512(counts), bound);
    }
    static std::size_t reach(const std::uint16_t* counts, std::uint16_t least) noexcept {
        return static_cast<std::size_t>(std::popcount(reaching(counts, least)));
    }
    // Compressed in a register, then stored: to memory, vpcompressd is microcode on Zen 4.
    static std::size_t append_half(std::uint32_t* positions,
                                   std::uint32_t first,
                                   std::uint32_t bits) noexcept {
        const __m512i lane =
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        const __m512i all = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(first)), lane);
        const auto n = static_cast<std::size_t>(std::popcount(bits));
        _mm512_mask_storeu_epi32(positions,
                                 Lanes<xsimd::avx512bw>::first(n),
                                 _mm512_maskz_compress_epi32(static_cast<__mmask16>(bits), all));
        return n;
    }
    static void append(std::uint32_t* positions, std::uint32_t first, std::uint32_t bits) noexcept {
        const std::size_t n = append_half(positions, first, bits & 0xffff);
        append_half(positions + n, first + 16, bits >> 16);
    }
};
#endif

// How many counts reach `least`.
template <class Arch>
std::size_t count_reaching(const std::uint16_t* counts,
                           std::size_t count,
                           std::uint16_t least) noexcept {
    using Lanes = CountLanes<Arch>;
    std::size_t n = 0;
    std::size_t i = 0;
    for (; i + Lanes::kCount <= count; i += Lanes::kCount) n += Lanes::reach(counts + i, least);
    for (; i < count; ++i) n += counts[i] >= least ? 1U : 0U;
    return n;
}

// Those that reach `least`, but of those that are just `least` the first `ties` only.
template <class Arch>
std::size_t list_reaching(const std::uint16_t* counts,
                          std::size_t count,
                          std::uint16_t least,
                          std::size_t ties,
                          std::uint32_t* positions) noexcept {
    using Lanes = CountLanes<Arch>;
    std::size_t n = 0;
    std::size_t i = 0;
    // While whole vectors' worth of ties are left, all that reach are taken.
    const auto taken_of = [&](std::uint32_t reaching, std::uint32_t above) {
        std::uint32_t level = reaching & ~above;
        const auto tied = static_cast<std::size_t>(std::popcount(level));
        if (tied <= ties) {
            ties -= tied;
            return reaching;
        }
        for (; ties > 0; --ties) {
            above |= level & (0U - level);
            level &= level - 1;
        }
        return above;
    };
    const auto past = static_cast<std::uint16_t>(least + 1);  // 0 past 65535, which is no bound
    for (; i + Lanes::kCount <= count; i += Lanes::kCount) {
        const std::uint32_t reaching = Lanes::reaching(counts + i, least);
        if (reaching == 0) continue;
        const std::uint32_t above = past == 0 ? 0 : Lanes::reaching(counts + i, past);
        const std::uint32_t taken = taken_of(reaching, above);
        Lanes::append(positions + n, static_cast<std::uint32_t>(i), taken);
        n += static_cast<std::size_t>(std::popcount(taken));
    }
    for (; i < count; ++i) {
        const std::uint32_t taken =
            taken_of(counts[i] >= least ? 1U : 0U, counts[i] > least ? 1U : 0U);
        if (taken != 0) positions[n++] = static_cast<std::uint32_t>(i);
    }
    return n;
}

template <class Arch>
std::size_t select_counted(const std::uint16_t* counts,
                           std::size_t count,
                           std::uint16_t least,
                           std::uint32_t* positions) noexcept {
    using Lanes = CountLanes<Arch>;
    std::size_t n = 0;
    std::size_t i = 0;
    for (; i + Lanes::kCount <= count; i += Lanes::kCount) {
        const std::uint32_t reaching = Lanes::reaching(counts + i, least);
        Lanes::append(positions + n, static_cast<std::uint32_t>(i), reaching);
        n += static_cast<std::size_t>(std::popcount(reaching));
    }
    for (; i < count; ++i) {
        if (counts[i] >= least) positions[n++] = static_cast<std::uint32_t>(i);
    }
    return n;
}

template <class Arch>
std::size_t select_top_counts(const std::uint16_t* counts,
                              std::size_t count,
                              std::size_t k,
                              std::uint32_t* positions) noexcept {
    if (k >= count) {
        for (std::size_t i = 0; i < count; ++i) positions[i] = static_cast<std::uint32_t>(i);
        return count;
    }
    if (k == 0) return 0;
    std::uint16_t high = 0;
    for (std::size_t i = 0; i < count; ++i) high = counts[i] > high ? counts[i] : high;
    // Invariant: at least k counts reach `low`, fewer than k pass `high`.
    std::uint16_t low = 0;
    while (low < high) {
        const auto middle = static_cast<std::uint16_t>(high - (high - low) / 2);
        const std::size_t reach = count_reaching<Arch>(counts, count, middle);
        if (reach == k) return select_counted<Arch>(counts, count, middle, positions);
        if (reach > k) {
            low = middle;
        } else {
            high = static_cast<std::uint16_t>(middle - 1);
        }
    }
    const std::size_t above =
        low == 0xffff ? 0
                      : count_reaching<Arch>(counts, count, static_cast<std::uint16_t>(low + 1));
    return list_reaching<Arch>(counts, count, low, k - above, positions);
}

}  // namespace
}  // namespace slidekit::kernels::detail
