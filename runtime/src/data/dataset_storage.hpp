// What a data set owns: vectors that a reader filled, or a mapped cache file.
#pragma once

#include <cstdint>
#include <vector>

#include <slidekit/data/dataset.hpp>

#include "data/mapped_file.hpp"

namespace slidekit::data {

/// Points, features or labels of a set at most.
inline constexpr std::uint32_t kLargestCount = 0x7fffffff;

/// The arrays of PointsView, growing while a text is read.
struct PointArrays {
    std::uint32_t features = 0;
    std::uint32_t labels = 0;
    std::vector<std::uint64_t> feature_offsets = {0};
    std::vector<std::uint32_t> feature_ids;
    std::vector<float> feature_values;
    std::vector<std::uint64_t> label_offsets = {0};
    std::vector<std::uint32_t> label_ids;
    std::vector<float> label_values;  // beside label_ids once `valued`
    bool valued = false;              // a label has a value: those without have 1

    [[nodiscard]] PointsView view() const noexcept {
        return {.points = static_cast<std::uint32_t>(feature_offsets.size() - 1),
                .features = features,
                .labels = labels,
                .feature_offsets = feature_offsets,
                .feature_ids = feature_ids,
                .feature_values = feature_values,
                .label_offsets = label_offsets,
                .label_ids = label_ids,
                .label_values = label_values};
    }
};

struct Dataset::Storage {
    PointsView view;
    DatasetReport report;
    PointArrays arrays;  // of a text
    MappedFile mapping;  // of a cache
};

}  // namespace slidekit::data
