// Batches of a data set in an order that is shuffled anew each epoch.
#pragma once

#include <cstdint>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/export.hpp>

namespace slidekit::data {

/// Copies of the chosen points, as one CSR block whose arrays are reused from batch to batch.
class SLIDEKIT_API Batch {
public:
    /// Replaces the contents by the given points of `source`, in the given order.
    void assign(const PointsView& source, std::span<const std::uint32_t> points);
    /// No points, of these widths.
    void clear(std::uint32_t features, std::uint32_t labels);
    /// Adds a copy of a point. All points of a batch have label values and weights, or none has.
    void append(const PointsView& source, std::size_t point);
    /// Leaves each feature out with probability p < 1 and scales the others by 1 / (1 - p), so that
    /// sums keep their mean (Srivastava et al. 2014). Depends on (seed, step, place in the batch).
    void drop_features(float p, std::uint64_t seed, std::uint64_t step);
    [[nodiscard]] PointsView view() const noexcept;
    [[nodiscard]] std::uint32_t size() const noexcept { return points_; }

private:
    std::uint32_t points_ = 0;
    std::uint32_t features_ = 0;
    std::uint32_t labels_ = 0;
    std::vector<std::uint64_t> feature_offsets_ = {0};
    std::vector<std::uint32_t> feature_ids_;
    std::vector<float> feature_values_;
    std::vector<std::uint64_t> label_offsets_ = {0};
    std::vector<std::uint32_t> label_ids_;
    std::vector<float> label_values_;  // empty where the source has none
    std::vector<float> weights_;
};

/// The order of points in an epoch: a permutation that depends on (seed, epoch) only (Fisher and
/// Yates).
[[nodiscard]] SLIDEKIT_API std::vector<std::uint32_t> shuffled_order(std::uint32_t points,
                                                                     std::uint64_t seed,
                                                                     std::uint64_t epoch);

}  // namespace slidekit::data
