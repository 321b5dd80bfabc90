// Inner products.
//
// One vector against many: four a pass, each with one accumulator, and their four sums across the
// lanes taken together, which costs a quarter of four sums taken apart. Passes are short and
// independent, so the processor runs several at once and none needs a second accumulator.
// dot_groups is the same with a row as the vector that stays; both give the same bits for the same
// pair.
#pragma once

#include <slidekit/kernels/dot.hpp>

#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Accumulators: fp32, four vectors of them, so that one product alone does not wait for its
// additions.
template <class Arch>
float dot(const float* x, const float* y, std::size_t dim) noexcept {
    Floats<Arch> sums[4];
    for (Floats<Arch>& lanes : sums) lanes = Floats<Arch>(0.0F);
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            sums[j] = fused_add(block.load(x + at, j), block.load(y + at, j), sums[j]);
        }
    });
    return xsimd::hadd((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// Products of x with the first kRows of four vectors. Accumulators: fp32, one vector of them a row,
// ascending.
template <class Arch, std::size_t kRows>
SLIDEKIT_INLINE inline __m128 dot_few(const float* x,
                                      const float* const (&rows)[4],
                                      std::size_t dim) noexcept {
    Floats<Arch> sums[4];
    for (Floats<Arch>& lanes : sums) lanes = Floats<Arch>(0.0F);
    for_blocks<Arch, 1>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        const Floats<Arch> lanes = block.load(x + at, 0);
        for (std::size_t i = 0; i < kRows; ++i)
            sums[i] = fused_add(lanes, block.load(rows[i] + at, 0), sums[i]);
    });
    return sum_each(sums[0], sums[1], sums[2], sums[3]);
}

// The same for bytes, exact in int32.
template <class Arch, std::size_t kRows>
SLIDEKIT_INLINE inline __m128i dot_few(const std::uint8_t* x,
                                       const std::int8_t* const (&rows)[4],
                                       std::size_t dim) noexcept {
    using Bytes = ByteLanes<Arch>;
    typename Bytes::Register sums[4];
    for (auto& lanes : sums) lanes = Bytes::zero();
    std::size_t k = 0;
    for (; dim - k >= Bytes::kCount; k += Bytes::kCount) {
        for (std::size_t i = 0; i < kRows; ++i) {
            sums[i] = Bytes::add_products(sums[i], Bytes::load(x + k), Bytes::load(rows[i] + k));
        }
    }
    if (k < dim) {
        const auto last = Bytes::load_first(x + k, dim - k);
        for (std::size_t i = 0; i < kRows; ++i) {
            sums[i] = Bytes::add_products(sums[i], last, Bytes::load_first(rows[i] + k, dim - k));
        }
    }
    return sum_each(sums[0], sums[1], sums[2], sums[3]);
}

// One vector against gathered rows, of floats or bytes; restrict lets the vector stay in registers.
// kAhead is about 16 KB of rows of 128, into L2: enough to hide memory's latency. The last rows go
// without prefetch in loops of their own, which costs less than a branch a row.
template <class Arch, std::size_t kAhead, class X, class Row, class Out>
SLIDEKIT_INLINE inline void dot_gathered(const X* x,
                                         RowMatrix<const Row> rows,
                                         const std::uint32_t* ids,
                                         std::size_t count,
                                         Out* __restrict out) noexcept {
    const auto pass = [&](std::size_t i) SLIDEKIT_INLINE {
        const Row* const four[4] = {
            rows.row(ids[i]), rows.row(ids[i + 1]), rows.row(ids[i + 2]), rows.row(ids[i + 3])};
        store_four(out + i, dot_few<Arch, 4>(x, four, rows.dim));
    };
    const std::size_t far = count_if_far(rows, count);
    prefetch_first_rows<kAhead>(rows, ids, far, rows.dim);
    std::size_t i = 0;
    for (; i + 4 + kAhead <= far; i += 4) {
        for (std::size_t j = i; j < i + 4; ++j)
            prefetch_row_to_l2(rows.row(ids[j + kAhead]), rows.dim);
        pass(i);
    }
    for (; i + 4 <= count; i += 4) pass(i);
    for (; i < count; ++i) {
        const Row* const one[4] = {rows.row(ids[i])};
        out[i] = first_of(dot_few<Arch, 1>(x, one, rows.dim));
    }
}

template <class Arch>
void dot_rows(const float* x,
              RowMatrix<const float> rows,
              const std::uint32_t* ids,
              std::size_t count,
              float* out) noexcept {
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        dot_gathered<Arch, 32>(
            x, RowMatrix<const float>{rows.data, rows.rows, dim, rows.stride}, ids, count, out);
    });
}

template <class Arch>
void dot_rows_i8(const std::uint8_t* x,
                 RowMatrix<const std::int8_t> rows,
                 const std::uint32_t* ids,
                 std::size_t count,
                 std::int32_t* out) noexcept {
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        dot_gathered<Arch, 64>(x,
                               RowMatrix<const std::int8_t>{rows.data, rows.rows, dim, rows.stride},
                               ids,
                               count,
                               out);
    });
}

// Products of a row with the vectors of kRows members. Most rows have one to three: these take one
// pass as well.
template <class Arch, std::size_t kRows>
SLIDEKIT_INLINE inline void dot_members(const float* row,
                                        const Member* members,
                                        RowMatrix<const float> vectors,
                                        float shift,
                                        float* out) noexcept {
    const float* few[4] = {};
    for (std::size_t i = 0; i < kRows; ++i) few[i] = vectors.row(members[i].vector);
    float sums[4];
    store_four(sums, dot_few<Arch, kRows>(row, few, vectors.dim));
    for (std::size_t i = 0; i < kRows; ++i) out[members[i].slot] = sums[i] + shift;
}

template <class Arch>
void dot_groups(GroupsView groups,
                RowMatrix<const float> rows,
                const float* bias,
                RowMatrix<const float> vectors,
                float* out) noexcept {
    constexpr std::size_t kAhead = 32;
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        // dims are equal: the vectors' becomes the constant one too.
        const RowMatrix<const float> known{vectors.data, vectors.rows, dim, vectors.stride};
        const std::size_t far = count_if_far(rows, groups.count);
        prefetch_first_rows<kAhead>(rows, groups.ids, far, dim);
        for (std::size_t g = 0; g < groups.count; ++g) {
            if (g + kAhead < far) prefetch_row_to_l2(rows.row(groups.ids[g + kAhead]), dim);
            const std::uint32_t id = groups.ids[g];
            const float* row = rows.row(id);
            const float shift = bias == nullptr ? 0.0F : bias[id];
            const Member* member = groups.members + groups.starts[g];
            const Member* const end = groups.members + groups.starts[g + 1];
            for (; end - member >= 4; member += 4)
                dot_members<Arch, 4>(row, member, known, shift, out);
            switch (end - member) {
                case 3: dot_members<Arch, 3>(row, member, known, shift, out); break;
                case 2: dot_members<Arch, 2>(row, member, known, shift, out); break;
                case 1: dot_members<Arch, 1>(row, member, known, shift, out); break;
                default: break;
            }
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
