// Metrics of a network on points whose labels are known.
#pragma once

#include <cstdint>
#include <span>

#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/export.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/train/metrics.hpp>

namespace slidekit::train {

/// Metrics at the depths 1, 3 and 5, P@k by name.
struct Precision {
    std::uint64_t points = 0;  // those with labels
    double at_1 = 0;
    double at_3 = 0;
    double at_5 = 0;
    Metrics metrics = {};
};

/// How labels are found: over all neurons, among the candidates of the network's hash tables, or by
/// 8-bit copies of all rows in them.
enum class RetrievalMode { exact, lsh, scan };

struct Evaluation {
    Metrics metrics;
    std::uint64_t candidates = 0;  // neurons looked at, summed over all points (lsh)
};
/// The metrics at each of `depths`, PSP@k where propensities are given. Ranks beyond the width of
/// the layer, or beyond what retrieval finds, count as misses. Requires: unless exact,
/// Network::index() before.
[[nodiscard]] SLIDEKIT_API Evaluation
evaluate_at(const nn::Network& network,
            const data::PointsView& points,
            std::span<const std::uint32_t> depths,
            RetrievalMode mode = RetrievalMode::exact,
            std::span<const double> inverse_propensities = {});

/// The same at 1, 3 and 5, over all neurons.
[[nodiscard]] SLIDEKIT_API Precision evaluate(const nn::Network& network,
                                              const data::PointsView& points,
                                              std::span<const double> inverse_propensities = {});

}  // namespace slidekit::train
