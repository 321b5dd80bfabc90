// slidekit evaluate: precision of a model on a test set, by exact evaluation over all labels.
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/core.h>

#include <slidekit/system/error.hpp>
#include <slidekit/train/evaluation.hpp>
#include <slidekit/train/model_file.hpp>

#include "commands.hpp"
#include "options.hpp"

namespace slidekit::cli {

namespace {

struct EvaluateOptions {
    std::string model;
    std::string test;
    std::string depths = "1,3,5";
    data::CachePolicy cache = data::CachePolicy::use;
    MachineOptions machine;
};

void evaluate(const EvaluateOptions& options) {
    const std::vector<std::uint32_t> depths = parse_depths(options.depths);
    const train::ModelShape shape = train::read_model_shape(options.model);
    const data::Dataset test = load(options.test, options.cache);
    if (test.view().features != shape.features || test.view().labels != shape.labels) {
        throw Error(ErrorCode::input,
                    options.model,
                    fmt::format("the model has {} features and {} labels, {} has {} and {}; use "
                                "files of one data set",
                                shape.features,
                                shape.labels,
                                options.test,
                                test.view().features,
                                test.view().labels));
    }
    system::Runtime runtime = start_runtime(options.machine);
    const nn::Network network = train::load_model(runtime, options.model);
    const train::PrecisionAt precision = train::evaluate_at(network, test.view(), depths);
    fmt::print("points {}\n", precision.points);
    for (std::size_t i = 0; i < depths.size(); ++i)
        fmt::print("P@{} {:.2f} %\n", depths[i], 100 * precision.at[i]);
}

}  // namespace

Command add_evaluate(CLI::App& program) {
    CLI::App& command =
        *program.add_subcommand("evaluate", "Measure a model's precision on a test set");
    const auto options = std::make_shared<EvaluateOptions>();
    command.add_option("--model", options->model, "Model file (safetensors)")->required();
    command.add_option("--test", options->test, "Test set (XMC text, .gz too)")->required();
    command.add_option("--top-k", options->depths, "Depths k of P@k")->capture_default_str();
    add_cache_option(command, options->cache);
    add_machine_options(command, options->machine);
    return [options](const std::string&) { evaluate(*options); };
}

}  // namespace slidekit::cli
