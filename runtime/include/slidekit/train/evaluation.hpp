// Precision of predictions against the true labels.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/export.hpp>
#include <slidekit/nn/network.hpp>

namespace slidekit::train {

/// P@k: the share of a point's k best labels that are true, averaged over the points that have
/// labels.
struct Precision {
    std::uint64_t points = 0;
    double at_1 = 0;
    double at_3 = 0;
    double at_5 = 0;
};

/// P@k for each k of `depths` by exact evaluation over all neurons. Ranks beyond the width of the
/// layer count as misses.
struct PrecisionAt {
    std::uint64_t points = 0;
    std::vector<double> at;  // one for each of depths
};
[[nodiscard]] SLIDEKIT_API PrecisionAt evaluate_at(const nn::Network& network,
                                                   const data::PointsView& points,
                                                   std::span<const std::uint32_t> depths);

/// P@1, P@3 and P@5.
[[nodiscard]] SLIDEKIT_API Precision evaluate(const nn::Network& network,
                                              const data::PointsView& points);

}  // namespace slidekit::train
