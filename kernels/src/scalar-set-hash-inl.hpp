// The plainest statement of the hashes whose codes are numbers of their own: DOPH of sets and
// p-stable projections, their codes mixed to a key; and of the mixing of keys.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/doph.hpp>
#include <slidekit/kernels/mix.hpp>
#include <slidekit/kernels/pstable.hpp>

#include "mix-inl.hpp"
#include "scalar-hash-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

inline void mix_keys(const std::uint32_t* keys,
                     std::size_t count,
                     std::uint32_t seed,
                     std::uint32_t* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) out[i] = mix32(keys[i], seed);
}

// No set holds a number that is hashed to it.
inline constexpr std::uint32_t kEmptyBin = 0xffffffffU;

inline bool borrows_from_below(const DophPlan& plan, std::size_t bin) noexcept {
    const std::uint32_t bits = mix32(static_cast<std::uint32_t>(bin / 32), ~plan.seed);
    return (bits >> bin % 32 & 1) != 0;
}

// Keys table_stride apart.
inline void hash_set(const DophPlan& plan,
                     const std::uint32_t* ids,
                     std::size_t nnz,
                     std::uint32_t* keys,
                     std::size_t table_stride,
                     float* scratch) noexcept {
    const std::size_t bins = std::size_t{plan.k} * plan.l;
    std::uint32_t* codes = reinterpret_cast<std::uint32_t*>(scratch);
    std::uint32_t* above = codes + bins;  // a bin's own code, or that of the next one with a code
    for (std::size_t b = 0; b < bins; ++b) codes[b] = kEmptyBin;
    for (std::size_t i = 0; i < nnz; ++i) {
        const std::uint32_t h = mix32(ids[i], plan.seed);
        const std::size_t b = static_cast<std::size_t>(std::uint64_t{h} * bins >> 32);
        if (h < codes[b]) codes[b] = h;
    }
    std::uint32_t lowest = kEmptyBin;
    std::uint32_t highest = kEmptyBin;
    for (std::size_t b = 0; b < bins; ++b) {
        if (codes[b] == kEmptyBin) continue;
        if (lowest == kEmptyBin) lowest = codes[b];
        highest = codes[b];
    }
    std::uint32_t last = lowest;
    for (std::size_t b = bins; b-- > 0;) {
        if (codes[b] != kEmptyBin) last = codes[b];
        above[b] = last;
    }
    last = highest;
    for (std::size_t b = 0; b < bins; ++b) {
        if (codes[b] != kEmptyBin) last = codes[b];
        codes[b] = borrows_from_below(plan, b) ? last : above[b];
    }
    for (std::size_t t = 0; t < plan.l; ++t) {
        std::uint32_t h = plan.seed;
        for (std::size_t j = 0; j < plan.k; ++j) {
            const std::size_t c = j * plan.l + t;
            h = mix32(codes[plan.order == nullptr ? c : plan.order[c]], h);
        }
        keys[t * table_stride] = h >> (32 - plan.bits);
    }
}

inline void hash_doph_set(const DophPlan& plan,
                          const std::uint32_t* ids,
                          std::size_t nnz,
                          std::uint32_t* keys,
                          float* scratch) noexcept {
    hash_set(plan, ids, nnz, keys, 1, scratch);
}

inline void hash_top(const DophPlan& plan,
                     const float* x,
                     std::size_t dim,
                     std::uint32_t* keys,
                     std::size_t table_stride,
                     float* scratch) noexcept {
    std::uint32_t* positions = reinterpret_cast<std::uint32_t*>(scratch);
    const std::size_t nnz = select_top_k(x, dim, plan.top, positions);
    hash_set(plan, positions, nnz, keys, table_stride, scratch + plan.top);
}

inline void hash_doph(const DophPlan& plan,
                      const float* x,
                      std::size_t dim,
                      std::uint32_t* keys,
                      float* scratch) noexcept {
    hash_top(plan, x, dim, keys, 1, scratch);
}

inline void hash_doph_rows(const DophPlan& plan,
                           RowMatrix<const float> rows,
                           const float* centre,
                           std::uint32_t* keys,
                           KeyLayout layout,
                           float* scratch) noexcept {
    for (std::size_t r = 0; r < rows.rows; ++r) {
        const CentredRow row{rows.row(r), centre};
        for (std::size_t c = 0; c < rows.dim; ++c) scratch[c] = row[c];
        hash_top(plan,
                 scratch,
                 rows.dim,
                 keys + r * layout.row_stride,
                 layout.table_stride,
                 scratch + rows.dim);
    }
}

inline std::uint32_t pstable_key(const PStablePlan& plan,
                                 CentredRow x,
                                 std::size_t table) noexcept {
    constexpr float kLeast = -2147483648.0F;
    constexpr float kMost = 2147483520.0F;
    std::uint32_t key = plan.seed;
    for (std::size_t j = 0; j < plan.k; ++j) {
        const std::size_t code = table / 16 * plan.k + j;
        float sum = 0;
        for (std::size_t c = 0; c < plan.dim; ++c)
            sum += plan.projections[(code * plan.dim + c) * 16 + table % 16] * x[c];
        float cell = (sum + plan.offsets[code * 16 + table % 16]) / plan.width;
        cell = cell >= kLeast ? cell : kLeast;
        cell = cell > kMost ? kMost : cell;
        std::int32_t whole = static_cast<std::int32_t>(cell);
        if (static_cast<float>(whole) > cell) --whole;
        key = mix32(static_cast<std::uint32_t>(whole), key);
    }
    return key >> (32 - plan.bits);
}

inline void hash_pstable(const PStablePlan& plan, const float* x, std::uint32_t* keys) noexcept {
    for (std::size_t t = 0; t < plan.l; ++t) keys[t] = pstable_key(plan, {x, nullptr}, t);
}

inline void hash_pstable_rows(const PStablePlan& plan,
                              RowMatrix<const float> rows,
                              const float* centre,
                              std::uint32_t* keys,
                              KeyLayout layout,
                              float* /*scratch*/) noexcept {
    for (std::size_t r = 0; r < rows.rows; ++r) {
        for (std::size_t t = 0; t < plan.l; ++t) {
            keys[r * layout.row_stride + t * layout.table_stride] =
                pstable_key(plan, {rows.row(r), centre}, t);
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
