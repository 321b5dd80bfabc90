// Targets, sigmoid cross-entropy and squared error.
#include "nn/loss.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <slidekit/kernels/activation.hpp>

namespace slidekit::nn {

float Targets::divisor(std::size_t sample) const noexcept {
    if (loss_ != Loss::softmax) return 1;
    const std::size_t begin = batch_.label_offsets[sample];
    const std::size_t end = batch_.label_offsets[sample + 1];
    if (batch_.label_values.empty()) return static_cast<float>(end - begin);
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += static_cast<double>(batch_.label_values[i]);
    return static_cast<float>(sum);
}

float Targets::of(std::size_t sample, std::uint32_t id) const noexcept {
    const auto labels = batch_.labels_of(sample);
    const auto at = static_cast<std::size_t>(std::lower_bound(labels.begin(), labels.end(), id) -
                                             labels.begin());
    return scale(sample) * raw(batch_.label_offsets[sample] + at);
}

float Targets::everywhere(std::size_t active) const noexcept {
    if (loss_ == Loss::softmax) return smoothing_ / static_cast<float>(active);
    return loss_ == Loss::sigmoid ? smoothing_ / 2 : 0;
}

namespace {

// ln(1 + e^z), where p = sigmoid(z): by its series where p is small, as it is for most negatives.
double softplus(float z, float p) {
    const auto q = static_cast<double>(p);
    if (q < 0.01) return q * (1 + q * (1.0 / 2 + q * (1.0 / 3 + q / 4)));
    const auto logit = static_cast<double>(z);
    return std::max(logit, 0.0) + std::log1p(std::exp(-std::abs(logit)));
}

}  // namespace

double pointwise_gradients(Loss loss,
                           std::span<float> logits,
                           float target,
                           const float* shares,
                           std::size_t stride) noexcept {
    double sum = 0;
    if (loss == Loss::squared) {
        for (std::size_t i = 0; i < logits.size(); ++i) {
            const float share = shares[i * stride];
            const float difference = logits[i] - target;
            logits[i] = share * difference;
            sum += 0.5 * static_cast<double>(logits[i]) * static_cast<double>(difference);
        }
        return sum;
    }
    std::array<float, 256> kept{};
    for (std::size_t begin = 0; begin < logits.size(); begin += kept.size()) {
        const std::size_t count = std::min(kept.size(), logits.size() - begin);
        float* const values = logits.data() + begin;
        std::copy_n(values, count, kept.begin());
        kernels::sigmoid(values, count);
        for (std::size_t i = 0; i < count; ++i) {
            const float share = shares[(begin + i) * stride];
            sum += static_cast<double>(share) *
                   (softplus(kept[i], values[i]) -
                    static_cast<double>(target) * static_cast<double>(kept[i]));
            values[i] = share * (values[i] - target);
        }
    }
    return sum;
}

double target_loss(Loss loss, float logit, float target, float base) noexcept {
    const auto z = static_cast<double>(logit);
    const auto t = static_cast<double>(target);
    if (loss == Loss::sigmoid) return -t * z;
    const auto b = static_cast<double>(base);
    return 0.5 * ((z - b - t) * (z - b - t) - (z - b) * (z - b));
}

}  // namespace slidekit::nn
