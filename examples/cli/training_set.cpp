// Loading and splitting of the training set.
#include "training_set.hpp"

#include <cstdio>
#include <utility>

#include <fmt/core.h>

#include <slidekit/data/point_weights.hpp>
#include <slidekit/data/split.hpp>
#include <slidekit/system/error.hpp>

#include "options.hpp"

namespace slidekit::cli {

TrainingSet::TrainingSet(data::Dataset whole, const TrainOptions& options)
    : whole_(std::move(whole)), points_(whole_->view()) {
    if (!options.sample_weights.empty()) {
        weights_ = data::read_point_weights(options.sample_weights, points_.points);
        points_.weights = weights_;
    }
    if (options.validation > 0) hold_out(options);
}

// Parts are copies: the rest of the program then knows nothing of the split.
void TrainingSet::hold_out(const TrainOptions& options) {
    const data::Split split =
        data::split_points(points_.points, options.validation, options.training.seed);
    const std::uint32_t whole = points_.points;
    kept_.assign(points_, split.kept);
    held_out_.assign(points_, split.held_out);
    points_ = kept_.view();
    validation_ = held_out_.view();
    whole_.reset();
    if (points_.label_ids.empty() || validation_.label_ids.empty()) {
        throw Error(ErrorCode::usage,
                    "--validation",
                    fmt::format("{} of {} points leaves {} to train on and {} to look at, and one "
                                "part has no label; choose another share, or leave it out",
                                options.validation,
                                whole,
                                points_.points,
                                validation_.points));
    }
    fmt::print(stderr,
               "{}: {} points are held out for validation, {} are trained on\n",
               options.train,
               validation_.points,
               points_.points);
}

}  // namespace slidekit::cli
