// Small sets of points for tests: written out point by point, or drawn from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::testing {

struct ToyPoint {
    std::vector<std::pair<std::uint32_t, float>> features;
    std::vector<std::uint32_t> labels;  // ascending and distinct
};

/// Owner of the arrays behind a PointsView.
class ToyPoints {
public:
    ToyPoints(std::uint32_t features, std::uint32_t labels)
        : features_(features), labels_(labels) {}

    ToyPoints& add(const ToyPoint& point) {
        for (const auto& [id, value] : point.features) {
            feature_ids_.push_back(id);
            feature_values_.push_back(value);
        }
        label_ids_.insert(label_ids_.end(), point.labels.begin(), point.labels.end());
        feature_offsets_.push_back(feature_ids_.size());
        label_offsets_.push_back(label_ids_.size());
        return *this;
    }

    /// Targets beside all labels, and weights of all points.
    ToyPoints& set_values(std::vector<float> values) {
        label_values_ = std::move(values);
        return *this;
    }
    ToyPoints& set_weights(std::vector<float> weights) {
        weights_ = std::move(weights);
        return *this;
    }

    [[nodiscard]] data::PointsView view() const {
        return {.points = static_cast<std::uint32_t>(label_offsets_.size() - 1),
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

private:
    std::uint32_t features_;
    std::uint32_t labels_;
    std::vector<std::uint64_t> feature_offsets_{0};
    std::vector<std::uint32_t> feature_ids_;
    std::vector<float> feature_values_;
    std::vector<std::uint64_t> label_offsets_{0};
    std::vector<std::uint32_t> label_ids_;
    std::vector<float> label_values_;
    std::vector<float> weights_;
};

/// The points as XMC text.
inline std::string xmc_text(const data::PointsView& points) {
    std::ostringstream text;
    text.precision(9);
    text << points.points << ' ' << points.features << ' ' << points.labels << '\n';
    for (std::size_t i = 0; i < points.points; ++i) {
        const char* comma = "";
        for (const std::uint32_t label : points.labels_of(i))
            text << std::exchange(comma, ",") << label;
        for (std::size_t at = points.feature_offsets[i]; at < points.feature_offsets[i + 1]; ++at)
            text << ' ' << points.feature_ids[at] << ':' << points.feature_values[at];
        text << '\n';
    }
    return text.str();
}

/// Points of `nnz` features at random places with values in [-1, 1) and 1 to 3 labels.
inline ToyPoints random_points(std::uint32_t count,
                               std::uint32_t features,
                               std::uint32_t labels,
                               std::uint32_t nnz,
                               std::uint64_t seed) {
    ToyPoints points(features, labels);
    for (std::uint32_t i = 0; i < count; ++i) {
        system::Stream stream(seed, system::Purpose::test, i);
        ToyPoint point;
        const std::uint32_t stride = features / nnz;
        for (std::uint32_t j = 0; j < nnz; ++j) {
            point.features.emplace_back(j * stride + stream.below(stride),
                                        2 * stream.uniform() - 1);
        }
        const std::uint32_t count_of_labels = 1 + stream.below(3);
        for (std::uint32_t j = 0; j < count_of_labels; ++j) {
            const std::uint32_t first = labels * j / 3;
            point.labels.push_back(first + stream.below(labels * (j + 1) / 3 - first));
        }
        points.add(point);
    }
    return points;
}

/// A set that can be learnt: label y shows in its own three features, among two that mean nothing.
/// The features are 3 * labels + 20.
inline ToyPoints learnable_points(std::uint32_t count, std::uint32_t labels, std::uint64_t seed) {
    constexpr std::uint32_t kNoise = 20;
    ToyPoints points(3 * labels + kNoise, labels);
    for (std::uint32_t i = 0; i < count; ++i) {
        system::Stream stream(seed, system::Purpose::test, i);
        const std::uint32_t label = stream.below(labels);
        ToyPoint point{.features = {}, .labels = {label}};
        for (std::uint32_t j = 0; j < 3; ++j)
            point.features.emplace_back(3 * label + j, 0.5F + stream.uniform());
        point.features.emplace_back(3 * labels + stream.below(kNoise / 2), stream.uniform());
        point.features.emplace_back(3 * labels + kNoise / 2 + stream.below(kNoise / 2),
                                    stream.uniform());
        points.add(point);
    }
    return points;
}

}  // namespace slidekit::testing
