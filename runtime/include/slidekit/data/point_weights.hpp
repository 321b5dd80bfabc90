// Weights of training points, from a text with a number a line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include <slidekit/kernels/export.hpp>

namespace slidekit::data {

/// The weights of `points` points, for PointsView::weights: a finite number of at least 0 a line,
/// as many lines as points, in their order; blanks around a number are passed over. Throws Error
/// (input) naming file, line, value and remedy, also where all weights are 0.
[[nodiscard]] SLIDEKIT_API std::vector<float> read_point_weights(const std::filesystem::path& file,
                                                                 std::uint32_t points);

}  // namespace slidekit::data
