// Row-wise Adagrad, alone and fused with the backward pass.
//
// A row's rate hangs on its whole gradient, so no weight can move before the last member of the
// group is through. The gradient waits on the stack, in L1, while its squares are summed; rows too
// wide for that gather it a second time.
#pragma once

#include "optimizer-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// The learning rate of a row, whose squared gradient goes into its state.
inline float adagrad_rate(float& state, float mean_square, const AdagradStep& step) noexcept {
    state += mean_square;
    return step.lr / (__builtin_sqrtf(state) + step.epsilon);
}

template <class Arch>
SLIDEKIT_INLINE inline void adagrad_update(
    float* weights, const float* gradient, std::size_t dim, float rate, float decay) noexcept {
    const Floats<Arch> of_gradient(rate);
    const Floats<Arch> of_weight(decay);
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Floats<Arch> w = block.load(weights + at, j);
            block.store(
                weights + at,
                j,
                fused_subtract(
                    of_gradient, block.load(gradient + at, j), fused_subtract(of_weight, w, w)));
        }
    });
}

template <class Arch>
void adagrad_row(float* weights,
                 float* state,
                 const float* gradient,
                 std::size_t dim,
                 const AdagradStep& step) noexcept {
    if (dim == 0) return;
    Floats<Arch> squares[4];
    for (Floats<Arch>& lanes : squares) lanes = Floats<Arch>(0.0F);
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Floats<Arch> g = block.load(gradient + at, j);
            squares[j] = fused_add(g, g, squares[j]);
        }
    });
    const float sum = xsimd::hadd((squares[0] + squares[1]) + (squares[2] + squares[3]));
    const float rate = adagrad_rate(*state, sum / static_cast<float>(dim), step);
    adagrad_update<Arch>(weights, gradient, dim, rate, step.decay);
}

template <class Arch>
void adagrad_groups(GroupsView groups,
                    const float* values,
                    RowMatrix<const float> vectors,
                    RowMatrix<float> back,
                    AdagradRows rows,
                    AdagradBias bias,
                    const AdagradStep& step) noexcept {
    constexpr std::size_t kAhead = 32;
    constexpr std::size_t kMostKept = 1024;
    using F = Floats<Arch>;
    alignas(64) float kept[kMostKept];
    const GroupsPass pass{groups, values, vectors, back};
    const GroupsPass again{groups, values, vectors, {}};
    with_dim(rows.weights.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        for (std::size_t g = 0; g < groups.count; ++g) {
            if (g + kAhead < groups.count) {
                const std::size_t next = groups.ids[g + kAhead];
                prefetch_row_to_l2(rows.weights.row(next), dim);
                __builtin_prefetch(rows.state + next);
            }
            const std::size_t id = groups.ids[g];
            float* row = rows.weights.row(id);
            const bool keeps = dim <= kMostKept;
            F squares[2] = {F(0.0F), F(0.0F)};
            pass_group<Arch>(pass,
                             g,
                             row,
                             dim,
                             [&](auto block, std::size_t at, std::size_t j, F, F gradient)
                                 SLIDEKIT_INLINE {
                                     squares[j % 2] = fused_add(gradient, gradient, squares[j % 2]);
                                     if (keeps) block.store(kept + at, j, gradient);
                                 });
            const float sum = xsimd::hadd(squares[0] + squares[1]);
            const float rate =
                dim == 0 ? 0.0F : adagrad_rate(rows.state[id], sum / static_cast<float>(dim), step);
            if (keeps) {
                adagrad_update<Arch>(row, kept, dim, rate, step.decay);
            } else {
                const F of_gradient(rate);
                const F of_weight(step.decay);
                pass_group<Arch>(
                    again,
                    g,
                    row,
                    dim,
                    [&](auto block, std::size_t at, std::size_t j, F w, F gradient)
                        SLIDEKIT_INLINE {
                            block.store(
                                row + at,
                                j,
                                fused_subtract(
                                    of_gradient, gradient, fused_subtract(of_weight, w, w)));
                        });
            }
            if (bias.weights == nullptr) continue;
            const float gradient = pass.bias_gradient(g);
            bias.weights[id] -= adagrad_rate(bias.state[id], gradient * gradient, step) * gradient;
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
