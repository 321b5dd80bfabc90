// Helpers around small networks: their weights as one list, usual update rules, outputs by name.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include <slidekit/nn/network.hpp>

namespace slidekit::testing {

/// All weights and biases, without padding.
inline std::vector<float> weights_of(const nn::Network& network) {
    std::vector<float> weights;
    for (const nn::Parameters* parameters : {&network.input(), &network.output()}) {
        for (std::size_t i = 0; i < parameters->rows(); ++i) {
            std::vector<float> row(parameters->dim());
            parameters->copy_row(i, row.data());
            weights.insert(weights.end(), row.begin(), row.end());
        }
        weights.insert(weights.end(), parameters->bias().begin(), parameters->bias().end());
    }
    weights.insert(weights.end(), network.hidden_bias().begin(), network.hidden_bias().end());
    return weights;
}

/// The same as integers, so that -0 differs from 0 and NaN equals itself.
inline std::vector<std::uint32_t> bits_of(const nn::Network& network) {
    std::vector<std::uint32_t> bits;
    for (const float weight : weights_of(network))
        bits.push_back(std::bit_cast<std::uint32_t>(weight));
    return bits;
}

/// Gives every bias a value other than 0, so that a test sees whether it is used; a point without
/// features then stays off ReLU's kink.
inline void set_biases(nn::Network& network) {
    float value = -0.31F;
    for (float& bias : network.hidden_bias()) bias = (value += 0.05F);
    value = -0.205F;
    for (float& bias : network.output().bias()) bias = (value += 0.01F);
}

/// An output whose active sets hold every neuron: two buckets a table, many tables, nothing capped.
inline nn::LshOutput every_neuron(std::uint32_t labels) {
    return {.hash = {.k = 1, .l = 40},
            .mix = {.lsh = labels, .batch = 0, .uniform = 0},
            .bucket_cap = 0};
}

/// Active neurons found by hash, ranked among many more candidates, beside some that are drawn.
inline nn::LshOutput some_neurons(std::uint32_t lsh, std::uint32_t batch, std::uint32_t uniform) {
    return {.hash = {.k = 5, .l = 12}, .mix = {.lsh = lsh, .batch = batch, .uniform = uniform}};
}

/// Adam as at its first steps: the caller's learning rate is taken as corrected.
inline nn::UpdateRule adam(float lr) { return kernels::AdamStep{.lr = lr}; }
inline nn::UpdateRule sgd(float lr) { return kernels::SgdStep{.lr = lr}; }

}  // namespace slidekit::testing
