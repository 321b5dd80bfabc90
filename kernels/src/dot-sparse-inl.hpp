// Inner products of sparse vectors.
//
// Two sorted lists meet without a branch on their ids, which nobody can foresee. Lists of about one
// length: a vector of ids of one is compared with each of as many ids of the other, then the vector
// that ends first is followed by its next. A list much shorter than the other: its ids find their
// blocks in the longer one, a vector of them at once, and each is compared with all of its block.
#pragma once

#include <slidekit/kernels/dot.hpp>

#include "dot-inl.hpp"
#include "lanes-ids-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Accumulators: fp32, four vectors of them.
template <class Arch>
struct FourSums {
    Floats<Arch> lanes[4] = {
        Floats<Arch>(0.0F), Floats<Arch>(0.0F), Floats<Arch>(0.0F), Floats<Arch>(0.0F)};

    SLIDEKIT_INLINE float total() const noexcept {
        return xsimd::hadd((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
    }
};

// Products of `some` with a list of at least one block. Its blocks start on cache lines where they
// can: a vector across two lines is loaded twice.
template <class Arch>
SLIDEKIT_INLINE inline void add_products(SparseView some,
                                         SparseView list,
                                         FourSums<Arch>& sums) noexcept {
    using Ids = IdLanes<Arch>;
    constexpr std::size_t kLane = kLanes<Arch>;
    constexpr std::int32_t kBlock = Ids::kBlock;
    const auto count = static_cast<std::int32_t>(list.nnz);
    const auto shift = static_cast<std::int32_t>(reinterpret_cast<std::uintptr_t>(list.ids) /
                                                 sizeof(std::uint32_t) % kBlock);
    std::int32_t step = kBlock;
    while (step * static_cast<std::int64_t>(Ids::kPivots) < std::int64_t{count} + shift) step *= 2;
    const auto pivots = Ids::pivots(list.ids, step, shift, count - 1);
    // Where the blocks start that may hold these ids: between which pivots, then by halves.
    const auto find = [&](auto wanted_ids, std::int32_t* starts) SLIDEKIT_INLINE {
        const auto wanted = Ids::comparable(wanted_ids);
        auto at = Ids::add(Ids::multiply(Ids::find(pivots, wanted), step), Ids::all(-shift));
        for (std::int32_t half = step / 2; half >= kBlock; half /= 2) {
            const auto next = Ids::add(at, Ids::all(half));
            const auto met = Ids::gather(list.ids, Ids::clamp(next, count - 1));
            at = Ids::move_right(at, next, Ids::comparable(met), wanted);
        }
        Ids::store(starts, Ids::clamp(at, count - kBlock));
    };
    const auto add = [&](std::size_t i, std::int32_t start, std::size_t which) SLIDEKIT_INLINE {
        Ids::add_match(
            sums.lanes, which, some.ids[i], some.values[i], list.ids + start, list.values + start);
    };
    alignas(64) std::int32_t starts[kLane];
    std::size_t i = 0;
    for (; i + kLane <= some.nnz; i += kLane) {
        find(Ids::load_first(some.ids + i, kLane), starts);
        // By way of memory: taken out of the register one by one they would need the port of the
        // compares.
        asm("" : "+m"(starts));
        for (std::size_t j = 0; j < kLane; ++j) add(i + j, starts[j], j);
    }
    if (i == some.nnz) return;
    find(Ids::load_first(some.ids + i, some.nnz - i), starts);
    for (std::size_t j = 0; i + j < some.nnz; ++j) add(i + j, starts[j], 0);
}

// How many ids of the list are at most `id`, by steps that double and a search between the last
// two.
inline std::size_t count_up_to(const std::uint32_t* ids, std::size_t n, std::uint32_t id) noexcept {
    if (n == 0 || ids[n - 1] <= id) return n;
    std::size_t low = 0, step = 1;
    while (low + step < n && ids[low + step - 1] <= id) low += step, step *= 2;
    std::size_t high = low + step < n ? low + step : n;
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (ids[middle] <= id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

inline SparseView part_of(SparseView x, std::size_t from, std::size_t count) noexcept {
    return {x.ids + from, x.values + from, count};
}

// A chunk of the longer list at a time, whose blocks all have a pivot; or all of it at once where
// most chunks would meet nothing.
template <class Arch>
float dot_by_search(SparseView some, SparseView many) noexcept {
    constexpr std::size_t kBlock = IdLanes<Arch>::kBlock;
    constexpr std::size_t kChunk = kBlock * (IdLanes<Arch>::kPivots - 1);
    constexpr std::size_t kFarLonger = 64;
    constexpr std::size_t kMostGathered = std::size_t{1} << 30;  // positions are 32 bits, signed
    const std::size_t most = many.nnz / kFarLonger >= some.nnz ? kMostGathered : kChunk;
    FourSums<Arch> sums;
    std::size_t i = 0;
    for (std::size_t from = 0; i < some.nnz && from < many.nnz; from += most) {
        // A last chunk that is shorter than a block takes ids of the one before: these meet nothing
        // a second time.
        if (many.nnz - from < kBlock) from = many.nnz - kBlock;
        const std::size_t left = many.nnz - from;
        const SparseView chunk = part_of(many, from, left < most ? left : most);
        const std::size_t here = count_up_to(some.ids + i, some.nnz - i, chunk.ids[chunk.nnz - 1]);
        if (here > 0) add_products<Arch>(part_of(some, i, here), chunk, sums);
        i += here;
    }
    return sums.total();
}

template <class Arch>
float dot_by_merge(SparseView x, SparseView y) noexcept {
    using Ids = IdLanes<Arch>;
    constexpr std::size_t kLane = kLanes<Arch>;
    FourSums<Arch> sums;
    std::size_t i = 0, j = 0;
    while (i < x.nnz && j < y.nnz) {
        const std::size_t lanes = x.nnz - i < kLane ? x.nnz - i : kLane;
        const std::size_t others = y.nnz - j < kLane ? y.nnz - j : kLane;
        const std::uint32_t x_last = x.ids[i + lanes - 1];
        const std::uint32_t y_last = y.ids[j + others - 1];
        // Lanes past the end repeat the last id, with a value of 0.
        const auto ids = Ids::load_first(x.ids + i, lanes, x_last);
        const Floats<Arch> values = Lanes<Arch>::load_first(x.values + i, lanes);
        const auto add = [&](std::size_t k, std::size_t which) SLIDEKIT_INLINE {
            sums.lanes[which] =
                Ids::add_equal(sums.lanes[which], ids, values, y.ids[j + k], y.values[j + k]);
        };
        if (others == kLane) {
            for (std::size_t k = 0; k < kLane; ++k) add(k, k % 4);
        } else {
            for (std::size_t k = 0; k < others; ++k) add(k, 0);
        }
        i += x_last <= y_last ? kLane : 0;
        j += y_last <= x_last ? kLane : 0;
    }
    return sums.total();
}

// A merge takes about .35 ns an id of both lists on Sapphire Rapids, a search 1.2 to 1.6 ns an id
// of the shorter one.
template <class Arch>
float dot_sparse_sparse(SparseView x, SparseView y) noexcept {
    constexpr std::size_t kLonger = 3;
    const SparseView some = x.nnz < y.nnz ? x : y;
    const SparseView many = x.nnz < y.nnz ? y : x;
    return many.nnz / kLonger < some.nnz || many.nnz < IdLanes<Arch>::kBlock
               ? dot_by_merge<Arch>(x, y)
               : dot_by_search<Arch>(some, many);
}

// Products of x with the first kRows of four rows. Accumulators: fp32, one vector of them a row, in
// the order of x. The ids are signed for gathers: below 2^31.
template <class Arch, std::size_t kRows>
SLIDEKIT_INLINE inline __m128 pick_few(SparseView x, const float* const (&rows)[4]) noexcept {
    using Ids = IdLanes<Arch>;
    constexpr std::size_t kLane = kLanes<Arch>;
    Floats<Arch> sums[4];
    for (Floats<Arch>& lanes : sums) lanes = Floats<Arch>(0.0F);
    std::size_t j = 0;
    for (; j + kLane <= x.nnz; j += kLane) {
        const Floats<Arch> values = Floats<Arch>::load_unaligned(x.values + j);
        for (std::size_t i = 0; i < kRows; ++i)
            sums[i] = fused_add(values, Floats<Arch>(Ids::pick(rows[i], x.ids + j)), sums[i]);
    }
    if (j < x.nnz) {
        const std::size_t n = x.nnz - j;
        const Floats<Arch> values = Lanes<Arch>::load_first(x.values + j, n);
        const auto at = Ids::load_first(x.ids + j, n);
        for (std::size_t i = 0; i < kRows; ++i) {
            const Floats<Arch> picked = Lanes<Arch>::gather_first(rows[i], at, n);
            sums[i] = fused_add(values, picked, sums[i]);
        }
    }
    return sum_each(sums[0], sums[1], sums[2], sums[3]);
}

inline constexpr std::size_t kMostPicked = std::size_t{1} << 31;

inline float dot_picked(SparseView x, const float* y) noexcept {
    float sum = 0;
    for (std::size_t i = 0; i < x.nnz; ++i) sum += x.values[i] * y[x.ids[i]];
    return sum;
}

// The loads of a vector from beyond the caches overlap without prefetch: none gained.
// Accumulators: fp32, four vectors of them.
template <class Arch>
float dot_sparse_dense(SparseView x, const float* y, std::size_t dim) noexcept {
    using Ids = IdLanes<Arch>;
    constexpr std::size_t kLane = kLanes<Arch>;
    if (dim > kMostPicked) return dot_picked(x, y);
    FourSums<Arch> sums;
    const auto add = [&](std::size_t j, std::size_t which) SLIDEKIT_INLINE {
        sums.lanes[which] = fused_add(Floats<Arch>::load_unaligned(x.values + j),
                                      Floats<Arch>(Ids::pick(y, x.ids + j)),
                                      sums.lanes[which]);
    };
    std::size_t j = 0;
    for (; j + 4 * kLane <= x.nnz; j += 4 * kLane) {
        for (std::size_t v = 0; v < 4; ++v) add(j + v * kLane, v);
    }
    for (; j + kLane <= x.nnz; j += kLane) add(j, 0);
    if (j < x.nnz) {
        const std::size_t n = x.nnz - j;
        const Floats<Arch> picked = Lanes<Arch>::gather_first(y, Ids::load_first(x.ids + j, n), n);
        sums.lanes[1] = fused_add(Lanes<Arch>::load_first(x.values + j, n), picked, sums.lanes[1]);
    }
    return sums.total();
}

// Where x meets about every second line of a row, it is laid out in full, and its zeros multiplied:
// dot_rows takes .025 ns an element, a gather .2 to .4. Rows from memory come without prefetch: the
// gathers of four rows ask for 64 lines at once, and prefetch by ids, one a line, was slower.
template <class Arch>
void dot_sparse_rows(SparseView x,
                     RowMatrix<const float> rows,
                     const std::uint32_t* ids,
                     std::size_t count,
                     float* out) noexcept {
    constexpr std::size_t kMostSpread = 4096;
    constexpr std::size_t kElementsAnId = 8;
    if (rows.dim <= kMostSpread && rows.dim / kElementsAnId <= x.nnz) {
        alignas(64) float spread[kMostSpread];
        for (std::size_t k = 0; k < rows.dim; ++k) spread[k] = 0;
        for (std::size_t j = 0; j < x.nnz; ++j) spread[x.ids[j]] += x.values[j];
        return dot_rows<Arch>(spread, rows, ids, count, out);
    }
    if (rows.dim > kMostPicked) {
        for (std::size_t i = 0; i < count; ++i) out[i] = dot_picked(x, rows.row(ids[i]));
        return;
    }
    const auto pass = [&](std::size_t i) SLIDEKIT_INLINE {
        const float* const four[4] = {
            rows.row(ids[i]), rows.row(ids[i + 1]), rows.row(ids[i + 2]), rows.row(ids[i + 3])};
        store_four(out + i, pick_few<Arch, 4>(x, four));
    };
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) pass(i);
    for (; i < count; ++i) {
        const float* const one[4] = {rows.row(ids[i])};
        out[i] = first_of(pick_few<Arch, 1>(x, one));
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
