// What a sample is to learn, and the losses of neurons that do not depend on each other.
//
// Softmax needs sums over all that is active, which each output takes its own way; sigmoid and
// squared error are a matter of one logit and one target, and stand here.
#pragma once

#include <cstdint>
#include <span>

#include <slidekit/data/dataset.hpp>
#include <slidekit/nn/network.hpp>

namespace slidekit::nn {

/// Targets of a batch's labels, label smoothing E included.
///
/// softmax: (1 - E) of a label's share of the targets' sum, and E / active everywhere; sigmoid:
/// target (1 - E) + E / 2, and E / 2 everywhere; squared: the target itself.
class Targets {
public:
    Targets(const data::PointsView& batch, Loss loss, float smoothing) noexcept
        : batch_(batch), loss_(loss), smoothing_(smoothing) {}

    /// Weight of a sample: 1 where the data has none.
    [[nodiscard]] float weight(std::size_t sample) const noexcept {
        return batch_.weights.empty() ? 1.0F : batch_.weights[sample];
    }
    /// Factor of the targets of a sample's labels: kept() / divisor(sample).
    [[nodiscard]] float scale(std::size_t sample) const noexcept {
        return kept() / divisor(sample);
    }
    /// What label smoothing leaves of a target.
    [[nodiscard]] float kept() const noexcept {
        return loss_ == Loss::squared ? 1 : 1 - smoothing_;
    }
    /// Sum of a sample's targets for softmax, else 1.
    [[nodiscard]] float divisor(std::size_t sample) const noexcept;
    /// Of the i-th label of the batch's label_ids, before the factor.
    [[nodiscard]] float raw(std::size_t i) const noexcept {
        return batch_.label_values.empty() ? 1.0F : batch_.label_values[i];
    }
    /// Of label `id` of a sample, factor included, less what every neuron has.
    [[nodiscard]] float of(std::size_t sample, std::uint32_t id) const noexcept;
    /// What every active neuron has, of `active` in all.
    [[nodiscard]] float everywhere(std::size_t active) const noexcept;

    [[nodiscard]] Loss loss() const noexcept { return loss_; }

private:
    const data::PointsView& batch_;
    Loss loss_;
    float smoothing_;
};

/// Turns logits of neurons with one target into gradients times shares[i * stride], and returns the
/// sum of their losses times these. For sigmoid and squared.
double pointwise_gradients(Loss loss,
                           std::span<float> logits,
                           float target,
                           const float* shares,
                           std::size_t stride) noexcept;

/// What the loss of a logit grows by where the target is `target` higher than was reckoned with
/// pointwise_gradients(.., `base`, ..). Its gradient falls by `target`.
[[nodiscard]] double target_loss(Loss loss, float logit, float target, float base) noexcept;

}  // namespace slidekit::nn
