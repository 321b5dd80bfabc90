// Inner products and bags of rows in bf16.
//
// As in dot-inl.hpp, four rows a pass with one accumulator each, and one sum across the lanes for
// the four. A lane holds two neighbours: without the instruction for them, both are widened in
// place (a shift, a mask) and multiplied apart, which moves nothing between lanes; a vector of
// floats that meets such rows is parted into its even and odd places once and stays in registers.
#pragma once

#include <slidekit/kernels/bf16.hpp>

#include "bf16-lanes-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// 16 KB of rows of 128 on their way into L2 hide memory's latency; twice as many are no better.
inline constexpr std::size_t kBf16RowsAhead = 64;

template <class Arch, std::size_t kMost, class Body>
SLIDEKIT_INLINE inline void rest_pairs(std::size_t dim,
                                       std::size_t from,
                                       const Body& body) noexcept {
    if constexpr (kMost > 0) {
        if (dim - from >= kMost * Pairs<Arch>::kCount) {
            body(WholeBlock<Arch, kMost>{}, from);
            from += kMost * Pairs<Arch>::kCount;
        }
        rest_pairs<Arch, kMost / 2>(dim, from, body);
    }
}

// Calls body(block, offset) for blocks of kMost vectors of pairs, and at most one each of
// kMost / 2, .. 1; what is left is less than a vector.
template <class Arch, std::size_t kMost, class Body>
SLIDEKIT_INLINE inline void for_pairs(std::size_t dim, const Body& body) noexcept {
    constexpr std::size_t kStep = kMost * Pairs<Arch>::kCount;
    std::size_t from = 0;
    for (; dim - from >= kStep; from += kStep) body(WholeBlock<Arch, kMost>{}, from);
    rest_pairs<Arch, kMost / 2>(dim, from, body);
}

// Accumulators: fp32, four vectors of them, so that one product alone does not wait for its
// additions.
template <class Arch>
float dot_bf16(const Bf16* x, const Bf16* y, std::size_t dim) noexcept {
    using P = Pairs<Arch>;
    // Not by a loop: GCC makes it a rep stos, which takes longer than 128 products.
    const Floats<Arch> zero(0.0F);
    Floats<Arch> sums[4] = {zero, zero, zero, zero};
    for_pairs<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const std::size_t k = at + j * P::kCount;
            sums[j] = add_pairs<Arch>(sums[j], P::load(x + k), P::load(y + k));
        }
    });
    if (const std::size_t rest = dim % P::kCount; rest != 0) {
        const std::size_t k = dim - rest;
        sums[3] = add_pairs<Arch>(sums[3], P::load_first(x + k, rest), P::load_first(y + k, rest));
    }
    return xsimd::hadd((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// The vector that meets many rows: where it lies, or parted once into even and odd places, for as
// long as it meets them.
template <class Arch, class X>
struct VectorInPlace {
    const X* x;

    SLIDEKIT_INLINE auto load(std::size_t k) const noexcept { return Pairs<Arch>::load(x + k); }
    SLIDEKIT_INLINE auto load_first(std::size_t k, std::size_t n) const noexcept {
        return Pairs<Arch>::load_first(x + k, n);
    }
};

template <class Arch, std::size_t kDim>
struct PartedVector {
    static constexpr std::size_t kStep = Pairs<Arch>::kCount;
    Halves<Arch> parts[kDim / kStep];

    explicit PartedVector(const float* x) noexcept {
        for (std::size_t k = 0; k < kDim; k += kStep) parts[k / kStep] = Pairs<Arch>::load(x + k);
    }
    SLIDEKIT_INLINE Halves<Arch> load(std::size_t k) const noexcept { return parts[k / kStep]; }
    // Never: kDim is a whole number of steps.
    SLIDEKIT_INLINE Halves<Arch> load_first(std::size_t, std::size_t) const noexcept {
        return parts[0];
    }
};

// Products of x with the first kRows of four rows. Accumulators: fp32, one vector of them a row,
// ascending.
template <class Arch, std::size_t kRows, class Vector>
SLIDEKIT_INLINE inline __m128 dot_few_bf16(const Vector& x,
                                           const Bf16* const (&rows)[4],
                                           std::size_t dim) noexcept {
    using P = Pairs<Arch>;
    Floats<Arch> sums[4];
    for (Floats<Arch>& lanes : sums) lanes = Floats<Arch>(0.0F);
    std::size_t k = 0;
    for (; dim - k >= P::kCount; k += P::kCount) {
        const auto lanes = x.load(k);
        for (std::size_t i = 0; i < kRows; ++i)
            sums[i] = add_pairs<Arch>(sums[i], lanes, P::load(rows[i] + k));
    }
    if (k < dim) {
        const auto lanes = x.load_first(k, dim - k);
        for (std::size_t i = 0; i < kRows; ++i)
            sums[i] = add_pairs<Arch>(sums[i], lanes, P::load_first(rows[i] + k, dim - k));
    }
    return sum_each(sums[0], sums[1], sums[2], sums[3]);
}

// The same for one row of bf16 and vectors of floats: the row is widened in natural order.
template <class Arch, std::size_t kRows>
SLIDEKIT_INLINE inline __m128 dot_few_bf16(const VectorInPlace<Arch, Bf16>& row,
                                           const float* const (&vectors)[4],
                                           std::size_t dim) noexcept {
    Floats<Arch> sums[4];
    for (Floats<Arch>& lanes : sums) lanes = Floats<Arch>(0.0F);
    for_blocks<Arch, 1>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        const Floats<Arch> lanes = as_floats<Arch>(load_words(block, row.x + at, 0) << 16);
        for (std::size_t i = 0; i < kRows; ++i)
            sums[i] = fused_add(lanes, block.load(vectors[i] + at, 0), sums[i]);
    });
    return sum_each(sums[0], sums[1], sums[2], sums[3]);
}

// One vector against gathered rows; restrict lets the vector stay in registers. The last rows go
// without prefetch in loops of their own, which costs less than a branch a row.
template <class Arch, class Vector>
SLIDEKIT_INLINE inline void dot_gathered_bf16(const Vector& x,
                                              RowMatrix<const Bf16> rows,
                                              const std::uint32_t* ids,
                                              std::size_t count,
                                              float* __restrict out,
                                              std::size_t dim) noexcept {
    constexpr std::size_t kAhead = kBf16RowsAhead;
    const auto pass = [&](std::size_t i) SLIDEKIT_INLINE {
        const Bf16* const four[4] = {
            rows.row(ids[i]), rows.row(ids[i + 1]), rows.row(ids[i + 2]), rows.row(ids[i + 3])};
        store_four(out + i, dot_few_bf16<Arch, 4>(x, four, dim));
    };
    for (std::size_t i = 0; i < kAhead && i < count; ++i) prefetch_row_to_l2(rows.row(ids[i]), dim);
    std::size_t i = 0;
    for (; i + 4 + kAhead <= count; i += 4) {
        for (std::size_t j = i; j < i + 4; ++j) prefetch_row_to_l2(rows.row(ids[j + kAhead]), dim);
        pass(i);
    }
    for (; i + 4 <= count; i += 4) pass(i);
    for (; i < count; ++i) {
        const Bf16* const one[4] = {rows.row(ids[i])};
        out[i] = first_of(dot_few_bf16<Arch, 1>(x, one, dim));
    }
}

template <class Arch>
void dot_rows_bf16(const Bf16* x,
                   RowMatrix<const Bf16> rows,
                   const std::uint32_t* ids,
                   std::size_t count,
                   float* out) noexcept {
    const VectorInPlace<Arch, Bf16> vector{x};
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        dot_gathered_bf16<Arch>(vector, rows, ids, count, out, dim);
    });
}

template <class Arch>
void dot_rows_mixed(const float* x,
                    RowMatrix<const Bf16> rows,
                    const std::uint32_t* ids,
                    std::size_t count,
                    float* out) noexcept {
    const auto gather = [&](const auto& vector, std::size_t dim) SLIDEKIT_INLINE {
        dot_gathered_bf16<Arch>(vector, rows, ids, count, out, dim);
    };
    const VectorInPlace<Arch, float> lent{x};
    if constexpr (kLanes<Arch> >= 16) {
        // Parted once where it fits into the registers: 1.12x in L1, 1.08x from memory. AVX2 has
        // half as many, and the parts would go through memory.
        switch (rows.dim) {
            case 64: return gather(PartedVector<Arch, 64>(x), 64);
            case 128: return gather(PartedVector<Arch, 128>(x), 128);
            case 256: return gather(PartedVector<Arch, 256>(x), 256);
            default: return gather(lent, rows.dim);
        }
    }
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE { gather(lent, dim); });
}

// Products of a row with the vectors of kRows members. Most rows have one to three: these take one
// pass as well.
template <class Arch, std::size_t kRows, class X>
SLIDEKIT_INLINE inline void dot_members_bf16(const Bf16* row,
                                             const Member* members,
                                             RowMatrix<const X> vectors,
                                             float shift,
                                             float* out) noexcept {
    const X* few[4] = {};
    for (std::size_t i = 0; i < kRows; ++i) few[i] = vectors.row(members[i].vector);
    float sums[4];
    const VectorInPlace<Arch, Bf16> lent{row};
    store_four(sums, dot_few_bf16<Arch, kRows>(lent, few, vectors.dim));
    for (std::size_t i = 0; i < kRows; ++i) out[members[i].slot] = sums[i] + shift;
}

template <class Arch, class X>
SLIDEKIT_INLINE inline void dot_pairs_bf16(GroupsView groups,
                                           RowMatrix<const Bf16> rows,
                                           const float* bias,
                                           RowMatrix<const X> vectors,
                                           float* out) noexcept {
    constexpr std::size_t kAhead = kBf16RowsAhead;
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        // dims are equal: the vectors' becomes the constant one too.
        const RowMatrix<const X> known{vectors.data, vectors.rows, dim, vectors.stride};
        for (std::size_t g = 0; g < kAhead && g < groups.count; ++g)
            prefetch_row_to_l2(rows.row(groups.ids[g]), dim);
        for (std::size_t g = 0; g < groups.count; ++g) {
            if (g + kAhead < groups.count)
                prefetch_row_to_l2(rows.row(groups.ids[g + kAhead]), dim);
            const std::uint32_t id = groups.ids[g];
            const Bf16* row = rows.row(id);
            const float shift = bias == nullptr ? 0.0F : bias[id];
            const Member* member = groups.members + groups.starts[g];
            const Member* const end = groups.members + groups.starts[g + 1];
            for (; end - member >= 4; member += 4)
                dot_members_bf16<Arch, 4>(row, member, known, shift, out);
            switch (end - member) {
                case 3: dot_members_bf16<Arch, 3>(row, member, known, shift, out); break;
                case 2: dot_members_bf16<Arch, 2>(row, member, known, shift, out); break;
                case 1: dot_members_bf16<Arch, 1>(row, member, known, shift, out); break;
                default: break;
            }
        }
    });
}

template <class Arch>
void dot_groups_bf16(GroupsView groups,
                     RowMatrix<const Bf16> rows,
                     const float* bias,
                     RowMatrix<const Bf16> vectors,
                     float* out) noexcept {
    dot_pairs_bf16<Arch>(groups, rows, bias, vectors, out);
}

template <class Arch>
void dot_groups_mixed(GroupsView groups,
                      RowMatrix<const Bf16> rows,
                      const float* bias,
                      RowMatrix<const float> vectors,
                      float* out) noexcept {
    dot_pairs_bf16<Arch>(groups, rows, bias, vectors, out);
}

// Accumulators: fp32, one a coordinate, in the order of the input; kept in registers over all rows.
template <class Arch>
void bag_rows_bf16(SparseView input, RowMatrix<const Bf16> rows, float* out) noexcept {
    using P = Pairs<Arch>;
    constexpr std::size_t kAhead = kBf16RowsAhead;
    const auto add = [](Halves<Arch>& sums, Floats<Arch> value, auto row) SLIDEKIT_INLINE {
        const Halves<Arch> wide = P::halves(row);
        sums.even = fused_add(value, wide.even, sums.even);
        sums.odd = fused_add(value, wide.odd, sums.odd);
    };
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        for (std::size_t i = 0; i < kAhead && i < input.nnz; ++i)
            prefetch_row_to_l2(rows.row(input.ids[i]), dim);
        const auto block = [&](auto vectors, std::size_t at) SLIDEKIT_INLINE {
            constexpr std::size_t kVectors = vectors.kCount;
            Halves<Arch> sums[kVectors];
            for (std::size_t j = 0; j < kVectors; ++j) sums[j] = P::load(out + at + j * P::kCount);
            for (std::size_t i = 0; i < input.nnz; ++i) {
                // The first block brings the whole row; the others find it in cache.
                if (at == 0 && i + kAhead < input.nnz)
                    prefetch_row_to_l2(rows.row(input.ids[i + kAhead]), dim);
                const Bf16* row = rows.row(input.ids[i]) + at;
                const Floats<Arch> value(input.values[i]);
                for (std::size_t j = 0; j < kVectors; ++j)
                    add(sums[j], value, P::load(row + j * P::kCount));
            }
            for (std::size_t j = 0; j < kVectors; ++j) P::store(out + at + j * P::kCount, sums[j]);
        };
        for_pairs<Arch, kRowVectors<Arch> / 2>(dim, block);
        const std::size_t rest = dim % P::kCount;
        if (rest == 0) return;
        const std::size_t at = dim - rest;
        Halves<Arch> sums = P::load_first(out + at, rest);
        for (std::size_t i = 0; i < input.nnz; ++i) {
            const Bf16* row = rows.row(input.ids[i]) + at;
            add(sums, Floats<Arch>(input.values[i]), P::load_first(row, rest));
        }
        P::store_first(out + at, rest, sums);
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
