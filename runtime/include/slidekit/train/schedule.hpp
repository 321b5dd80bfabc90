// Schedules as values: when the tables are rebuilt, and the learning rate of each step.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace slidekit::train {

/// Rebuilds at steps first, first (1 + e^growth), ...: the t-th after the sum over i < t of first *
/// e^(growth i) steps (SLIDE [MLSys 2020], section 4.2). first 50 and growth 0.1 give 50, 105, 166,
/// 234, 308, ...
class RebuildSchedule {
public:
    RebuildSchedule(std::uint64_t first, double growth) noexcept
        : growth_(growth), gap_(static_cast<double>(first)), next_(gap_) {}

    /// True once at each step where a rebuild is due. Steps are asked in ascending order.
    [[nodiscard]] bool due(std::uint64_t step) noexcept {
        if (static_cast<double>(step) < std::round(next_)) return false;
        gap_ *= std::exp(growth_);
        next_ += gap_;
        return true;
    }

private:
    double growth_;
    double gap_;
    double next_;
};

enum class LearningRateShape { constant, linear, cosine };

/// Factor of the learning rate at `step` of `total`: 1 throughout, or falling from 1 to 0 on a line
/// or half a cosine.
[[nodiscard]] inline double learning_rate_factor(LearningRateShape shape,
                                                 std::uint64_t step,
                                                 std::uint64_t total) noexcept {
    if (total == 0) return 1;
    const double passed = std::fmin(1, static_cast<double>(step) / static_cast<double>(total));
    switch (shape) {
        case LearningRateShape::linear: return 1 - passed;
        case LearningRateShape::cosine: return 0.5 * (1 + std::cos(std::numbers::pi * passed));
        default: return 1;
    }
}

}  // namespace slidekit::train
