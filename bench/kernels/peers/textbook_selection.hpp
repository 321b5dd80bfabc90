// Selection with the standard library.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace slidekit::bench::textbook {

// nth_element orders positions; ties by position make the choice that the kernel makes.
inline std::size_t select_top_k(const float* scores,
                                std::size_t count,
                                std::size_t k,
                                std::uint32_t* positions) noexcept {
    static std::vector<std::uint32_t> order;
    order.resize(count);
    std::iota(order.begin(), order.end(), 0U);
    k = std::min(k, count);
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(k);
    std::nth_element(order.begin(), end, order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
    });
    std::sort(order.begin(), end);
    std::copy(order.begin(), end, positions);
    return k;
}

}  // namespace slidekit::bench::textbook
