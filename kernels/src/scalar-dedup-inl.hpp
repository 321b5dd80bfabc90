// Removal of repeated ids: one plain body for every level, which is the oracle too.
//
// An id is always written behind the others, and the end moves up only if it was fresh: half the
// ids of a query may be repeats, and which ones no predictor can know. Each step may meet the id of
// the one before, so lanes would have to look for conflicts among themselves (vpconflictd, a gather
// and a scatter of 16 bits that no level has): scalar loads and stores run one id a nanosecond.
//
// Tried for the stamps and lost to 16 bits: a bitmap (1.4 times the time: a word is read and
// written for each of its ids), 32 bits (1.1). 8 bits gain 5 % and have to be cleared every 255
// queries.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/dedup.hpp>

namespace slidekit::kernels::detail {
namespace {

// Appends to out[n...]; returns the new n.
[[gnu::always_inline]] inline std::size_t append_fresh(const std::uint32_t* ids,
                                                       std::size_t count,
                                                       std::uint16_t stamp,
                                                       std::uint16_t* stamps,
                                                       std::uint32_t* out,
                                                       std::size_t n) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t id = ids[i];
        out[n] = id;
        n += stamps[id] != stamp ? 1U : 0U;
        stamps[id] = stamp;
    }
    return n;
}

[[gnu::always_inline]] inline std::size_t append_counting(const std::uint32_t* ids,
                                                          std::size_t count,
                                                          std::uint32_t base,
                                                          std::uint16_t* stamps,
                                                          std::uint32_t* out,
                                                          std::size_t n) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t id = ids[i];
        const std::uint32_t stamp = stamps[id];
        const std::uint32_t known = stamp > base ? 1 : 0;
        // A mask: compilers branch on a maximum.
        const std::uint32_t met = (stamp - base) & (0 - known);
        out[n] = id;
        n += 1 - known;
        stamps[id] = static_cast<std::uint16_t>(base + met + 1);
    }
    return n;
}

inline void counts_of_stamps(const std::uint32_t* ids,
                             std::size_t count,
                             std::uint16_t base,
                             const std::uint16_t* stamps,
                             std::uint16_t* counts) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        counts[i] = static_cast<std::uint16_t>(stamps[ids[i]] - base);
}

inline std::size_t dedup_ids(const std::uint32_t* ids,
                             std::size_t count,
                             std::uint16_t stamp,
                             std::uint16_t* stamps,
                             std::size_t,
                             std::uint32_t* out) noexcept {
    return append_fresh(ids, count, stamp, stamps, out, 0);
}

inline std::size_t dedup_buckets(BucketsView buckets,
                                 std::uint16_t stamp,
                                 std::uint16_t* stamps,
                                 std::size_t,
                                 std::uint32_t* out) noexcept {
    std::size_t n = 0;
    for (std::size_t b = 0; b < buckets.count; ++b)
        n = append_fresh(buckets.buckets[b].ids, buckets.buckets[b].size, stamp, stamps, out, n);
    return n;
}

inline std::size_t count_ids(const std::uint32_t* ids,
                             std::size_t count,
                             std::uint16_t base,
                             std::uint16_t* stamps,
                             std::size_t,
                             std::uint32_t* out,
                             std::uint16_t* counts) noexcept {
    const std::size_t n = append_counting(ids, count, base, stamps, out, 0);
    counts_of_stamps(out, n, base, stamps, counts);
    return n;
}

inline std::size_t count_buckets(BucketsView buckets,
                                 std::uint16_t base,
                                 std::uint16_t* stamps,
                                 std::size_t,
                                 std::uint32_t* out,
                                 std::uint16_t* counts) noexcept {
    std::size_t n = 0;
    for (std::size_t b = 0; b < buckets.count; ++b)
        n = append_counting(buckets.buckets[b].ids, buckets.buckets[b].size, base, stamps, out, n);
    counts_of_stamps(out, n, base, stamps, counts);
    return n;
}

inline std::size_t select_counted(const std::uint16_t* counts,
                                  std::size_t count,
                                  std::uint16_t least,
                                  std::uint32_t* positions) noexcept {
    std::size_t n = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (counts[i] >= least) positions[n++] = static_cast<std::uint32_t>(i);
    }
    return n;
}

inline std::size_t select_top_counts(const std::uint16_t* counts,
                                     std::size_t count,
                                     std::size_t k,
                                     std::uint32_t* positions) noexcept {
    const auto reaching = [&](std::uint32_t least) {
        std::size_t n = 0;
        for (std::size_t i = 0; i < count; ++i) n += counts[i] >= least ? 1U : 0U;
        return n;
    };
    if (k > count) k = count;
    // The k-th largest count, bit by bit: the largest number that k counts reach.
    std::uint32_t kth = 0;
    for (std::uint32_t bit = 0x8000; bit != 0; bit >>= 1) {
        if (reaching(kth | bit) >= k) kth |= bit;
    }
    std::size_t ties = k - reaching(kth + 1);
    std::size_t taken = 0;
    for (std::size_t i = 0; taken < k; ++i) {
        if (counts[i] < kth || (counts[i] == kth && ties == 0)) continue;
        if (counts[i] == kth) --ties;
        positions[taken++] = static_cast<std::uint32_t>(i);
    }
    return k;
}

}  // namespace
}  // namespace slidekit::kernels::detail
