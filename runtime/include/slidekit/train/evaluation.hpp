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

/// How labels are found: over all neurons, among the candidates of the network's hash tables, or by
/// 8-bit copies of all rows in them.
enum class RetrievalMode { exact, lsh, scan };

/// P@k for each k of `depths`. Ranks beyond the width of the layer, or beyond what retrieval finds,
/// count as misses. Requires: unless exact, Network::index() before.
struct PrecisionAt {
    std::uint64_t points = 0;
    std::vector<double> at;        // one for each of depths
    std::uint64_t candidates = 0;  // neurons looked at, summed over all points (lsh)
};
[[nodiscard]] SLIDEKIT_API PrecisionAt evaluate_at(const nn::Network& network,
                                                   const data::PointsView& points,
                                                   std::span<const std::uint32_t> depths,
                                                   RetrievalMode mode = RetrievalMode::exact);

/// P@1, P@3 and P@5.
[[nodiscard]] SLIDEKIT_API Precision evaluate(const nn::Network& network,
                                              const data::PointsView& points);

}  // namespace slidekit::train
