// Updates of rows, alone and fused with the backward pass of their groups.
//
// A group's row and its gradient stay in registers, block by block: each member costs one load of
// its vector and one load and store of what flows back to it. A row's way from memory and back
// (three rows, with Adam) is the larger part of the time, so all of it is asked for several groups
// ahead.
#pragma once

#include <slidekit/kernels/optimizer.hpp>

#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Where a block of a row and of its moments begins.
struct AdamAt {
    float* weights;
    float* first;
    float* second;

    SLIDEKIT_INLINE AdamAt from(std::size_t k) const noexcept {
        return {weights + k, first + k, second + k};
    }
};

// Where a row of whole weights begins; SplitAt is that of a row in halves.
struct WholeAt {
    float* weights;

    template <class Arch, class Block>
    SLIDEKIT_INLINE Floats<Arch> load(Block block, std::size_t at, std::size_t j) const noexcept {
        return block.load(weights + at, j);
    }
    template <class Arch, class Block>
    SLIDEKIT_INLINE void store(Block block,
                               std::size_t at,
                               std::size_t j,
                               Floats<Arch> w) const noexcept {
        block.store(weights + at, j, w);
    }
};

// The step's constants, in all lanes.
template <class Arch>
struct AdamLanes {
    Floats<Arch> lr, beta1, beta2, rest1, rest2, epsilon, decay;

    explicit AdamLanes(const AdamStep& step) noexcept
        : lr(step.lr),
          beta1(step.beta1),
          beta2(step.beta2),
          rest1(1 - step.beta1),
          rest2(1 - step.beta2),
          epsilon(step.epsilon),
          decay(step.decay) {}

    // Vector j of a block: w and g are its old weights and its gradient. Updates the moments, and
    // returns the new weights.
    template <class Block>
    SLIDEKIT_INLINE Floats<Arch> updated(Block block,
                                         float* first,
                                         float* second,
                                         std::size_t j,
                                         Floats<Arch> w,
                                         Floats<Arch> g) const noexcept {
        // The division and the root are the exact ones: in cache they make a row of 128 take 20 ns,
        // and rows come from memory, at three times that.
        const Floats<Arch> m = fused_add(beta1, block.load(first, j), rest1 * g);
        const Floats<Arch> v = fused_add(beta2, block.load(second, j), rest2 * (g * g));
        block.store(first, j, m);
        block.store(second, j, v);
        return fused_subtract(decay, w, w) - lr * m / (xsimd::sqrt(v) + epsilon);
    }

    template <class Block>
    SLIDEKIT_INLINE void update(
        Block block, AdamAt at, std::size_t j, Floats<Arch> w, Floats<Arch> g) const noexcept {
        block.store(at.weights, j, updated(block, at.first, at.second, j, w, g));
    }
};

template <class Arch>
struct SgdLanes {
    Floats<Arch> lr, decay;

    explicit SgdLanes(const SgdStep& step) noexcept : lr(step.lr), decay(step.decay) {}

    SLIDEKIT_INLINE Floats<Arch> updated(Floats<Arch> w, Floats<Arch> g) const noexcept {
        return fused_subtract(lr, g, fused_subtract(decay, w, w));
    }
};

template <class Arch>
void adam_row(float* weights,
              float* first,
              float* second,
              const float* gradient,
              std::size_t dim,
              const AdamStep& step) noexcept {
    const AdamLanes<Arch> adam(step);
    for_blocks<Arch, 2>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            adam.update(block,
                        AdamAt{weights, first, second}.from(at),
                        j,
                        block.load(weights + at, j),
                        block.load(gradient + at, j));
        }
    });
}

template <class Arch>
void sgd_row(float* weights, const float* gradient, std::size_t dim, const SgdStep& step) noexcept {
    const SgdLanes<Arch> sgd(step);
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            block.store(weights + at,
                        j,
                        sgd.updated(block.load(weights + at, j), block.load(gradient + at, j)));
        }
    });
}

// What the two fused kernels have in common: everything but the update.
struct GroupsPass {
    GroupsView groups;
    const float* values;
    RowMatrix<const float> vectors;
    RowMatrix<float> back;

    [[nodiscard]] float bias_gradient(std::size_t group) const noexcept {
        float gradient = 0;
        for (std::uint32_t p = groups.starts[group]; p < groups.starts[group + 1]; ++p) {
            gradient += values[groups.members[p].slot];
        }
        return gradient;
    }
};

// Gathers the gradient of one block of a group's row, passes the block's share back to the vectors,
// and calls update(block, at, j, w, g) for its vectors; w is load(block, at, j). Accumulators:
// fp32, one a coordinate, members ascending.
template <class Arch, class Load, class Update>
SLIDEKIT_INLINE inline void pass_group_of(const GroupsPass& pass,
                                          std::size_t group,
                                          std::size_t dim,
                                          const Load& load,
                                          const Update& update) noexcept {
    const std::uint32_t begin = pass.groups.starts[group];
    const std::uint32_t end = pass.groups.starts[group + 1];
    for_blocks<Arch, kRowVectors<Arch>>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        Floats<Arch> w[block.kCount];
        Floats<Arch> g[block.kCount];
        for (std::size_t j = 0; j < block.kCount; ++j) {
            w[j] = load(block, at, j);
            g[j] = Floats<Arch>(0.0F);
        }
        for (std::uint32_t p = begin; p < end; ++p) {
            const Member member = pass.groups.members[p];
            const Floats<Arch> value(pass.values[member.slot]);
            const float* vector = pass.vectors.row(member.vector) + at;
            for (std::size_t j = 0; j < block.kCount; ++j)
                g[j] = fused_add(value, block.load(vector, j), g[j]);
            if (pass.back.data == nullptr) continue;
            float* back = pass.back.row(member.vector) + at;
            for (std::size_t j = 0; j < block.kCount; ++j) {
                block.store(back, j, fused_add(value, w[j], block.load(back, j)));
            }
        }
        for (std::size_t j = 0; j < block.kCount; ++j) update(block, at, j, w[j], g[j]);
    });
}

template <class Arch, class Update>
SLIDEKIT_INLINE inline void pass_group(const GroupsPass& pass,
                                       std::size_t group,
                                       const float* row,
                                       std::size_t dim,
                                       const Update& update) noexcept {
    const auto load = [&](auto block, std::size_t at, std::size_t j)
                          SLIDEKIT_INLINE { return block.load(row + at, j); };
    pass_group_of<Arch>(pass, group, dim, load, update);
}

// One bias. It costs a division and a root a row, which run beside the row's.
inline void adam_bias(const AdamBias& bias,
                      std::size_t id,
                      float g,
                      const AdamStep& step) noexcept {
    const float m = __builtin_fmaf(step.beta1, bias.first[id], (1 - step.beta1) * g);
    const float v = __builtin_fmaf(step.beta2, bias.second[id], (1 - step.beta2) * (g * g));
    bias.first[id] = m;
    bias.second[id] = v;
    bias.weights[id] -= step.lr * m / (__builtin_sqrtf(v) + step.epsilon);
}

SLIDEKIT_INLINE inline void prefetch_adam(const AdamRows& rows,
                                          const AdamBias& bias,
                                          std::size_t id,
                                          std::size_t dim) noexcept {
    const std::size_t at = id * rows.weights.stride;
    prefetch_row_to_l2(rows.weights.data + at, dim);
    prefetch_row_to_l2(rows.first + at, dim);
    prefetch_row_to_l2(rows.second + at, dim);
    if (bias.weights == nullptr) return;
    __builtin_prefetch(bias.weights + id);
    __builtin_prefetch(bias.first + id);
    __builtin_prefetch(bias.second + id);
}

template <class Arch>
void adam_groups(GroupsView groups,
                 const float* values,
                 RowMatrix<const float> vectors,
                 RowMatrix<float> back,
                 AdamRows rows,
                 AdamBias bias,
                 const AdamStep& step) noexcept {
    // 24 KB of rows and moments of 128, on their way to L2: a line fetched to L1 holds a fill
    // buffer until it is there, and there are too few of those (1.12x, Sapphire Rapids).
    constexpr std::size_t kAhead = 16;
    using F = Floats<Arch>;
    const AdamLanes<Arch> adam(step);
    const GroupsPass pass{groups, values, vectors, back};
    with_dim(rows.weights.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        const auto prefetch = [&](std::size_t g) SLIDEKIT_INLINE {
            if (g < groups.count) prefetch_adam(rows, bias, groups.ids[g], dim);
        };
        for (std::size_t g = 0; g < kAhead; ++g) prefetch(g);
        for (std::size_t g = 0; g < groups.count; ++g) {
            prefetch(g + kAhead);
            const std::size_t id = groups.ids[g];
            const std::size_t start = id * rows.weights.stride;
            const AdamAt row{rows.weights.data + start, rows.first + start, rows.second + start};
            const auto update =
                [&](auto block, std::size_t at, std::size_t j, F w, F gradient)
                    SLIDEKIT_INLINE { adam.update(block, row.from(at), j, w, gradient); };
            pass_group<Arch>(pass, g, row.weights, dim, update);
            if (bias.weights != nullptr) adam_bias(bias, id, pass.bias_gradient(g), step);
        }
    });
}

template <class Arch>
void sgd_groups(GroupsView groups,
                const float* values,
                RowMatrix<const float> vectors,
                RowMatrix<float> back,
                RowMatrix<float> rows,
                float* bias,
                const SgdStep& step) noexcept {
    constexpr std::size_t kAhead = 32;
    using F = Floats<Arch>;
    const SgdLanes<Arch> sgd(step);
    const GroupsPass pass{groups, values, vectors, back};
    with_dim(rows.dim, [&](std::size_t dim) SLIDEKIT_INLINE {
        for (std::size_t g = 0; g < groups.count; ++g) {
            if (g + kAhead < groups.count)
                prefetch_row_to_l2(rows.row(groups.ids[g + kAhead]), dim);
            const std::size_t id = groups.ids[g];
            float* row = rows.row(id);
            const auto update =
                [&](auto block, std::size_t at, std::size_t j, F w, F gradient)
                    SLIDEKIT_INLINE { block.store(row + at, j, sgd.updated(w, gradient)); };
            pass_group<Arch>(pass, g, row, dim, update);
            if (bias != nullptr)
                bias[id] = __builtin_fmaf(-step.lr, pass.bias_gradient(g), bias[id]);
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
