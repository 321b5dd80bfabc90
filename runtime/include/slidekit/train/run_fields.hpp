// What decides the bits of a run, as named texts: a checkpoint goes on only where all but learning
// rates are alike.
#pragma once

#include <map>
#include <string>

#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/export.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/train/trainer.hpp>

namespace slidekit::train {

using Fields = std::map<std::string, std::string>;

struct RunFields {
    Fields network;   // "hidden" -> "128"
    Fields data;      // "points" -> "94211"
    Fields training;  // "batch" -> "256"; the number of epochs where the learning rate falls by it
};

/// Of the network and the training, named as the program's flags; data: as it is given.
[[nodiscard]] SLIDEKIT_API RunFields run_fields(const nn::Network& network,
                                                const TrainConfig& config,
                                                Fields data);

/// Of points in memory: counts, and a checksum of all that they hold.
[[nodiscard]] SLIDEKIT_API Fields data_fields(const data::PointsView& points);

}  // namespace slidekit::train
