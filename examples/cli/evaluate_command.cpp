// slidekit evaluate: precision of a model on a test set, over all labels or those that its hash
// tables find.
#include <algorithm>
#include <chrono>
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
    RetrievalOptions retrieval;
    MachineOptions machine;
};

void say_speed(const data::PointsView& test,
               train::RetrievalMode mode,
               std::uint64_t candidates,
               double seconds) {
    const double points = std::max(1.0, static_cast<double>(test.points));
    std::string text = fmt::format(
        "evaluated {} points in {:.2f} s, {:.0f} points/s", test.points, seconds, points / seconds);
    if (mode == train::RetrievalMode::lsh) {
        const double each = static_cast<double>(candidates) / points;
        text += fmt::format("; {:.0f} candidates a point, {:.2f} % of the labels",
                            each,
                            100 * each / static_cast<double>(test.labels));
    }
    fmt::print(stderr, "{}\n", text);
}

void evaluate(const EvaluateOptions& options) {
    const std::vector<std::uint32_t> depths = parse_depths(options.depths);
    check(options.retrieval);
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
    const nn::Network network = load_network(runtime, options.model, options.retrieval);
    const auto start = std::chrono::steady_clock::now();
    const train::PrecisionAt precision =
        train::evaluate_at(network, test.view(), depths, options.retrieval.mode);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    say_speed(test.view(), options.retrieval.mode, precision.candidates, took.count());
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
    add_retrieval_options(command, options->retrieval);
    add_cache_option(command, options->cache);
    add_machine_options(command, options->machine);
    return [options](const std::string&) { evaluate(*options); };
}

}  // namespace slidekit::cli
