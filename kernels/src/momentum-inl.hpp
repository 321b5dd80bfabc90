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

    // Vector j of a block: w and g are its old weights and its gradient.
    template <class Block>
    SLIDEKIT_INLINE void update(Block block,
                                float* weights,
                                float* velocity,
                                std::size_t j,
                                Floats<Arch> w,
                                Floats<Arch> g) const noexcept {
        const Floats<Arch> u = fused_add(momentum, block.load(velocity, j), g);
        const Floats<Arch> ahead = fused_subtract(of_gradient, g, fused_subtract(decay, w, w));
        block.store(velocity, j, u);
        block.store(weights, j, fused_subtract(of_velocity, u, ahead));
    }
};

template <class Arch>
void momentum_row(float* weights,
                  float* velocity,
                  const float* gradient,
                  std::size_t dim,
                  const MomentumStep& step) noexcept {
    const MomentumLanes<Arch> lanes(step);
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            lanes.update(block,
                         weights + at,
                         velocity + at,
                         j,
                         block.load(weights + at, j),
                         block.load(gradient + at, j));
        }
    });
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

template <class Arch>
void momentum_groups(GroupsView groups,
                     const float* values,
                     RowMatrix<const float> vectors,
                     RowMatrix<float> back,
                     MomentumRows rows,
                     MomentumBias bias,
                     const MomentumStep& step) noexcept {
    constexpr std::size_t kAhead = 16;
    using F = Floats<Arch>;
    const MomentumLanes<Arch> lanes(step);
    const GroupsPass pass{groups, values, vectors, back};
    with_dim(rows.weights.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        const auto prefetch = [&](std::size_t g) SLIDEKIT_INLINE {
            if (g >= groups.count) return;
            const std::size_t id = groups.ids[g];
            prefetch_row_to_l2(rows.weights.row(id), dim);
            prefetch_row_to_l2(rows.velocity + id * rows.weights.stride, dim);
            if (bias.weights == nullptr) return;
            __builtin_prefetch(bias.weights + id);
            __builtin_prefetch(bias.velocity + id);
        };
        for (std::size_t g = 0; g < kAhead; ++g) prefetch(g);
        for (std::size_t g = 0; g < groups.count; ++g) {
            prefetch(g + kAhead);
            const std::size_t id = groups.ids[g];
            float* row = rows.weights.row(id);
            float* velocity = rows.velocity + id * rows.weights.stride;
            const auto update =
                [&](auto block, std::size_t at, std::size_t j, F w, F gradient) SLIDEKIT_INLINE {
                    lanes.update(block, row + at, velocity + at, j, w, gradient);
                };
            pass_group<Arch>(pass, g, row, dim, update);
            if (bias.weights != nullptr) momentum_bias(bias, id, pass.bias_gradient(g), step);
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
