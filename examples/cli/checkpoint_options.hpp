// The options of `slidekit train` about checkpoints.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include <slidekit/train/trainer.hpp>

#include "train_options.hpp"

namespace slidekit::cli {

void add_checkpoint_options(CLI::App& command, TrainOptions& options);

/// "500" (steps), "30s", "10m", "2h", or both with a comma between. Throws Error (usage).
[[nodiscard]] train::CheckpointConfig parse_checkpoint_every(const std::string& text);

}  // namespace slidekit::cli
