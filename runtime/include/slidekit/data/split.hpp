// A part of the points, held out at random.
#pragma once

#include <cstdint>
#include <vector>

#include <slidekit/kernels/export.hpp>

namespace slidekit::data {

/// Numbers of points, ascending.
struct Split {
    std::vector<std::uint32_t> kept;
    std::vector<std::uint32_t> held_out;
};

/// Holds each point out with probability `share`. Whether it is depends on (seed, point) only, so
/// that it can be told of one point alone.
[[nodiscard]] SLIDEKIT_API Split split_points(std::uint32_t points,
                                              double share,
                                              std::uint64_t seed);

}  // namespace slidekit::data
