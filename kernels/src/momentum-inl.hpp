// Momentum, alone and fused with the backward pass.
//
// Plain and Nesterov's form are one: w = w - decay w - a g - b u with constants a and b, so that
// nothing branches in the loop. The one fused product more is hidden behind memory.
#pragma once

#include "optimizer-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

template <class Arch>
struct MomentumLanes {
    Floats<Arch> momentum, decay, of_gradient, of_velocity;

    explicit MomentumLanes(const MomentumStep& step) noexcept
        : momentum(step.momentum),
          decay(step.decay),
          of_gradient(step.nesterov != 0 ? step.lr : 0.0F),
          of_velocity(step.nesterov != 0 ? step.lr * step.momentum : step.lr) {}

    // Vector j of a block: w and g are its old weights and its gradient. Updates the velocity, and
    // returns the new weights.
    template <class Block>
    SLIDEKIT_INLINE Floats<Arch> updated(Block block,
                                         float* velocity,
                                         std::size_t j,
                                         Floats<Arch> w,
                                         Floats<Arch> g) const noexcept {
        const Floats<Arch> u = fused_add(momentum, block.load(velocity, j), g);
        const Floats<Arch> ahead = fused_subtract(of_gradient, g, fused_subtract(decay, w, w));
        block.store(velocity, j, u);
        return fused_subtract(of_velocity, u, ahead);
    }
};

// `row` is a WholeAt or a SplitAt.
template <class Arch, class Row>
SLIDEKIT_INLINE inline void momentum_row_of(Row row,
                                            float* velocity,
                                            const float* gradient,
                                            std::size_t dim,
                                            const MomentumStep& step) noexcept {
    const MomentumLanes<Arch> lanes(step);
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Floats<Arch> w = row.template load<Arch>(block, at, j);
            const Floats<Arch> g = block.load(gradient + at, j);
            row.template store<Arch>(block, at, j, lanes.updated(block, velocity + at, j, w, g));
        }
    });
}

template <class Arch>
void momentum_row(float* weights,
                  float* velocity,
                  const float* gradient,
                  std::size_t dim,
                  const MomentumStep& step) noexcept {
    momentum_row_of<Arch>(WholeAt{weights}, velocity, gradient, dim, step);
}

inline void momentum_bias(const MomentumBias& bias,
                          std::size_t id,
                          float g,
                          const MomentumStep& step) noexcept {
    const bool nesterov = step.nesterov != 0;
    const float u = __builtin_fmaf(step.momentum, bias.velocity[id], g);
    const float ahead = __builtin_fmaf(nesterov ? -step.lr : -0.0F, g, bias.weights[id]);
    bias.velocity[id] = u;
    bias.weights[id] = __builtin_fmaf(nesterov ? -(step.lr * step.momentum) : -step.lr, u, ahead);
}

// All groups. row_at(id) gives a row, prefetch_row(id, dim) asks for it.
template <class Arch, class RowAt, class Prefetch>
SLIDEKIT_INLINE inline void momentum_groups_of(const GroupsPass& pass,
                                               std::size_t row_dim,
                                               std::size_t stride,
                                               float* velocities,
                                               MomentumBias bias,
                                               const MomentumStep& step,
                                               const RowAt& row_at,
                                               const Prefetch& prefetch_row) noexcept {
    constexpr std::size_t kAhead = 16;
    using F = Floats<Arch>;
    const MomentumLanes<Arch> lanes(step);
    const GroupsView& groups = pass.groups;
    with_dim(row_dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        const auto prefetch = [&](std::size_t g) SLIDEKIT_INLINE {
            if (g >= groups.count) return;
            const std::size_t id = groups.ids[g];
            prefetch_row(id, dim);
            prefetch_row_to_l2(velocities + id * stride, dim);
            if (bias.weights == nullptr) return;
            __builtin_prefetch(bias.weights + id);
            __builtin_prefetch(bias.velocity + id);
        };
        for (std::size_t g = 0; g < kAhead; ++g) prefetch(g);
        for (std::size_t g = 0; g < groups.count; ++g) {
            prefetch(g + kAhead);
            const std::size_t id = groups.ids[g];
            const auto row = row_at(id);
            float* const velocity = velocities + id * stride;
            const auto load = [&](auto block, std::size_t at, std::size_t j)
                                  SLIDEKIT_INLINE { return row.template load<Arch>(block, at, j); };
            const auto update =
                [&](auto block, std::size_t at, std::size_t j, F w, F gradient) SLIDEKIT_INLINE {
                    const F next = lanes.updated(block, velocity + at, j, w, gradient);
                    row.template store<Arch>(block, at, j, next);
                };
            pass_group_of<Arch>(pass, g, dim, load, update);
            if (bias.weights != nullptr) momentum_bias(bias, id, pass.bias_gradient(g), step);
        }
    });
}

template <class Arch>
void momentum_groups(GroupsView groups,
                     const float* values,
                     RowMatrix<const float> vectors,
                     RowMatrix<float> back,
                     MomentumRows rows,
                     MomentumBias bias,
                     const MomentumStep& step) noexcept {
    momentum_groups_of<Arch>(
        {groups, values, vectors, back},
        rows.weights.dim,
        rows.weights.stride,
        rows.velocity,
        bias,
        step,
        [&](std::size_t id) SLIDEKIT_INLINE { return WholeAt{rows.weights.row(id)}; },
        [&](std::size_t id, std::size_t dim)
            SLIDEKIT_INLINE { prefetch_row_to_l2(rows.weights.row(id), dim); });
}

}  // namespace
}  // namespace slidekit::kernels::detail
