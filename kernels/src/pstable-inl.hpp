// Hashes of p-stable projections: lane = table, so that a code of as many tables as there are lanes
// is one sum in each lane, in the scalar oracle's order, and keys need no step across lanes.
//
// One vector is bound by the loads of the projections, which do not fit into L1; a batch loads them
// once for eight rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/pstable.hpp>

#include "mix-lanes-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// The codes of sums: floor((sum + offset) / width) within the range of 32 bits, NaN lowest.
template <class Arch>
[[gnu::always_inline]] inline Bits<Arch> cells(Floats<Arch> sum,
                                               const float* offsets,
                                               float width) noexcept {
    const Floats<Arch> least(-2147483648.0F);
    const Floats<Arch> most(2147483520.0F);
    Floats<Arch> cell = (sum + Floats<Arch>::load_unaligned(offsets)) / Floats<Arch>(width);
    cell = xsimd::select(cell >= least, cell, least);
    cell = xsimd::select(cell > most, most, cell);
    const Ints<Arch> whole = xsimd::to_int(cell);
    const Ints<Arch> down = xsimd::select(
        xsimd::bool_cast(xsimd::to_float(whole) > cell), Ints<Arch>(-1), Ints<Arch>(0));
    return xsimd::bitwise_cast<Bits<Arch>>(whole + down);
}

// Sums of kCodes codes that follow each other, of kRows vectors whose coordinates lie side by side:
// x[c * kRows + r].
template <class Arch, std::size_t kRows, std::size_t kCodes>
[[gnu::always_inline]] inline void project_stable(const float* projections,
                                                  const float* x,
                                                  std::size_t dim,
                                                  Floats<Arch> (&sums)[kCodes][kRows]) noexcept {
    for (auto& code : sums) {
        for (Floats<Arch>& sum : code) sum = Floats<Arch>(0.0F);
    }
    for (std::size_t c = 0; c < dim; ++c) {
        for (std::size_t j = 0; j < kCodes; ++j) {
            const auto a = Floats<Arch>::load_unaligned(projections + (j * dim + c) * 16);
            for (std::size_t r = 0; r < kRows; ++r)
                sums[j][r] += a * Floats<Arch>(x[c * kRows + r]);
        }
    }
}

template <class Arch, std::size_t kRows, std::size_t kCodes>
[[gnu::always_inline]] inline void append_codes(const PStablePlan& plan,
                                                const float* projections,
                                                const float* offsets,
                                                const float* x,
                                                Bits<Arch> (&keys)[kRows]) noexcept {
    Floats<Arch> sums[kCodes][kRows];
    project_stable<Arch>(projections, x, plan.dim, sums);
    for (std::size_t j = 0; j < kCodes; ++j) {
        for (std::size_t r = 0; r < kRows; ++r)
            keys[r] = mix32<Arch>(cells<Arch>(sums[j][r], offsets + j * 16, plan.width), keys[r]);
    }
}

// Keys of kRows vectors; store(r, t, n, lanes) takes those of tables t .. t + n - 1, or of as many
// as there are lanes. A step sums up to kCodes codes at once.
template <class Arch, std::size_t kRows, std::size_t kCodes, class Store>
[[gnu::always_inline]] inline void stable_keys(const PStablePlan& plan,
                                               const float* x,
                                               Store store) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    for (std::size_t t = 0; t < plan.l; t += kCount) {
        const std::size_t lane = t % 16;
        Bits<Arch> keys[kRows];
        for (Bits<Arch>& key : keys) key = Bits<Arch>(plan.seed);
        std::size_t code = t / 16 * plan.k;
        const std::size_t end = code + plan.k;
        for (; code + kCodes <= end; code += kCodes) {
            append_codes<Arch, kRows, kCodes>(plan,
                                              plan.projections + code * plan.dim * 16 + lane,
                                              plan.offsets + code * 16 + lane,
                                              x,
                                              keys);
        }
        for (; code < end; ++code) {
            append_codes<Arch, kRows, 1>(plan,
                                         plan.projections + code * plan.dim * 16 + lane,
                                         plan.offsets + code * 16 + lane,
                                         x,
                                         keys);
        }
        for (std::size_t r = 0; r < kRows; ++r)
            store(r, t, plan.l - t, keys[r] >> static_cast<std::int32_t>(32 - plan.bits));
    }
}

template <class Arch>
void hash_pstable(const PStablePlan& plan, const float* x, std::uint32_t* keys) noexcept {
    stable_keys<Arch, 1, 6>(
        plan, x, [=](std::size_t, std::size_t t, std::size_t n, Bits<Arch> lanes) {
            store_keys<Arch>(keys, 1, t, n, lanes);
        });
}

template <class Arch>
void hash_pstable_rows(const PStablePlan& plan,
                       RowMatrix<const float> rows,
                       const float* centre,
                       std::uint32_t* keys,
                       KeyLayout layout,
                       float* scratch) noexcept {
    constexpr std::size_t kRows = 8;
    for (std::size_t first = 0; first < rows.rows; first += kRows) {
        const std::size_t n = rows.rows - first < kRows ? rows.rows - first : kRows;
        // Past the last row it repeats.
        for (std::size_t r = 0; r < kRows; ++r) {
            const float* const row = rows.row(first + (r < n ? r : n - 1));
            for (std::size_t c = 0; c < plan.dim; ++c)
                scratch[c * kRows + r] = centre == nullptr ? row[c] : row[c] - centre[c];
        }
        const auto store = [&](std::size_t r, std::size_t t, std::size_t left, Bits<Arch> lanes) {
            if (r >= n) return;
            std::uint32_t* const out = keys + (first + r) * layout.row_stride;
            store_keys<Arch>(out, layout.table_stride, t, left, lanes);
        };
        stable_keys<Arch, kRows, 1>(plan, scratch, store);
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
