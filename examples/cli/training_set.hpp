// The training set of a run: its points with their weights, and the part that is held out of it.
#pragma once

#include <optional>
#include <vector>

#include <slidekit/data/batches.hpp>
#include <slidekit/data/dataset.hpp>

#include "train_options.hpp"

namespace slidekit::cli {

class TrainingSet {
public:
    /// Weighs what --train holds by --sample-weights, and holds the share --validation of it out.
    /// Throws Error (input), Error (usage) where a part has nothing to learn from or to look at.
    TrainingSet(data::Dataset whole, const TrainOptions& options);

    [[nodiscard]] const data::PointsView& points() const noexcept { return points_; }
    /// No points without --validation.
    [[nodiscard]] const data::PointsView& validation() const noexcept { return validation_; }

private:
    void hold_out(const TrainOptions& options);

    std::optional<data::Dataset> whole_;  // given up when it is split
    std::vector<float> weights_;
    data::Batch kept_;
    data::Batch held_out_;
    data::PointsView points_;
    data::PointsView validation_;
};

}  // namespace slidekit::cli
