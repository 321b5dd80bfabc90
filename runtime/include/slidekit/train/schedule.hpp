// Schedules as values: when the tables are rebuilt, and the learning rate of each step.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>

#include <slidekit/nn/state.hpp>

namespace slidekit::train {

/// Rebuilds at steps first, first (1 + e^growth), ...: the t-th after the sum over i < t of first *
/// e^(growth i) steps (SLIDE [MLSys 2020], section 4.2). first 50 and growth 0.1 give 50, 105, 166,
/// 234, 308, ...; growth 0 gives a fixed period.
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

    void visit_state(nn::StateVisitor& state, const std::string& name) {
        state.numbers(name, gap_, next_);
    }

    /// Steps from the last rebuild that was due to the next, rounded; no more than 2^31.
    [[nodiscard]] std::uint32_t gap() const noexcept {
        return static_cast<std::uint32_t>(std::round(std::min(gap_, 2147483648.0)));
    }

private:
    double growth_;
    double gap_;
    double next_;
};

/// Steps that share the work of a rebuild when the next one is due `gap` steps later: two thirds of
/// them, at most 128, so that a step is dearer by some 10 % (bench/README.md). 0 where the gap is
/// too short to cut the work.
[[nodiscard]] inline std::uint32_t background_steps(std::uint32_t gap) noexcept {
    constexpr std::uint32_t kShortestGap = 8;
    constexpr std::uint32_t kMostSteps = 128;
    return gap < kShortestGap ? 0 : std::min(gap / 3 * 2, kMostSteps);
}

enum class LearningRateShape { constant, linear, cosine, step };

struct LearningRateSchedule {
    LearningRateShape shape = LearningRateShape::cosine;
    std::uint64_t warm_up = 0;        // steps of a linear rise to the full rate; the shape follows
    std::uint64_t step_every = 1000;  // steps of the shape `step` between two falls
    double step_factor = 0.5;         // of each fall
};

/// Factor of the learning rate at `step` of `total`. After the warm-up, whose step i has (i + 1) /
/// warm_up: 1 throughout, falling from 1 to 0 on a line or half a cosine, or by step_factor after
/// each step_every steps.
[[nodiscard]] inline double learning_rate_factor(const LearningRateSchedule& schedule,
                                                 std::uint64_t step,
                                                 std::uint64_t total) noexcept {
    if (total == 0) return 1;
    const std::uint64_t warm_up = schedule.warm_up;
    if (step < warm_up) return static_cast<double>(step + 1) / static_cast<double>(warm_up);
    const auto since = static_cast<double>(step - warm_up);
    const double passed =
        warm_up >= total ? 1 : std::fmin(1, since / static_cast<double>(total - warm_up));
    switch (schedule.shape) {
        case LearningRateShape::linear: return 1 - passed;
        case LearningRateShape::cosine: return 0.5 * (1 + std::cos(std::numbers::pi * passed));
        case LearningRateShape::step:
            return std::pow(schedule.step_factor,
                            std::floor(since / static_cast<double>(schedule.step_every)));
        default: return 1;
    }
}

}  // namespace slidekit::train
