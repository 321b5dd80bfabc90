// The k best of a list, and the few of a block that pass a threshold.
//
// The k-th largest score is found by bisection over whole numbers in the order of the floats: a
// pass counts how many scores reach the middle. Scores rarely crowd, so a middle that exactly k of
// them reach turns up after some 15 passes and ends the search. Nothing is copied or sorted; a list
// of thousands stays in L1.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <slidekit/kernels/topk.hpp>

#include "lanes-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Floats as unsigned numbers in the same order, and back. Not for NaN. -0 comes just before 0:
// harmless, since scores are compared as floats.
inline std::uint32_t ascending_image(float x) noexcept {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
    return bits >> 31 != 0 ? ~bits : bits | 0x80000000U;
}
inline float from_ascending_image(std::uint32_t image) noexcept {
    return std::bit_cast<float>(image >> 31 != 0 ? image & 0x7fffffffU : ~image);
}

// Calls step(i, lanes) on scores i, i + 1, ...; NaN, which passes no comparison, fills the last
// lanes up.
template <class Arch, class Step>
[[gnu::always_inline]] inline void for_lanes(const float* scores,
                                             std::size_t count,
                                             Step step) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    const std::size_t whole = count - count % kCount;
    for (std::size_t i = 0; i < whole; i += kCount)
        step(i, Floats<Arch>::load_unaligned(scores + i));
    if (whole == count) return;
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    step(whole, Floats<Arch>(Lanes<Arch>::load_first(scores + whole, count - whole, kNan)));
}

// How many scores reach `least`. Counted in lanes, four vectors at a time: masks moved to whole
// numbers one by one would take twice as long.
template <class Arch>
std::size_t count_from(const float* scores, std::size_t count, float least) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    constexpr std::size_t kUnroll = 4;
    const Floats<Arch> bound(least);
    Ints<Arch> counts[kUnroll] = {Ints<Arch>(0), Ints<Arch>(0), Ints<Arch>(0), Ints<Arch>(0)};
    std::size_t i = 0;
    for (; i + kUnroll * kCount <= count; i += kUnroll * kCount) {
        for (std::size_t u = 0; u < kUnroll; ++u) {
            const auto reached =
                xsimd::bool_cast(Floats<Arch>::load_unaligned(scores + i + u * kCount) >= bound);
            counts[u] = xsimd::select(reached, counts[u] + Ints<Arch>(1), counts[u]);
        }
    }
    std::size_t n = 0;
    for_lanes<Arch>(scores + i, count - i, [&](std::size_t, Floats<Arch> x) {
        n += static_cast<std::size_t>(std::popcount(Lanes<Arch>::bits(x >= bound)));
    });
    alignas(64) std::int32_t lanes[kCount];
    ((counts[0] + counts[1]) + (counts[2] + counts[3])).store_aligned(lanes);
    for (const std::int32_t lane : lanes) n += static_cast<std::size_t>(lane);
    return n;
}

struct Range {
    float least;
    float largest;
};

// Of the numbers among the scores; infinities the wrong way round where there is none.
template <class Arch>
Range range_of(const float* scores, std::size_t count) noexcept {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    Floats<Arch> least(kInfinity);
    Floats<Arch> largest(-kInfinity);
    for_lanes<Arch>(scores, count, [&](std::size_t, Floats<Arch> x) {
        least = xsimd::select(x < least, x, least);
        largest = xsimd::select(x > largest, x, largest);
    });
    alignas(64) float low[Lanes<Arch>::kCount];
    alignas(64) float high[Lanes<Arch>::kCount];
    least.store_aligned(low);
    largest.store_aligned(high);
    Range range{kInfinity, -kInfinity};
    for (std::size_t i = 0; i < Lanes<Arch>::kCount; ++i) {
        range.least = low[i] < range.least ? low[i] : range.least;
        range.largest = high[i] > range.largest ? high[i] : range.largest;
    }
    return range;
}

// What to take: all scores above the bound, and the first `ties` of those level with it.
struct Cut {
    float bound;
    std::size_t ties;
};

// Requires: at least k >= 1 of the scores are numbers.
template <class Arch>
Cut find_cut(const float* scores, std::size_t count, std::size_t k) noexcept {
    // Invariant: at least k scores reach `low`, fewer than k pass `high`.
    const Range range = range_of<Arch>(scores, count);
    std::uint32_t low = ascending_image(range.least);
    std::uint32_t high = ascending_image(range.largest);
    while (low < high) {
        const std::uint32_t middle = high - (high - low) / 2;
        const std::size_t reach = count_from<Arch>(scores, count, from_ascending_image(middle));
        if (reach == k) return {from_ascending_image(middle), count};
        if (reach > k) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    const float bound = from_ascending_image(low);
    std::size_t above = 0;
    for_lanes<Arch>(scores, count, [&, lanes = Floats<Arch>(bound)](std::size_t, Floats<Arch> x) {
        above += static_cast<std::size_t>(std::popcount(Lanes<Arch>::bits(x > lanes)));
    });
    return {bound, k - above};
}

// The lowest n bits that are set.
inline std::uint32_t lowest_bits(std::uint32_t bits, std::size_t n) noexcept {
    std::uint32_t lowest = 0;
    for (; n > 0 && bits != 0; --n) {
        lowest |= bits & (0U - bits);
        bits &= bits - 1;
    }
    return lowest;
}

template <class Arch>
std::size_t select_top_k(const float* scores,
                         std::size_t count,
                         std::size_t k,
                         std::uint32_t* positions) noexcept {
    if (k >= count) {
        for (std::size_t i = 0; i < count; ++i) positions[i] = static_cast<std::uint32_t>(i);
        return count;
    }
    if (k == 0) return 0;
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const std::size_t numbers = count_from<Arch>(scores, count, -kInfinity);
    std::size_t nans = k > numbers ? k - numbers : 0;
    Cut cut = nans > 0 ? Cut{-kInfinity, count} : find_cut<Arch>(scores, count, k);

    std::size_t taken = 0;
    for_lanes<Arch>(
        scores, count, [&, bound = Floats<Arch>(cut.bound)](std::size_t i, Floats<Arch> x) {
            std::uint32_t chosen = Lanes<Arch>::bits(x > bound);
            const auto add_first = [&](std::uint32_t level, std::size_t& left) {
                level = lowest_bits(level, left);
                left -= static_cast<std::size_t>(std::popcount(level));
                chosen |= level;
            };
            if (cut.ties > 0) add_first(Lanes<Arch>::bits(x == bound), cut.ties);
            // The fill of the last lanes is NaN too, but comes after all that are wanted.
            if (nans > 0) add_first(Lanes<Arch>::bits(xsimd::isnan(x)), nans);
            for (; chosen != 0; chosen &= chosen - 1) {
                positions[taken++] = static_cast<std::uint32_t>(i) +
                                     static_cast<std::uint32_t>(std::countr_zero(chosen));
            }
        });
    return k;
}

template <class Arch>
std::size_t find_above_columns(RowMatrix<const float> block,
                               const float* threshold,
                               Hit* hits) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    constexpr std::size_t kStep = 4 * kCount;  // one branch for so many columns: hits are rare
    const std::size_t whole = block.dim - block.dim % kStep;
    std::size_t found = 0;
    for (std::size_t r = 0; r < block.rows; ++r) {
        const float* row = block.row(r);
        const auto list = [&](std::size_t c, std::uint32_t above) {
            for (; above != 0; above &= above - 1) {
                const std::size_t at = c + static_cast<std::size_t>(std::countr_zero(above));
                hits[found++] = {
                    static_cast<std::uint32_t>(r), static_cast<std::uint32_t>(at), row[at]};
            }
        };
        for (std::size_t c = 0; c < whole; c += kStep) {
            const auto above = [&](std::size_t i) {
                return Floats<Arch>::load_unaligned(row + i) >
                       Floats<Arch>::load_unaligned(threshold + i);
            };
            const auto a0 = above(c);
            const auto a1 = above(c + kCount);
            const auto a2 = above(c + 2 * kCount);
            const auto a3 = above(c + 3 * kCount);
            if (Lanes<Arch>::bits((a0 | a1) | (a2 | a3)) == 0) continue;
            list(c, Lanes<Arch>::bits(a0));
            list(c + kCount, Lanes<Arch>::bits(a1));
            list(c + 2 * kCount, Lanes<Arch>::bits(a2));
            list(c + 3 * kCount, Lanes<Arch>::bits(a3));
        }
        for (std::size_t c = whole; c < block.dim; c += kCount) {
            const std::size_t n = block.dim - c < kCount ? block.dim - c : kCount;
            const Floats<Arch> x =
                Lanes<Arch>::load_first(row + c, n, std::numeric_limits<float>::quiet_NaN());
            const Floats<Arch> bound = Lanes<Arch>::load_first(threshold + c, n);
            list(c, Lanes<Arch>::bits(x > bound));
        }
    }
    return found;
}

}  // namespace
}  // namespace slidekit::kernels::detail
