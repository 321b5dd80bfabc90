// Plain loops for updates and activations, for a compiler to vectorise as it can: included once per
// set of flags, with SLIDEKIT_PEER_NAMESPACE naming the set.
#pragma once

#include <cmath>
#include <cstddef>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/optimizer.hpp>

namespace slidekit::bench::SLIDEKIT_PEER_NAMESPACE {

inline void sgd_row(float* weights,
                    const float* gradient,
                    std::size_t dim,
                    const kernels::SgdStep& step) noexcept {
    for (std::size_t k = 0; k < dim; ++k)
        weights[k] -= step.decay * weights[k] + step.lr * gradient[k];
}

inline void momentum_row(float* weights,
                         float* velocity,
                         const float* gradient,
                         std::size_t dim,
                         const kernels::MomentumStep& step) noexcept {
    for (std::size_t k = 0; k < dim; ++k) {
        velocity[k] = step.momentum * velocity[k] + gradient[k];
        const float u =
            step.nesterov != 0 ? gradient[k] + step.momentum * velocity[k] : velocity[k];
        weights[k] -= step.decay * weights[k] + step.lr * u;
    }
}

inline void adagrad_row(float* weights,
                        float* state,
                        const float* gradient,
                        std::size_t dim,
                        const kernels::AdagradStep& step) noexcept {
    if (dim == 0) return;
    float squares = 0;
    for (std::size_t k = 0; k < dim; ++k) squares += gradient[k] * gradient[k];
    *state += squares / static_cast<float>(dim);
    const float rate = step.lr / (std::sqrt(*state) + step.epsilon);
    for (std::size_t k = 0; k < dim; ++k)
        weights[k] -= step.decay * weights[k] + rate * gradient[k];
}

inline void adam_row(float* weights,
                     float* first,
                     float* second,
                     const float* gradient,
                     std::size_t dim,
                     const kernels::AdamStep& step) noexcept {
    for (std::size_t k = 0; k < dim; ++k) {
        const float g = gradient[k];
        first[k] = step.beta1 * first[k] + (1 - step.beta1) * g;
        second[k] = step.beta2 * second[k] + (1 - step.beta2) * g * g;
        weights[k] -=
            step.decay * weights[k] + step.lr * first[k] / (std::sqrt(second[k]) + step.epsilon);
    }
}

inline void relu(float* x, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) x[k] = x[k] > 0 ? x[k] : 0;
}

inline void sigmoid(float* x, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) x[k] = 1 / (1 + std::exp(-x[k]));
}

inline void tanh(float* x, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) x[k] = std::tanh(x[k]);
}

inline float exp_sum(float* x, std::size_t count, float shift) noexcept {
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += x[i] = std::exp(x[i] - shift);
    return sum;
}

inline float softmax(float* x, std::size_t count) noexcept {
    if (count == 0) return -INFINITY;
    float largest = x[0];
    for (std::size_t i = 1; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
    const float sum = exp_sum(x, count, largest);
    for (std::size_t i = 0; i < count; ++i) x[i] /= sum;
    return largest + std::log(sum);
}

}  // namespace slidekit::bench::SLIDEKIT_PEER_NAMESPACE
