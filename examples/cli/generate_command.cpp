// slidekit generate: a synthetic data set in the shape of one of the papers' sets.
#include <cmath>
#include <memory>
#include <string>

#include <fmt/core.h>

#include <slidekit/data/synthetic.hpp>
#include <slidekit/system/error.hpp>

#include "commands.hpp"
#include "options.hpp"

namespace slidekit::cli {

namespace {

struct GenerateOptions {
    std::string shape;
    std::string output;
    double scale = 1;
    std::uint32_t labels = 0;
    std::uint32_t features = 0;
    std::uint64_t seed = 1;
    MachineOptions machine;
};

data::SyntheticShape find_shape(const std::string& name) {
    std::string all;
    for (const data::SyntheticShape& shape : data::synthetic_shapes()) {
        if (shape.name == name) return shape;
        all += fmt::format("{}{}", all.empty() ? "" : ", ", shape.name);
    }
    throw Error(ErrorCode::usage, "--shape", fmt::format("\"{}\" is none of {}", name, all));
}

void generate(const GenerateOptions& options) {
    data::SyntheticShape shape = find_shape(options.shape);
    const auto scaled = [&](std::uint32_t points) {
        return static_cast<std::uint32_t>(std::max(1.0, std::round(points * options.scale)));
    };
    shape.train_points = scaled(shape.train_points);
    shape.test_points = scaled(shape.test_points);
    if (options.labels > 0) shape.labels = options.labels;
    if (options.features > 0) shape.features = options.features;
    system::Runtime runtime = start_runtime(options.machine);
    data::write_synthetic(runtime.executor(), shape, options.seed, options.output);
    fmt::print("{}/train.txt {} points, test.txt {} points, {} features, {} labels\n",
               options.output,
               shape.train_points,
               shape.test_points,
               shape.features,
               shape.labels);
}

}  // namespace

Command add_generate(CLI::App& program) {
    CLI::App& command = *program.add_subcommand("generate", "Write a learnable synthetic data set");
    const auto options = std::make_shared<GenerateOptions>();
    command
        .add_option("--shape", options->shape, "amazon-670k, delicious-200k, wiki-325k or text8")
        ->required();
    command.add_option("--output", options->output, "Folder for train.txt and test.txt")
        ->required();
    command.add_option("--scale", options->scale, "Factor of the number of points")
        ->capture_default_str()
        ->check(CLI::Range(1e-6, 100.0));
    command.add_option("--labels", options->labels, "Width of the output (default: the shape's)")
        ->check(CLI::Range(1, 0x7fffffff));
    command
        .add_option("--features", options->features, "Width of the input (default: the shape's)")
        ->check(CLI::Range(1, 0x7fffffff));
    command.add_option("--seed", options->seed, "Seed of the draws")->capture_default_str();
    add_machine_options(command, options->machine);
    return [options](const std::string&) { generate(*options); };
}

}  // namespace slidekit::cli
