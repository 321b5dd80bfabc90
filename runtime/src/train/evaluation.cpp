// Precision at k, in blocks of points so that predictions need little memory.
#include <slidekit/train/evaluation.hpp>

#include <algorithm>
#include <array>
#include <numeric>
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
    return part;
}

}  // namespace

PrecisionAt evaluate_at(const nn::Network& network,
                        const data::PointsView& points,
                        std::span<const std::uint32_t> depths,
                        RetrievalMode mode) {
    constexpr std::size_t kPointsPerBlock = 8192;
    const std::uint32_t deepest =
        depths.empty() ? 0 : *std::max_element(depths.begin(), depths.end());
    const std::uint32_t depth = std::min(deepest, points.labels);
    std::vector<std::uint64_t> hits(deepest);  // by rank
    PrecisionAt precision;
    for (std::size_t begin = 0; begin < points.points; begin += kPointsPerBlock) {
        const std::size_t end = std::min<std::size_t>(points.points, begin + kPointsPerBlock);
        const data::PointsView block = slice(points, begin, end);
        std::vector<nn::Ranked> best;
        if (mode == RetrievalMode::lsh) {
            nn::Retrieved retrieved = network.retrieve(block, depth);
            best = std::move(retrieved.best);
            precision.candidates += retrieved.candidates;
        } else {
            best = mode == RetrievalMode::scan ? network.scan(block, depth)
                                               : network.predict(block, depth);
        }
        for (std::size_t i = 0; i < block.points; ++i) {
            const std::span<const std::uint32_t> labels = block.labels_of(i);
            if (labels.empty()) continue;
            ++precision.points;
            for (std::uint32_t rank = 0; rank < depth; ++rank) {
                hits[rank] +=
                    std::binary_search(labels.begin(), labels.end(), best[i * depth + rank].label)
                        ? 1
                        : 0;
            }
        }
    }
    for (const std::uint32_t k : depths) {
        const std::uint64_t total =
            std::accumulate(hits.begin(), hits.begin() + k, std::uint64_t{0});
        const std::uint64_t possible = k * precision.points;
        precision.at.push_back(
            possible == 0 ? 0.0 : static_cast<double>(total) / static_cast<double>(possible));
    }
    return precision;
}

Precision evaluate(const nn::Network& network, const data::PointsView& points) {
    constexpr std::array<std::uint32_t, 3> kDepths = {1, 3, 5};
    const PrecisionAt precision = evaluate_at(network, points, kDepths);
    return {.points = precision.points,
            .at_1 = precision.at[0],
            .at_3 = precision.at[1],
            .at_5 = precision.at[2]};
}

}  // namespace slidekit::train
