// What one writes without stamps: removal of repeated ids by the containers of the standard
// library, and the k best by std::nth_element. Order of the result differs where it is sorted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <unordered_set>
#include <vector>

#include <slidekit/kernels/dedup.hpp>
#include <slidekit/kernels/topk.hpp>

namespace slidekit::bench {

namespace unordered_set {
inline std::size_t dedup_ids(const std::uint32_t* ids,
                             std::size_t count,
                             std::uint16_t,
                             std::uint16_t*,
                             std::size_t,
                             std::uint32_t* out) noexcept {
    std::unordered_set<std::uint32_t> met;
    std::size_t n = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (met.insert(ids[i]).second) out[n++] = ids[i];
    }
    return n;
}
}  // namespace unordered_set

namespace sort_unique {
inline std::size_t dedup_ids(const std::uint32_t* ids,
                             std::size_t count,
                             std::uint16_t,
                             std::uint16_t*,
                             std::size_t,
                             std::uint32_t* out) noexcept {
    std::copy_n(ids, count, out);
    std::sort(out, out + count);
    return static_cast<std::size_t>(std::unique(out, out + count) - out);
}
}  // namespace sort_unique

namespace map {
inline std::size_t count_ids(const std::uint32_t* ids,
                             std::size_t count,
                             std::uint16_t,
                             std::uint16_t*,
                             std::size_t,
                             std::uint32_t* out,
                             std::uint16_t* counts) noexcept {
    std::map<std::uint32_t, std::uint16_t> met;
    for (std::size_t i = 0; i < count; ++i) ++met[ids[i]];
    std::size_t n = 0;
    for (const auto& [id, times] : met) {
        out[n] = id;
        counts[n++] = times;
    }
    return n;
}
}  // namespace map

namespace nth_element {
template <class Score>
std::size_t best(const Score* scores, std::size_t count, std::size_t k, std::uint32_t* positions) {
    std::vector<std::uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0U);
    k = std::min(k, count);
    const auto kth = order.begin() + static_cast<std::ptrdiff_t>(k);
    if (k < count) {
        std::nth_element(order.begin(), kth, order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
        });
    }
    std::sort(order.begin(), kth);
    std::copy(order.begin(), kth, positions);
    return k;
}
inline std::size_t select_top_k(const float* scores,
                                std::size_t count,
                                std::size_t k,
                                std::uint32_t* positions) noexcept {
    return best(scores, count, k, positions);
}
inline std::size_t select_top_counts(const std::uint16_t* counts,
                                     std::size_t count,
                                     std::size_t k,
                                     std::uint32_t* positions) noexcept {
    return best(counts, count, k, positions);
}
}  // namespace nth_element

}  // namespace slidekit::bench
