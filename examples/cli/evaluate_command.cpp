// slidekit evaluate: metrics of a model on a test set, over all labels or those that its hash
// tables find, or of predictions that were written before.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/core.h>

#include <slidekit/data/predictions.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/train/evaluation.hpp>
#include <slidekit/train/model_file.hpp>

#include "commands.hpp"
#include "metrics.hpp"
#include "options.hpp"

namespace slidekit::cli {

namespace {

using nlohmann::ordered_json;

struct EvaluateOptions {
    std::string model;
    std::string predictions;
    std::string test;
    std::string depths = "1,3,5";
    std::string propensity_from;
    PropensityOptions propensity;
    bool json = false;
    data::CachePolicy cache = data::CachePolicy::use;
    RetrievalOptions retrieval;
    MachineOptions machine;
};

void check(const EvaluateOptions& options) {
    const auto refuse = [](const char* flag, const char* why) {
        throw Error(ErrorCode::usage, flag, why);
    };
    check(options.retrieval);
    if (options.model.empty() && options.predictions.empty())
        refuse("--model",
               "is missing, and so is --predictions; give the one that is to be measured");
    if (!options.model.empty() && !options.predictions.empty())
        refuse("--predictions",
               "takes the place of --model, but both are given; leave one of the two out");
    if (!options.predictions.empty() && options.retrieval.mode != train::RetrievalMode::exact)
        refuse("--retrieval",
               "says how a model finds labels, but --predictions has them; leave one of the two "
               "out");
    if (options.propensity.given() && options.propensity_from.empty())
        refuse("--propensity",
               "gives constants of PSP@k, which needs --propensity-from TRAIN too; leave the "
               "constants out, or give it");
}

// 1 / propensity of each label, counted on a training set; none without one, which is said.
std::vector<double> propensities(const EvaluateOptions& options, std::uint32_t labels) {
    const train::PropensityModel model = propensity_model(options.propensity);
    if (options.propensity_from.empty()) {
        fmt::print(stderr,
                   "PSP@k is left out: it needs the label counts of the training set; give "
                   "--propensity-from TRAIN\n");
        return {};
    }
    const data::Dataset train = load(options.propensity_from, options.cache);
    if (train.view().labels != labels)
        throw Error(ErrorCode::input,
                    options.propensity_from,
                    fmt::format("{} labels, but {} has {}; use files of one data set",
                                train.view().labels,
                                options.test,
                                labels));
    return train::inverse_propensities(train.view(), model);
}

train::Metrics of_predictions(const EvaluateOptions& options,
                              const data::PointsView& test,
                              const std::vector<std::uint32_t>& depths,
                              const std::vector<double>& inverse) {
    const data::Predictions found =
        data::read_predictions(options.predictions, test.points, test.labels);
    const std::uint32_t deepest = *std::max_element(depths.begin(), depths.end());
    if (found.most < std::min(deepest, test.labels)) {
        fmt::print(stderr,
                   "{}: no line has more than {} labels: at depth {} the ranks beyond count as "
                   "misses; predict with --top-k {}\n",
                   options.predictions,
                   found.most,
                   deepest,
                   deepest);
    }
    train::MetricSums sums(depths, inverse);
    for (std::size_t i = 0; i < test.points; ++i) sums.add(found.of(i), test.labels_of(i));
    return sums.result();
}

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

train::Metrics of_model(const EvaluateOptions& options,
                        const data::PointsView& test,
                        const std::vector<std::uint32_t>& depths,
                        const std::vector<double>& inverse) {
    system::Runtime runtime = start_runtime(options.machine);
    const nn::Network network = load_network(runtime, options.model, options.retrieval);
    const auto start = std::chrono::steady_clock::now();
    train::Evaluation evaluation =
        train::evaluate_at(network, test, depths, options.retrieval.mode, inverse);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    say_speed(test, options.retrieval.mode, evaluation.candidates, took.count());
    return std::move(evaluation.metrics);
}

void check_widths(const EvaluateOptions& options,
                  const train::ModelShape& shape,
                  const data::PointsView& test) {
    if (test.features == shape.features && test.labels == shape.labels) return;
    throw Error(ErrorCode::input,
                options.model,
                fmt::format("the model has {} features and {} labels, {} has {} and {}; use "
                            "files of one data set",
                            shape.features,
                            shape.labels,
                            options.test,
                            test.features,
                            test.labels));
}

ordered_json as_json(const EvaluateOptions& options, const train::Metrics& metrics) {
    ordered_json json = {{"test", options.test}};
    if (options.model.empty()) {
        json["predictions"] = options.predictions;
    } else {
        json["model"] = options.model;
    }
    json.update(metrics_json(metrics));
    if (!options.propensity_from.empty()) {
        const train::PropensityModel model = propensity_model(options.propensity);
        json["propensity"] = {{"from", options.propensity_from}, {"a", model.a}, {"b", model.b}};
    }
    return json;
}

void evaluate(const EvaluateOptions& options) {
    const std::vector<std::uint32_t> depths = parse_depths(options.depths);
    check(options);
    train::ModelShape shape;
    if (!options.model.empty()) shape = train::read_model_shape(options.model);
    const data::Dataset test = load(options.test, options.cache);
    if (!options.model.empty()) check_widths(options, shape, test.view());
    const std::vector<double> inverse = propensities(options, test.view().labels);
    const train::Metrics metrics = options.model.empty()
                                       ? of_predictions(options, test.view(), depths, inverse)
                                       : of_model(options, test.view(), depths, inverse);
    const std::string text =
        options.json ? as_json(options, metrics).dump() + "\n" : metrics_text(metrics);
    fmt::print("{}", text);
}

}  // namespace

Command add_evaluate(CLI::App& program) {
    CLI::App& command = *program.add_subcommand(
        "evaluate", "Measure a model or predictions on a test set: P, nDCG, recall, PSP at k");
    const auto options = std::make_shared<EvaluateOptions>();
    command.add_option("--model", options->model, "Model file (safetensors)");
    command.add_option(
        "--predictions",
        options->predictions,
        "In place of a model: the file that `slidekit predict` wrote for the test set");
    command.add_option("--test", options->test, "Test set (XMC text, .gz too)")->required();
    command.add_option("--top-k", options->depths, "Depths k")->capture_default_str();
    command.add_option("--propensity-from",
                       options->propensity_from,
                       "Training set whose label counts give PSP@k (XMC text, .gz too)");
    add_propensity_options(command, options->propensity);
    command.add_flag("--json", options->json, "One JSON object, shares from 0 to 1");
    add_retrieval_options(command, options->retrieval);
    add_cache_option(command, options->cache);
    add_machine_options(command, options->machine);
    return [options](const std::string&) { evaluate(*options); };
}

}  // namespace slidekit::cli
