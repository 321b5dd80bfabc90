// Batches: copies of points, and the order of an epoch.
#include <slidekit/data/batches.hpp>

#include <numeric>
#include <utility>

#include <slidekit/system/random.hpp>

namespace slidekit::data {

void Batch::assign(const PointsView& source, std::span<const std::uint32_t> points) {
    clear(source.features, source.labels);
    for (const std::uint32_t point : points) append(source, point);
}

void Batch::clear(std::uint32_t features, std::uint32_t labels) {
    points_ = 0;
    features_ = features;
    labels_ = labels;
    feature_offsets_.assign(1, 0);
    label_offsets_.assign(1, 0);
    feature_ids_.clear();
    feature_values_.clear();
    label_ids_.clear();
    label_values_.clear();
    weights_.clear();
}

void Batch::append(const PointsView& source, std::size_t point) {
    ++points_;
    const std::span<const std::uint32_t> labels = source.labels_of(point);
    label_ids_.insert(label_ids_.end(), labels.begin(), labels.end());
    label_offsets_.push_back(label_ids_.size());
    if (!source.label_values.empty()) {
        const auto targets =
            source.label_values.subspan(source.label_offsets[point], labels.size());
        label_values_.insert(label_values_.end(), targets.begin(), targets.end());
    }
    if (!source.weights.empty()) weights_.push_back(source.weights[point]);
    const std::size_t begin = source.feature_offsets[point];
    const auto ids = source.feature_ids.subspan(begin, source.nnz_of(point));
    const auto values = source.feature_values.subspan(begin, source.nnz_of(point));
    feature_ids_.insert(feature_ids_.end(), ids.begin(), ids.end());
    feature_values_.insert(feature_values_.end(), values.begin(), values.end());
    feature_offsets_.push_back(feature_ids_.size());
}

void Batch::drop_features(float p, std::uint64_t seed, std::uint64_t step) {
    const float scale = 1 / (1 - p);
    std::size_t kept = 0;
    std::size_t begin = 0;
    for (std::uint32_t point = 0; point < points_; ++point) {
        system::Stream stream(seed, system::Purpose::feature_dropout, step, point);
        const std::size_t end = feature_offsets_[point + 1];
        for (std::size_t at = begin; at < end; ++at) {
            if (stream.uniform() < p) continue;
            feature_ids_[kept] = feature_ids_[at];
            feature_values_[kept++] = scale * feature_values_[at];
        }
        feature_offsets_[point + 1] = kept;
        begin = end;
    }
    feature_ids_.resize(kept);
    feature_values_.resize(kept);
}

PointsView Batch::view() const noexcept {
    return {.points = points_,
            .features = features_,
            .labels = labels_,
            .feature_offsets = feature_offsets_,
            .feature_ids = feature_ids_,
            .feature_values = feature_values_,
            .label_offsets = label_offsets_,
            .label_ids = label_ids_,
            .label_values = label_values_,
            .weights = weights_};
}

std::vector<std::uint32_t> shuffled_order(std::uint32_t points,
                                          std::uint64_t seed,
                                          std::uint64_t epoch) {
    std::vector<std::uint32_t> order(points);
    std::iota(order.begin(), order.end(), 0U);
    system::Stream stream(seed, system::Purpose::shuffle, epoch);
    for (std::uint32_t i = points; i > 1; --i) std::swap(order[i - 1], order[stream.below(i)]);
    return order;
}

}  // namespace slidekit::data
