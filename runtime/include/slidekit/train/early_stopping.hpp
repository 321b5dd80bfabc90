// Early stopping: the best evaluation on held-out points, and how long ago it was (Prechelt 1998).
#pragma once

#include <cstdint>

namespace slidekit::train {

/// Plain values, so that a checkpoint can hold them.
struct EarlyStopping {
    double best = -1;             // P@1; below 0: nothing was evaluated yet
    std::uint64_t best_step = 0;  // steps done at the best, the first where several are equal
    std::uint32_t since = 0;      // evaluations after it

    void observe(double precision, std::uint64_t step) noexcept {
        if (precision > best) {
            *this = {.best = precision, .best_step = step, .since = 0};
        } else {
            ++since;
        }
    }

    /// Whether `patience` evaluations in a row were no better; patience 0: never.
    [[nodiscard]] bool due(std::uint32_t patience) const noexcept {
        return patience > 0 && since >= patience;
    }
};

}  // namespace slidekit::train
