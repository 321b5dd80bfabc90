// The plainest statement of structured SimHash. The transform is the textbook's, shortest step
// first; every level adds in this order.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/hadamard.hpp>

#include "scalar-hash-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

inline void hadamard_round(const std::uint32_t* signs, float* y, std::size_t n) noexcept {
    for (std::size_t c = 0; c < n; ++c) {
        y[c] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(y[c]) ^ signs[c]);
    }
    for (std::size_t step = 1; step < n; step *= 2) {
        for (std::size_t c = 0; c < n; ++c) {
            if ((c & step) != 0) continue;
            const float a = y[c];
            const float b = y[c + step];
            y[c] = a + b;
            y[c + step] = a - b;
        }
    }
}

inline void hadamard_keys(const HadamardPlan& plan,
                          CentredRow x,
                          std::uint32_t* keys,
                          std::size_t stride) noexcept {
    const std::size_t n = plan.padded;
    float shared[HadamardPlan::kMaxPadded];
    for (std::size_t c = 0; c < n; ++c) shared[c] = c < plan.dim ? x[c] : 0;
    hadamard_round(plan.signs, shared, n);
    hadamard_round(plan.signs + n, shared, n);

    float block[HadamardPlan::kMaxPadded];
    const std::size_t bits = std::size_t{plan.k} * plan.l;
    std::uint32_t key = 0;
    for (std::size_t bit = 0; bit < bits; ++bit) {
        if (bit % n == 0) {
            __builtin_memcpy(block, shared, n * sizeof(float));
            hadamard_round(plan.signs + 2 * n + bit, block, n);
        }
        key = key << 1 | (block[bit % n] > 0 ? 1U : 0U);
        if ((bit + 1) % plan.k != 0) continue;
        keys[bit / plan.k * stride] = key;
        key = 0;
    }
}

inline void hash_hadamard(const HadamardPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    hadamard_keys(plan, {x, nullptr}, keys, 1);
}

inline void hash_hadamard_rows(const HadamardPlan& plan,
                               RowMatrix<const float> rows,
                               const float* centre,
                               std::uint32_t* keys,
                               KeyLayout layout,
                               float* /*scratch*/) noexcept {
    for (std::size_t r = 0; r < rows.rows; ++r) {
        hadamard_keys(
            plan, {rows.row(r), centre}, keys + r * layout.row_stride, layout.table_stride);
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
