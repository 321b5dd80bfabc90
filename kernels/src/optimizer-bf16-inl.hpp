// Updates of rows in bf16: the arithmetic is that of optimizer-inl.hpp, what differs is how weights
// are loaded and stored.
//
// No instruction for bf16 is of use here: weights are joined and cut by shifts. A row and its
// moments are as many bytes as in fp32.
#pragma once

#include <slidekit/kernels/optimizer_bf16.hpp>

#include "adagrad-inl.hpp"
#include "bf16-inl.hpp"
#include "momentum-inl.hpp"
#include "optimizer-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Where a row's halves begin.
struct SplitAt {
    Bf16* high;
    std::uint16_t* low;

    template <class Arch, class Block>
    SLIDEKIT_INLINE Floats<Arch> load(Block block, std::size_t at, std::size_t j) const noexcept {
        const Bits<Arch> upper = load_words(block, high + at, j) << 16;
        return as_floats<Arch>(upper | load_words(block, low + at, j));
    }
    template <class Arch, class Block>
    SLIDEKIT_INLINE void store(Block block,
                               std::size_t at,
                               std::size_t j,
                               Floats<Arch> w) const noexcept {
        const Bits<Arch> bits = as_bits<Arch>(w);
        store_words(block, high + at, j, bits >> 16);
        store_words(block, low + at, j, bits);
    }
};

template <class Arch>
void adam_row_split(Bf16* high,
                    std::uint16_t* low,
                    float* first,
                    float* second,
                    const float* gradient,
                    std::size_t dim,
                    const AdamStep& step) noexcept {
    const AdamLanes<Arch> adam(step);
    const SplitAt row{high, low};
    for_blocks<Arch, 2>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Floats<Arch> w = row.load<Arch>(block, at, j);
            const Floats<Arch> g = block.load(gradient + at, j);
            row.store<Arch>(block, at, j, adam.updated(block, first + at, second + at, j, w, g));
        }
    });
}

template <class Arch>
void sgd_row_split(Bf16* high,
                   std::uint16_t* low,
                   const float* gradient,
                   std::size_t dim,
                   const SgdStep& step) noexcept {
    const SgdLanes<Arch> sgd(step);
    const SplitAt row{high, low};
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Floats<Arch> w = row.load<Arch>(block, at, j);
            row.store<Arch>(block, at, j, sgd.updated(w, block.load(gradient + at, j)));
        }
    });
}

SLIDEKIT_INLINE inline void prefetch_adam_split(const AdamSplitRows& rows,
                                                const AdamBias& bias,
                                                std::size_t id,
                                                std::size_t dim) noexcept {
    const std::size_t at = id * rows.high.stride;
    prefetch_row_to_l2(rows.high.data + at, dim);
    prefetch_row_to_l2(rows.low + at, dim);
    prefetch_row_to_l2(rows.first + at, dim);
    prefetch_row_to_l2(rows.second + at, dim);
    if (bias.weights == nullptr) return;
    __builtin_prefetch(bias.weights + id);
    __builtin_prefetch(bias.first + id);
    __builtin_prefetch(bias.second + id);
}

template <class Arch>
void adam_groups_split(GroupsView groups,
                       const float* values,
                       RowMatrix<const float> vectors,
                       RowMatrix<float> back,
                       AdamSplitRows rows,
                       AdamBias bias,
                       const AdamStep& step) noexcept {
    constexpr std::size_t kAhead = 16;  // 24 KB of rows and moments of 128
    using F = Floats<Arch>;
    const AdamLanes<Arch> adam(step);
    const GroupsPass pass{groups, values, vectors, back};
    with_dim(rows.high.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        const auto prefetch = [&](std::size_t g) SLIDEKIT_INLINE {
            if (g < groups.count) prefetch_adam_split(rows, bias, groups.ids[g], dim);
        };
        for (std::size_t g = 0; g < kAhead; ++g) prefetch(g);
        for (std::size_t g = 0; g < groups.count; ++g) {
            prefetch(g + kAhead);
            const std::size_t id = groups.ids[g];
            const std::size_t start = id * rows.high.stride;
            const SplitAt row{rows.high.data + start, rows.low + start};
            float* const first = rows.first + start;
            float* const second = rows.second + start;
            const auto load = [&](auto block, std::size_t at, std::size_t j)
                                  SLIDEKIT_INLINE { return row.load<Arch>(block, at, j); };
            const auto update =
                [&](auto block, std::size_t at, std::size_t j, F w, F gradient) SLIDEKIT_INLINE {
                    const F next = adam.updated(block, first + at, second + at, j, w, gradient);
                    row.store<Arch>(block, at, j, next);
                };
            pass_group_of<Arch>(pass, g, dim, load, update);
            if (bias.weights != nullptr) adam_bias(bias, id, pass.bias_gradient(g), step);
        }
    });
}

template <class Arch>
void sgd_groups_split(GroupsView groups,
                      const float* values,
                      RowMatrix<const float> vectors,
                      RowMatrix<float> back,
                      SplitRows rows,
                      float* bias,
                      const SgdStep& step) noexcept {
    constexpr std::size_t kAhead = 24;
    using F = Floats<Arch>;
    const SgdLanes<Arch> sgd(step);
    const GroupsPass pass{groups, values, vectors, back};
    with_dim(rows.high.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        for (std::size_t g = 0; g < groups.count; ++g) {
            if (g + kAhead < groups.count) {
                const std::size_t ahead = groups.ids[g + kAhead] * rows.high.stride;
                prefetch_row_to_l2(rows.high.data + ahead, dim);
                prefetch_row_to_l2(rows.low + ahead, dim);
            }
            const std::size_t id = groups.ids[g];
            const std::size_t start = id * rows.high.stride;
            const SplitAt row{rows.high.data + start, rows.low + start};
            const auto load = [&](auto block, std::size_t at, std::size_t j)
                                  SLIDEKIT_INLINE { return row.load<Arch>(block, at, j); };
            const auto update =
                [&](auto block, std::size_t at, std::size_t j, F w, F gradient)
                    SLIDEKIT_INLINE { row.store<Arch>(block, at, j, sgd.updated(w, gradient)); };
            pass_group_of<Arch>(pass, g, dim, load, update);
            if (bias != nullptr)
                bias[id] = __builtin_fmaf(-step.lr, pass.bias_gradient(g), bias[id]);
        }
    });
}

template <class Arch>
void momentum_row_split(Bf16* high,
                        std::uint16_t* low,
                        float* velocity,
                        const float* gradient,
                        std::size_t dim,
                        const MomentumStep& step) noexcept {
    momentum_row_of<Arch>(SplitAt{high, low}, velocity, gradient, dim, step);
}

template <class Arch>
void adagrad_row_split(Bf16* high,
                       std::uint16_t* low,
                       float* state,
                       const float* gradient,
                       std::size_t dim,
                       const AdagradStep& step) noexcept {
    adagrad_row_of<Arch>(SplitAt{high, low}, state, gradient, dim, step);
}

SLIDEKIT_INLINE inline SplitAt split_row(const SplitRows& rows, std::size_t id) noexcept {
    const std::size_t start = id * rows.high.stride;
    return {rows.high.data + start, rows.low + start};
}

SLIDEKIT_INLINE inline void prefetch_split(const SplitRows& rows,
                                           std::size_t id,
                                           std::size_t dim) noexcept {
    const SplitAt row = split_row(rows, id);
    prefetch_row_to_l2(row.high, dim);
    prefetch_row_to_l2(row.low, dim);
}

template <class Arch>
void momentum_groups_split(GroupsView groups,
                           const float* values,
                           RowMatrix<const float> vectors,
                           RowMatrix<float> back,
                           MomentumSplitRows rows,
                           MomentumBias bias,
                           const MomentumStep& step) noexcept {
    const SplitRows split{rows.high, rows.low};
    momentum_groups_of<Arch>(
        {groups, values, vectors, back},
        rows.high.dim,
        rows.high.stride,
        rows.velocity,
        bias,
        step,
        [&](std::size_t id) SLIDEKIT_INLINE { return split_row(split, id); },
        [&](std::size_t id, std::size_t dim) SLIDEKIT_INLINE { prefetch_split(split, id, dim); });
}

template <class Arch>
void adagrad_groups_split(GroupsView groups,
                          const float* values,
                          RowMatrix<const float> vectors,
                          RowMatrix<float> back,
                          AdagradSplitRows rows,
                          AdagradBias bias,
                          const AdagradStep& step) noexcept {
    const SplitRows split{rows.high, rows.low};
    adagrad_groups_of<Arch>(
        {groups, values, vectors, back},
        rows.high.dim,
        rows.state,
        bias,
        step,
        [&](std::size_t id) SLIDEKIT_INLINE { return split_row(split, id); },
        [&](std::size_t id, std::size_t dim) SLIDEKIT_INLINE { prefetch_split(split, id, dim); });
}

template <class Arch>
void adam_row_bf16(Bf16* weights,
                   float* first,
                   float* second,
                   const float* gradient,
                   std::size_t dim,
                   const AdamStep& step,
                   const BitStream& random) noexcept {
    const AdamLanes<Arch> adam(step);
    const RandomLanes<Arch> lanes(random);
    for_blocks<Arch, 2>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Floats<Arch> w = as_floats<Arch>(load_words(block, weights + at, j) << 16);
            const Floats<Arch> g = block.load(gradient + at, j);
            const Floats<Arch> next = adam.updated(block, first + at, second + at, j, w, g);
            store_words(block, weights + at, j, lanes.rounded(next, at + j * kLanes<Arch>));
        }
    });
}

template <class Arch>
void sgd_row_bf16(Bf16* weights,
                  const float* gradient,
                  std::size_t dim,
                  const SgdStep& step,
                  const BitStream& random) noexcept {
    const SgdLanes<Arch> sgd(step);
    const RandomLanes<Arch> lanes(random);
    for_blocks<Arch, 2>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Floats<Arch> w = as_floats<Arch>(load_words(block, weights + at, j) << 16);
            const Floats<Arch> next = sgd.updated(w, block.load(gradient + at, j));
            store_words(block, weights + at, j, lanes.rounded(next, at + j * kLanes<Arch>));
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
