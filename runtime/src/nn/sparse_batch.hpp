// The sparse vectors of a batch: a point's features, or the neurons of a layer that were active for
// it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/views.hpp>

#include "nn/grouping.hpp"

namespace slidekit::nn {

/// Vector s lists runs[s].count pairs (id, value) from place runs[s].first on: the places are the
/// slots of its gradient.
struct SparseBatch {
    std::uint32_t dim = 0;  // ids are below it
    std::span<const SlotRun> runs;
    std::span<const std::uint32_t> ids;
    std::span<const float> values;

    [[nodiscard]] std::size_t rows() const noexcept { return runs.size(); }
    [[nodiscard]] kernels::SparseView row(std::size_t s) const noexcept {
        return {ids.data() + runs[s].first, values.data() + runs[s].first, runs[s].count};
    }
};

/// The features of one point.
[[nodiscard]] inline kernels::SparseView features_of(const data::PointsView& points,
                                                     std::size_t point) noexcept {
    const std::size_t begin = points.feature_offsets[point];
    return {points.feature_ids.data() + begin,
            points.feature_values.data() + begin,
            points.nnz_of(point)};
}

/// Sparse vectors that are made here: of a matrix, what is not zero.
class SparseRows {
public:
    void assign(kernels::RowMatrix<const float> matrix);
    [[nodiscard]] SparseBatch view() const noexcept { return {dim_, runs_, ids_, values_}; }

private:
    std::uint32_t dim_ = 0;
    std::vector<SlotRun> runs_;
    std::vector<std::uint32_t> ids_;
    std::vector<float> values_;
};

inline void SparseRows::assign(kernels::RowMatrix<const float> matrix) {
    dim_ = static_cast<std::uint32_t>(matrix.dim);
    runs_.clear();
    ids_.clear();
    values_.clear();
    for (std::size_t s = 0; s < matrix.rows; ++s) {
        const auto first = static_cast<std::uint32_t>(ids_.size());
        for (std::uint32_t c = 0; c < dim_; ++c) {
            if (matrix.row(s)[c] == 0.0F) continue;
            ids_.push_back(c);
            values_.push_back(matrix.row(s)[c]);
        }
        runs_.push_back({first, static_cast<std::uint32_t>(ids_.size()) - first});
    }
}

}  // namespace slidekit::nn
