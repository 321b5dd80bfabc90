// What shards propose for a sample, and the best of it: the same set however many shards there are.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace slidekit::nn {

/// A neuron that a shard proposes: better ones have the lower rank, and of equal rank the lower id.
struct Found {
    std::uint32_t id = 0;
    std::uint32_t rank = 0;
    std::uint32_t again = 0;  // where candidates are ranked twice: the second rank
};

/// Ranks scores: the higher one is better, and NaN the worst.
[[nodiscard]] inline std::uint32_t rank_of(float score) noexcept {
    if (std::isnan(score)) return 0xffffffff;
    const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F);  // -0 equals 0
    return (bits >> 31) != 0 ? bits : ~(bits | 0x80000000U);
}

/// One list a sample, each with the same room.
struct FoundLists {
    Found* entries = nullptr;
    std::uint32_t* counts = nullptr;
    std::size_t room = 0;

    [[nodiscard]] std::span<const Found> of(std::size_t sample) const noexcept {
        return {entries + sample * room, counts[sample]};
    }
    void clear(std::size_t sample) const noexcept { counts[sample] = 0; }
    void add(std::size_t sample, Found found) const noexcept {
        entries[sample * room + counts[sample]++] = found;
    }
};

/// Cuts a list to its `count` best by one of the ranks; they keep their order. keys: scratch.
inline void keep_best(std::vector<Found>& list,
                      std::size_t count,
                      std::uint32_t Found::*rank,
                      std::vector<std::uint64_t>& keys) {
    if (list.size() <= count) return;
    if (count == 0) return list.clear();
    const auto key = [rank](const Found& found) {
        return (std::uint64_t{found.*rank} << 32) | found.id;
    };
    keys.clear();
    for (const Found& found : list) keys.push_back(key(found));
    const auto last = keys.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(keys.begin(), last, keys.end());
    list.erase(
        std::remove_if(
            list.begin(), list.end(), [&](const Found& found) { return key(found) > *last; }),
        list.end());
}

}  // namespace slidekit::nn
