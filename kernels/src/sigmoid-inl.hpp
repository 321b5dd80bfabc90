// Sigmoid, tanh and the softmax of one list: what a layer's activation needs of the exponential.
//
// Both curves come from e^-|x|, which neither overflows nor cancels; divisions are exact ones, one
// a vector, beside an exponential of some fifteen instructions.
#pragma once

#include "activation-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// The sign bit of each lane.
template <class Arch>
SLIDEKIT_INLINE inline Floats<Arch> sign_of(Floats<Arch> x) noexcept {
    return x & Floats<Arch>(-0.0F);
}

template <class Arch>
void sigmoid(float* x, std::size_t dim) noexcept {
    using F = Floats<Arch>;
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const F value = block.load(x + at, j);
            const F e = exp<Arch>(value | F(-0.0F));  // of -|x|
            const F numerator = xsimd::select(value < F(0.0F), e, F(1.0F));
            block.store(x + at, j, numerator / (F(1.0F) + e));
        }
    });
}

// Below 5/8, where 1 - e^-2x would cancel, the polynomial of Cephes' tanhf.
template <class Arch>
void tanh(float* x, std::size_t dim) noexcept {
    using F = Floats<Arch>;
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const F value = block.load(x + at, j);
            const F sign = sign_of<Arch>(value);
            const F a = value ^ sign;
            const F e = exp<Arch>(F(-2.0F) * a);
            const F far = F(1.0F) - (e + e) / (F(1.0F) + e);
            const F z = a * a;
            F p = fused_add(F(-5.70498872745e-3F), z, F(2.06390887954e-2F));
            p = fused_add(p, z, F(-5.37397155531e-2F));
            p = fused_add(p, z, F(1.33314422036e-1F));
            p = fused_add(p, z, F(-3.33332819422e-1F));
            const F near = fused_add(p * z, a, a);
            block.store(x + at, j, xsimd::select(a < F(0.625F), near, far) ^ sign);
        }
    });
}

template <class Arch>
void sigmoid_gradient(const float* activation, float* gradient, std::size_t dim) noexcept {
    using F = Floats<Arch>;
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const F y = block.load(activation + at, j);
            block.store(gradient + at, j, block.load(gradient + at, j) * (y * (F(1.0F) - y)));
        }
    });
}

template <class Arch>
void tanh_gradient(const float* activation, float* gradient, std::size_t dim) noexcept {
    using F = Floats<Arch>;
    for_blocks<Arch, 4>(dim, [&](auto block, std::size_t at) SLIDEKIT_INLINE {
        for (std::size_t j = 0; j < block.kCount; ++j) {
            const F y = block.load(activation + at, j);
            block.store(
                gradient + at, j, block.load(gradient + at, j) * ((F(1.0F) - y) * (F(1.0F) + y)));
        }
    });
}

// Three passes, the later ones from cache: a list of an active set's logits fits L1.
template <class Arch>
float softmax(float* x, std::size_t count) noexcept {
    const float largest = max_value<Arch>(x, count);
    const float sum = exp_sum<Arch>(x, count, largest == kLowest ? 0.0F : largest);
    if (sum == 0) return kLowest;
    scale<Arch>(1 / sum, x, count);
    return largest + __builtin_logf(sum);
}

}  // namespace
}  // namespace slidekit::kernels::detail
