// Ranked labels read back from a file as `slidekit predict` writes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include <slidekit/kernels/export.hpp>

namespace slidekit::data {

/// Labels of points, best first, as CSR.
struct Predictions {
    std::vector<std::uint64_t> offsets{0};
    std::vector<std::uint32_t> labels;
    std::size_t most = 0;  // labels of the point that has most

    [[nodiscard]] std::span<const std::uint32_t> of(std::size_t point) const noexcept {
        return std::span(labels).subspan(offsets[point], offsets[point + 1] - offsets[point]);
    }
};

/// Reads `points` lines `label:score label:score ...`: labels below `labels` and distinct, finite
/// scores that do not rise, one blank between two; a line may have any number of them, or none.
/// Throws Error (input) naming file, line, value and remedy, for every departure from it.
[[nodiscard]] SLIDEKIT_API Predictions read_predictions(const std::filesystem::path& file,
                                                        std::uint32_t points,
                                                        std::uint32_t labels);

}  // namespace slidekit::data
