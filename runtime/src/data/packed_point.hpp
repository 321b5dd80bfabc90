// A point as one block of 32-bit words: two counts, then labels, their values, features, their
// values. A shuffle buffer holds many points for a long time, each to be freed on its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "data/dataset_storage.hpp"

namespace slidekit::data {

/// Thread-compatible, move-only.
class PackedPoint {
public:
    PackedPoint() noexcept = default;
    /// The only point of `point`, with label values where `point` has them.
    explicit PackedPoint(const PointArrays& point)
        : words_(std::make_unique_for_overwrite<std::uint32_t[]>(
              words(point.label_ids.size(), point.feature_ids.size(), point.valued))) {
        words_[0] = static_cast<std::uint32_t>(point.label_ids.size());
        words_[1] = static_cast<std::uint32_t>(point.feature_ids.size());
        std::uint32_t* at = words_.get() + 2;
        const auto add = [&](const auto& array) {
            static_assert(sizeof(array[0]) == sizeof(std::uint32_t));
            // No pointer of an empty array is given to memcpy.
            if (!array.empty()) std::memcpy(at, array.data(), array.size() * sizeof(array[0]));
            at += array.size();
        };
        add(point.label_ids);
        if (point.valued) add(point.label_values);
        add(point.feature_ids);
        add(point.feature_values);
    }

    /// Words of a point.
    [[nodiscard]] static std::size_t words(std::size_t labels, std::size_t nnz, bool valued) {
        return 2 + labels * (valued ? 2 : 1) + 2 * nnz;
    }

    /// Adds a copy to `arrays`, which have label values as this point has.
    void append_to(PointArrays& arrays) const {
        const std::size_t labels = words_[0];
        const std::size_t nnz = words_[1];
        const std::uint32_t* at = words_.get() + 2;
        const auto take = [&](auto& array, std::size_t count) {
            const std::size_t begin = array.size();
            array.resize(begin + count);
            if (count > 0) std::memcpy(array.data() + begin, at, count * sizeof(array[0]));
            at += count;
        };
        take(arrays.label_ids, labels);
        if (arrays.valued) take(arrays.label_values, labels);
        take(arrays.feature_ids, nnz);
        take(arrays.feature_values, nnz);
        arrays.label_offsets.push_back(arrays.label_ids.size());
        arrays.feature_offsets.push_back(arrays.feature_ids.size());
    }

private:
    std::unique_ptr<std::uint32_t[]> words_;
};

}  // namespace slidekit::data
