// The hashes of sets and of distances, and the mixing of keys, as one writes them down: containers
// and loops over one vector at a time. They give the kernels' keys, bit for bit where -Ofast does
// not reorder sums.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <slidekit/kernels/doph.hpp>
#include <slidekit/kernels/mix.hpp>
#include <slidekit/kernels/pstable.hpp>

namespace slidekit::bench::textbook {

inline std::uint32_t mixed(std::uint32_t x, std::uint32_t seed) {
    x ^= seed;
    x ^= x >> 16;
    x *= 0x85ebca6bU;
    x ^= x >> 13;
    x *= 0xc2b2ae35U;
    return x ^ x >> 16;
}

inline void mix_keys(const std::uint32_t* keys,
                     std::size_t count,
                     std::uint32_t seed,
                     std::uint32_t* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) out[i] = mixed(keys[i], seed);
}

/// An empty bin walks until it meets one that is not.
inline void hash_doph_set(const kernels::DophPlan& plan,
                          const std::uint32_t* ids,
                          std::size_t nnz,
                          std::uint32_t* keys,
                          float* /*scratch*/) noexcept {
    constexpr std::uint32_t kEmpty = 0xffffffffU;
    const std::size_t bins = std::size_t{plan.k} * plan.l;
    thread_local std::vector<std::uint32_t> least;
    least.assign(bins, kEmpty);
    for (std::size_t i = 0; i < nnz; ++i) {
        const std::uint32_t h = mixed(ids[i], plan.seed);
        std::uint32_t& bin = least[std::uint64_t{h} * bins >> 32];
        bin = std::min(bin, h);
    }
    const bool is_empty =
        std::all_of(least.begin(), least.end(), [](std::uint32_t code) { return code == kEmpty; });
    for (std::size_t t = 0; t < plan.l; ++t) {
        std::uint32_t key = plan.seed;
        for (std::size_t j = 0; j < plan.k; ++j) {
            std::size_t b = j * plan.l + t;
            if (plan.order != nullptr) b = plan.order[b];
            const std::uint32_t bits = mixed(static_cast<std::uint32_t>(b / 32), ~plan.seed);
            const bool down = (bits >> b % 32 & 1) != 0;
            while (!is_empty && least[b] == kEmpty)
                b = down ? (b == 0 ? bins - 1 : b - 1) : (b + 1 == bins ? 0 : b + 1);
            key = mixed(least[b], key);
        }
        keys[t] = key >> (32 - plan.bits);
    }
}

/// The top values by a sort of the coordinates.
inline void hash_doph(const kernels::DophPlan& plan,
                      const float* x,
                      std::size_t dim,
                      std::uint32_t* keys,
                      float* scratch) noexcept {
    thread_local std::vector<std::uint32_t> order;
    order.resize(dim);
    std::iota(order.begin(), order.end(), 0U);
    const std::size_t top = std::min<std::size_t>(plan.top, dim);
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(top);
    std::partial_sort(order.begin(), middle, order.end(), [x](std::uint32_t a, std::uint32_t b) {
        return x[a] > x[b] || (x[a] == x[b] && a < b);
    });
    textbook::hash_doph_set(plan, order.data(), top, keys, scratch);
}

inline void hash_pstable(const kernels::PStablePlan& plan,
                         const float* x,
                         std::uint32_t* keys) noexcept {
    for (std::size_t t = 0; t < plan.l; ++t) {
        std::uint32_t key = plan.seed;
        for (std::size_t j = 0; j < plan.k; ++j) {
            const std::size_t code = t / 16 * plan.k + j;
            float sum = 0;
            for (std::size_t c = 0; c < plan.dim; ++c)
                sum += plan.projections[(code * plan.dim + c) * 16 + t % 16] * x[c];
            const float cell = std::floor((sum + plan.offsets[code * 16 + t % 16]) / plan.width);
            key = mixed(static_cast<std::uint32_t>(static_cast<std::int32_t>(cell)), key);
        }
        keys[t] = key >> (32 - plan.bits);
    }
}

/// Each row by itself, its keys put where the layout says.
template <class Hash>
void hash_each_row(kernels::RowMatrix<const float> rows,
                   const float* centre,
                   std::size_t tables,
                   std::uint32_t* keys,
                   kernels::KeyLayout layout,
                   Hash hash) {
    thread_local std::vector<float> x;
    thread_local std::vector<std::uint32_t> row_keys;
    x.resize(rows.dim);
    row_keys.resize(tables);
    for (std::size_t r = 0; r < rows.rows; ++r) {
        for (std::size_t c = 0; c < rows.dim; ++c)
            x[c] = centre == nullptr ? rows.row(r)[c] : rows.row(r)[c] - centre[c];
        hash(x.data(), row_keys.data());
        for (std::size_t t = 0; t < tables; ++t)
            keys[r * layout.row_stride + t * layout.table_stride] = row_keys[t];
    }
}

inline void hash_doph_rows(const kernels::DophPlan& plan,
                           kernels::RowMatrix<const float> rows,
                           const float* centre,
                           std::uint32_t* keys,
                           kernels::KeyLayout layout,
                           float* scratch) noexcept {
    hash_each_row(rows, centre, plan.l, keys, layout, [&](const float* x, std::uint32_t* row_keys) {
        textbook::hash_doph(plan, x, rows.dim, row_keys, scratch);
    });
}

inline void hash_pstable_rows(const kernels::PStablePlan& plan,
                              kernels::RowMatrix<const float> rows,
                              const float* centre,
                              std::uint32_t* keys,
                              kernels::KeyLayout layout,
                              float* /*scratch*/) noexcept {
    hash_each_row(rows, centre, plan.l, keys, layout, [&](const float* x, std::uint32_t* row_keys) {
        textbook::hash_pstable(plan, x, row_keys);
    });
}

}  // namespace slidekit::bench::textbook
