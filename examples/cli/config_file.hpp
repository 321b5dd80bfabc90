// The file of `train --config`: TOML whose keys are the flags of the command line, and a table for
// each hidden layer.
//
//   batch = 256
//   lr = 4e-3
//   [[hidden]]                # from the input up; keys: layer_options
//   width = 128
//   [output]
//   type = "lsh"              # --output; optimizer, precision and lr are --output-optimizer and so
//   on mix = "lsh=200,batch=200,uniform=200"
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "train_options.hpp"

namespace slidekit::cli {

/// Sets the options that the command line has not given, and options.layers. Throws Error (input)
/// naming file, line, value and remedy.
void read_config(const std::string& file, CLI::App& command, TrainOptions& options);

/// The same as such a file: options that were given, by whichever way, and as comments those that
/// were not, with their defaults. read_config() of it makes the same options.
[[nodiscard]] std::string config_text(const CLI::App& command, const TrainOptions& options);

}  // namespace slidekit::cli
