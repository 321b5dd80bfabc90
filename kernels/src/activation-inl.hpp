// ReLU and the parts of a softmax.
//
// The order of operands of max decides what becomes of NaN: the processor returns the second one
// when either is NaN. The exponential is our own, because xsimd 8.1 computes its own without FMA on
// AVX-512.
#pragma once

#include <slidekit/kernels/activation.hpp>

#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

inline constexpr float kLowest = -std::numeric_limits<float>::infinity();

// e^x = 2^k e^r with k = round(x / ln 2) and r = x - k ln 2, where ln 2 is taken off in two parts
// (Cody and Waite 1980); e^r, |r| <= ln 2 / 2, by the polynomial of Cephes' expf. Error at
// most 1.01 ulp for x <= 0 (measured over every seventh float); results below the least normal
// number become 0, those from 2^127.5 on infinity; NaN stays.
template <class Arch>
SLIDEKIT_INLINE inline Floats<Arch> exp(Floats<Arch> x) noexcept {
    using F = Floats<Arch>;
    const F k = xsimd::min(xsimd::nearbyint(x * F(1.44269504F)), F(128.0F));
    const F r = fused_subtract(k, F(-2.12194440e-4F), fused_subtract(k, F(0.693359375F), x));
    F p = fused_add(F(1.9875691500e-4F), r, F(1.3981999507e-3F));
    p = fused_add(p, r, F(8.3334519073e-3F));
    p = fused_add(p, r, F(4.1665795894e-2F));
    p = fused_add(p, r, F(1.6666665459e-1F));
    p = fused_add(p, r, F(5.0000001201e-1F));
    p = fused_add(p, r * r, r) + F(1.0F);
    const F power = xsimd::bitwise_cast<F>((xsimd::to_int(k) + Ints<Arch>(127)) << 23);
    return xsimd::select(x < F(-87.33654F), F(0.0F), p * power);
}

template <class Arch>
void relu(float* x, std::size_t dim) noexcept {
    const Floats<Arch> zero(0.0F);
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            block.store(x + at, j, xsimd::max(block.load(x + at, j), zero));
        }
    });
}

template <class Arch>
void relu_gradient(const float* activation, float* gradient, std::size_t dim) noexcept {
    const Floats<Arch> zero(0.0F);
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const auto active = block.load(activation + at, j) > zero;
            block.store(
                gradient + at, j, xsimd::select(active, block.load(gradient + at, j), zero));
        }
    });
}

template <class Arch>
float max_value(const float* x, std::size_t count) noexcept {
    Floats<Arch> largest[4];
    for (Floats<Arch>& lanes : largest) lanes = Floats<Arch>(kLowest);
    for_blocks<Arch, 4>(count, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            largest[j] = xsimd::max(block.load(x + at, j, kLowest), largest[j]);
        }
    });
    return largest_lane<Arch>(
        xsimd::max(xsimd::max(largest[0], largest[1]), xsimd::max(largest[2], largest[3])));
}

// Accumulators: fp32, one a lane and vector of a block.
template <class Arch>
float exp_sum(float* x, std::size_t count, float shift) noexcept {
    Floats<Arch> sums[4];
    for (Floats<Arch>& lanes : sums) lanes = Floats<Arch>(0.0F);
    for_blocks<Arch, 4>(count, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            // Lanes past the end hold -infinity, and so add nothing.
            const Floats<Arch> e = exp<Arch>(block.load(x + at, j, kLowest) - Floats<Arch>(shift));
            block.store(x + at, j, e);
            sums[j] += e;
        }
    });
    return xsimd::hadd((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <class Arch>
void scale(float a, float* x, std::size_t count) noexcept {
    const Floats<Arch> factor(a);
    for_blocks<Arch, 4>(count, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j)
            block.store(x + at, j, factor * block.load(x + at, j));
    });
}

// The scalar oracle says why.
template <class Arch>
SLIDEKIT_INLINE inline Floats<Arch> shift_of_columns(Floats<Arch> max) noexcept {
    return xsimd::select(max == Floats<Arch>(kLowest), Floats<Arch>(0.0F), max);
}

// Accumulators: fp32, one a column, rows ascending. Two passes over the rows of a block of columns,
// the second from cache: one pass would take a second exponential wherever a new maximum turns up.
template <class Arch>
void fold_softmax_columns(RowMatrix<const float> logits, float* max, float* sum) noexcept {
    for_blocks<Arch, 4>(logits.dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        Floats<Arch> largest[block.kCount];
        Floats<Arch> shift[block.kCount];
        Floats<Arch> total[block.kCount];
        for (std::size_t j = 0; j < block.kCount; ++j) largest[j] = block.load(max + at, j);
        for (std::size_t r = 0; r < logits.rows; ++r) {
            const float* row = logits.row(r) + at;
            for (std::size_t j = 0; j < block.kCount; ++j)
                largest[j] = xsimd::max(block.load(row, j), largest[j]);
        }
        for (std::size_t j = 0; j < block.kCount; ++j) {
            shift[j] = shift_of_columns<Arch>(largest[j]);
            total[j] = block.load(sum + at, j) * exp<Arch>(block.load(max + at, j) - shift[j]);
        }
        for (std::size_t r = 0; r < logits.rows; ++r) {
            const float* row = logits.row(r) + at;
            for (std::size_t j = 0; j < block.kCount; ++j)
                total[j] += exp<Arch>(block.load(row, j) - shift[j]);
        }
        for (std::size_t j = 0; j < block.kCount; ++j) {
            block.store(max + at, j, largest[j]);
            block.store(sum + at, j, total[j]);
        }
    });
}

template <class Arch>
void apply_softmax_columns(RowMatrix<float> logits,
                           const float* max,
                           const float* factor) noexcept {
    for_blocks<Arch, 4>(logits.dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        Floats<Arch> shift[block.kCount];
        for (std::size_t j = 0; j < block.kCount; ++j)
            shift[j] = shift_of_columns<Arch>(block.load(max + at, j));
        for (std::size_t r = 0; r < logits.rows; ++r) {
            float* row = logits.row(r) + at;
            for (std::size_t j = 0; j < block.kCount; ++j) {
                block.store(
                    row, j, exp<Arch>(block.load(row, j) - shift[j]) * block.load(factor + at, j));
            }
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::detail
