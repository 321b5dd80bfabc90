// Metrics of a network, in blocks of points so that predictions need little memory.
#include <slidekit/train/evaluation.hpp>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace slidekit::train {

namespace {

// Points begin .. end - 1 of a view, sharing its arrays.
data::PointsView slice(const data::PointsView& points, std::size_t begin, std::size_t end) {
    data::PointsView part = points;
    part.points = static_cast<std::uint32_t>(end - begin);
    part.feature_offsets = points.feature_offsets.subspan(begin, end - begin + 1);
    part.label_offsets = points.label_offsets.subspan(begin, end - begin + 1);
    part.weights = {};  // no metric knows them
    return part;
}

}  // namespace

Evaluation evaluate_at(const nn::Network& network,
                       const data::PointsView& points,
                       std::span<const std::uint32_t> depths,
                       RetrievalMode mode,
                       std::span<const double> inverse_propensities) {
    constexpr std::size_t kPointsPerBlock = 8192;
    const std::uint32_t deepest =
        depths.empty() ? 0 : *std::max_element(depths.begin(), depths.end());
    const std::uint32_t depth = std::min(deepest, points.labels);
    MetricSums sums(depths, inverse_propensities);
    Evaluation evaluation;
    std::vector<std::uint32_t> ranked(depth);
    for (std::size_t begin = 0; begin < points.points; begin += kPointsPerBlock) {
        const std::size_t end = std::min<std::size_t>(points.points, begin + kPointsPerBlock);
        const data::PointsView block = slice(points, begin, end);
        std::vector<nn::Ranked> best;
        if (mode == RetrievalMode::lsh) {
            nn::Retrieved retrieved = network.retrieve(block, depth);
            best = std::move(retrieved.best);
            evaluation.candidates += retrieved.candidates;
        } else {
            best = mode == RetrievalMode::scan ? network.scan(block, depth)
                                               : network.predict(block, depth);
        }
        for (std::size_t i = 0; i < block.points; ++i) {
            for (std::uint32_t rank = 0; rank < depth; ++rank)
                ranked[rank] = best[i * depth + rank].label;
            sums.add(ranked, block.labels_of(i));
        }
    }
    evaluation.metrics = sums.result();
    return evaluation;
}

Precision evaluate(const nn::Network& network,
                   const data::PointsView& points,
                   std::span<const double> inverse_propensities) {
    constexpr std::array<std::uint32_t, 3> kDepths = {1, 3, 5};
    Metrics metrics =
        evaluate_at(network, points, kDepths, RetrievalMode::exact, inverse_propensities).metrics;
    return {.points = metrics.points,
            .at_1 = metrics.precision[0],
            .at_3 = metrics.precision[1],
            .at_5 = metrics.precision[2],
            .metrics = std::move(metrics)};
}

}  // namespace slidekit::train
