// Metrics of ranked labels: sums by rank for each point, read off at each depth.
#include <slidekit/train/metrics.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

namespace slidekit::train {

std::vector<double> inverse_propensities(std::span<const std::uint32_t> counts,
                                         std::uint64_t points,
                                         const PropensityModel& model) {
    const double c =
        (std::log(std::fmax(1, static_cast<double>(points))) - 1) * std::pow(model.b + 1, model.a);
    std::vector<double> inverse;
    inverse.reserve(counts.size());
    for (const std::uint32_t count : counts)
        inverse.push_back(1 + std::fmax(0, c) * std::pow(count + model.b, -model.a));
    return inverse;
}

std::vector<double> inverse_propensities(const data::PointsView& training,
                                         const PropensityModel& model) {
    return inverse_propensities(data::count_labels(training), training.points, model);
}

MetricSums::MetricSums(std::span<const std::uint32_t> depths,
                       std::span<const double> inverse_propensities)
    : depths_(depths.begin(), depths.end()),
      inverse_propensities_(inverse_propensities),
      sums_(depths.size()) {
    const std::size_t deepest =
        depths.empty() ? 0 : *std::max_element(depths.begin(), depths.end());
    ideal_.resize(deepest + 1);
    for (std::size_t rank = 1; rank <= deepest; ++rank)
        ideal_[rank] = ideal_[rank - 1] + 1 / std::log2(static_cast<double>(rank + 1));
}

void MetricSums::gather(std::span<const std::uint32_t> ranked,
                        std::span<const std::uint32_t> labels) {
    Gains gains;
    gains_.assign(1, gains);
    for (std::size_t i = 0; i < std::min(ranked.size(), ideal_.size() - 1); ++i) {
        if (std::binary_search(labels.begin(), labels.end(), ranked[i])) {
            gains.hits += 1;
            gains.dcg += 1 / std::log2(static_cast<double>(i + 2));
            if (!inverse_propensities_.empty()) gains.weight += inverse_propensities_[ranked[i]];
        }
        gains_.push_back(gains);
    }
}

void MetricSums::gather_best(std::span<const std::uint32_t> labels) {
    best_.assign(1, 0);
    if (inverse_propensities_.empty()) return;
    weights_.clear();
    for (const std::uint32_t label : labels) weights_.push_back(inverse_propensities_[label]);
    std::sort(weights_.begin(), weights_.end(), std::greater<>());
    for (std::size_t i = 0; i < std::min(weights_.size(), ideal_.size() - 1); ++i)
        best_.push_back(best_.back() + weights_[i]);
}

void MetricSums::add(std::span<const std::uint32_t> ranked, std::span<const std::uint32_t> labels) {
    if (labels.empty()) return;
    ++points_;
    gather(ranked, labels);
    gather_best(labels);
    for (std::size_t i = 0; i < depths_.size(); ++i) {
        const std::size_t depth = depths_[i];
        const Gains& gains = gains_[std::min(depth, gains_.size() - 1)];
        Sums& sums = sums_[i];
        sums.hits += gains.hits;
        sums.ndcg += gains.dcg / ideal_[std::min(depth, labels.size())];
        sums.recall += static_cast<double>(gains.hits) / static_cast<double>(labels.size());
        sums.weight += gains.weight;
        sums.best_weight += best_[std::min(depth, best_.size() - 1)];
    }
}

Metrics MetricSums::result() const {
    const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
    const auto points = static_cast<double>(points_);
    Metrics metrics;
    metrics.points = points_;
    metrics.depths = depths_;
    for (std::size_t i = 0; i < depths_.size(); ++i) {
        const Sums& sums = sums_[i];
        metrics.precision.push_back(
            share(static_cast<double>(sums.hits), static_cast<double>(depths_[i] * points_)));
        metrics.ndcg.push_back(share(sums.ndcg, points));
        metrics.recall.push_back(share(sums.recall, points));
        if (!inverse_propensities_.empty())
            metrics.psp.push_back(share(sums.weight, sums.best_weight));
    }
    return metrics;
}

}  // namespace slidekit::train
