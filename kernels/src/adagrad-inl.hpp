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
SLIDEKIT_INLINE inline Floats<Arch> adagrad_moved(Floats<Arch> w,
                                                  Floats<Arch> g,
                                                  Floats<Arch> rate,
                                                  Floats<Arch> decay) noexcept {
    return fused_subtract(rate, g, fused_subtract(decay, w, w));
}

// `row` is a WholeAt or a SplitAt.
template <class Arch, class Row>
SLIDEKIT_INLINE inline void adagrad_update(
    Row row, const float* gradient, std::size_t dim, float rate, float decay) noexcept {
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const Floats<Arch> w = row.template load<Arch>(block, at, j);
            const Floats<Arch> g = block.load(gradient + at, j);
            row.template store<Arch>(block, at, j, adagrad_moved<Arch>(w, g, rate, decay));
        }
    });
}

template <class Arch, class Row>
SLIDEKIT_INLINE inline void adagrad_row_of(Row row,
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
    adagrad_update<Arch>(row, gradient, dim, rate, step.decay);
}

template <class Arch>
void adagrad_row(float* weights,
                 float* state,
                 const float* gradient,
                 std::size_t dim,
                 const AdagradStep& step) noexcept {
    adagrad_row_of<Arch>(WholeAt{weights}, state, gradient, dim, step);
}

// One group: row is where its weights are, state its accumulator, kept space for kMostKept floats.
template <class Arch, class Row>
SLIDEKIT_INLINE inline void adagrad_group(const GroupsPass& pass,
                                          std::size_t group,
                                          Row row,
                                          float& state,
                                          std::size_t dim,
                                          float* kept,
                                          std::size_t most_kept,
                                          const AdagradStep& step) noexcept {
    using F = Floats<Arch>;
    const bool keeps = dim <= most_kept;
    const auto load = [&](auto block, std::size_t at, std::size_t j)
                          SLIDEKIT_INLINE { return row.template load<Arch>(block, at, j); };
    F squares[2] = {F(0.0F), F(0.0F)};
    pass_group_of<Arch>(pass,
                        group,
                        dim,
                        load,
                        [&](auto block, std::size_t at, std::size_t j, F, F gradient)
                            SLIDEKIT_INLINE {
                                squares[j % 2] = fused_add(gradient, gradient, squares[j % 2]);
                                if (keeps) block.store(kept + at, j, gradient);
                            });
    const float sum = xsimd::hadd(squares[0] + squares[1]);
    const float rate = dim == 0 ? 0.0F : adagrad_rate(state, sum / static_cast<float>(dim), step);
    if (keeps) {
        adagrad_update<Arch>(row, kept, dim, rate, step.decay);
        return;
    }
    const GroupsPass again{pass.groups, pass.values, pass.vectors, {}};
    pass_group_of<Arch>(
        again,
        group,
        dim,
        load,
        [&](auto block, std::size_t at, std::size_t j, F w, F gradient) SLIDEKIT_INLINE {
            row.template store<Arch>(
                block, at, j, adagrad_moved<Arch>(w, gradient, rate, step.decay));
        });
}

// All groups. row_at(id) gives a row, prefetch(id) asks for it.
template <class Arch, class RowAt, class Prefetch>
SLIDEKIT_INLINE inline void adagrad_groups_of(const GroupsPass& pass,
                                              std::size_t row_dim,
                                              float* state,
                                              AdagradBias bias,
                                              const AdagradStep& step,
                                              const RowAt& row_at,
                                              const Prefetch& prefetch) noexcept {
    constexpr std::size_t kAhead = 32;
    constexpr std::size_t kMostKept = 1024;
    alignas(64) float kept[kMostKept];
    const GroupsView& groups = pass.groups;
    with_dim(row_dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        for (std::size_t g = 0; g < groups.count; ++g) {
            if (g + kAhead < groups.count) {
                const std::size_t next = groups.ids[g + kAhead];
                prefetch(next, dim);
                __builtin_prefetch(state + next);
            }
            const std::size_t id = groups.ids[g];
            adagrad_group<Arch>(pass, g, row_at(id), state[id], dim, kept, kMostKept, step);
            if (bias.weights == nullptr) continue;
            const float gradient = pass.bias_gradient(g);
            bias.weights[id] -= adagrad_rate(bias.state[id], gradient * gradient, step) * gradient;
        }
    });
}

template <class Arch>
void adagrad_groups(GroupsView groups,
                    const float* values,
                    RowMatrix<const float> vectors,
                    RowMatrix<float> back,
                    AdagradRows rows,
                    AdagradBias bias,
                    const AdagradStep& step) noexcept {
    adagrad_groups_of<Arch>(
        {groups, values, vectors, back},
        rows.weights.dim,
        rows.state,
        bias,
        step,
        [&](std::size_t id) SLIDEKIT_INLINE { return WholeAt{rows.weights.row(id)}; },
        [&](std::size_t id, std::size_t dim)
            SLIDEKIT_INLINE { prefetch_row_to_l2(rows.weights.row(id), dim); });
}

}  // namespace
}  // namespace slidekit::kernels::detail
