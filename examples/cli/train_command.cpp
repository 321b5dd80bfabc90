// slidekit train: checks before anything is spent, then training with its log and result table.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <slidekit/kernels/isa.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/telemetry.hpp>
#include <slidekit/train/checkpoint.hpp>
#include <slidekit/train/model_file.hpp>
#include <slidekit/train/run_fields.hpp>
#include <slidekit/train/trainer.hpp>

#include "checkpoint_options.hpp"
#include "commands.hpp"
#include "commit.hpp"
#include "config_file.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "run_log.hpp"
#include "stop_signals.hpp"
#include "streaming.hpp"
#include "train_options.hpp"
#include "train_reporter.hpp"

namespace slidekit::cli {

namespace {

using nlohmann::ordered_json;

// Tables alone can be too many, and then nothing else need be changed.
void check_tables(const nn::NetworkConfig& config, std::size_t met) {
    const auto* lsh = std::get_if<nn::LshOutput>(&config.output);
    if (lsh == nullptr) return;
    const std::size_t needed = lsh::Tables::bytes({.tables = lsh->hash.l,
                                                   .key_bits = lsh::key_bits(lsh->hash),
                                                   .capacity = static_cast<std::uint32_t>(met)});
    const std::size_t available = system::available_memory_bytes();
    if (needed <= available) return;
    throw Error(ErrorCode::usage,
                "--hash-l",
                fmt::format("{} tables of --hash-k {} take {}, {} are free; lower one of the two",
                            lsh->hash.l,
                            lsh->hash.k,
                            bytes_text(needed),
                            bytes_text(available)));
}

void say_setup(const TrainOptions& options,
               const train::TrainConfig& training,
               const nn::NetworkConfig& config,
               system::Runtime& runtime) {
    if (const auto* lsh = std::get_if<nn::LshOutput>(&config.output)) {
        fmt::print(stderr, "sampling: {}\n", sampling_text(*lsh, training, options));
    }
    const std::size_t domains = runtime.topology().domains.size();
    fmt::print(stderr,
               "network: {} -> {} -> {}; {} threads, {}{}\n",
               config.features,
               layers_text(config.hidden),
               config.labels,
               runtime.executor().threads(),
               domains == 1 ? "" : fmt::format("{} domains, ", domains),
               kernels::isa_name(kernels::active_isa()));
}

void say_pages(const system::Runtime& runtime) {
    std::map<std::string, double> by_backing;
    std::string reason;
    for (const system::RegionReport& region : runtime.reports()) {
        by_backing[std::string(system::backing_name(region.backing))] +=
            static_cast<double>(region.bytes);
        if (!region.steps.empty()) reason = region.steps.back();
    }
    std::string text;
    for (const auto& [backing, bytes] : by_backing)
        text += fmt::format("{}{} on {}", text.empty() ? "" : ", ", bytes_text(bytes), backing);
    fmt::print(stderr, "memory: {}{}\n", text, reason.empty() ? "" : "; " + reason);
    double misplaced = 0;
    for (const system::RegionReport& region : runtime.reports())
        misplaced += static_cast<double>(region.found.misplaced_bytes);
    if (misplaced > 0)
        fmt::print(stderr, "memory: {} on other nodes than asked\n", bytes_text(misplaced));
}

ordered_json domains_json(const system::Topology& topology) {
    ordered_json domains = ordered_json::array();
    for (const system::Domain& domain : topology.domains) {
        domains.push_back({{"node", static_cast<int>(domain.os_node)},
                           {"package", domain.package},
                           {"cpus", domain.cpus}});
    }
    return domains;
}

ordered_json nodes_json(const system::FoundPages& found) {
    ordered_json nodes = ordered_json::object();
    for (const auto& [node, bytes] : found.nodes)
        nodes[std::to_string(static_cast<int>(node))] = bytes;
    return nodes;
}

ordered_json regions_json(const system::Runtime& runtime) {
    ordered_json regions = ordered_json::array();
    for (const system::RegionReport& region : runtime.reports()) {
        regions.push_back({{"tag", region.tag},
                           {"bytes", region.bytes},
                           {"huge_bytes", region.huge_bytes},
                           {"pages", system::backing_name(region.backing)},
                           {"nodes", nodes_json(region.found)},
                           {"misplaced_bytes", region.found.misplaced_bytes},
                           {"unverified_bytes", region.found.unverified_bytes},
                           {"verified", system::verified_name(region.found.verified)},
                           {"steps", region.steps}});
    }
    return regions;
}

void check_same_widths(const TrainOptions& options,
                       const data::PointsView& train,
                       const data::PointsView& test) {
    if (train.features == test.features && train.labels == test.labels) return;
    throw Error(
        ErrorCode::input,
        options.test,
        fmt::format("{} features and {} labels, but {} has {} and {}; use files of one data set",
                    test.features,
                    test.labels,
                    options.train,
                    train.features,
                    train.labels));
}

void say_validation(const train::TrainResult& result) {
    if (result.validation.best < 0) return;
    fmt::print(stderr,
               "validation: best P@1 {:.2f} % at step {} of {}{}; the model is that of step {}\n",
               100 * result.validation.best,
               result.validation.best_step,
               result.progress.total_steps,
               result.stopped_early
                   ? fmt::format(", none of {} evaluations since was better: stopped",
                                 result.validation.since)
                   : "",
               result.progress.step);
}

void train(const TrainOptions& options, const std::string& command_line) {
    if (!options.model.empty()) check_writable(options.model);
    if (!options.log.empty()) check_writable(options.log);
    (void)parse_mix(options.mix);
    (void)parse_checkpoint_every(options.checkpoint_every);
    std::optional<train::CheckpointFolder> checkpoints;
    if (!options.checkpoint.empty())
        checkpoints.emplace(options.checkpoint,
                            options.resume ? train::Resume::yes : train::Resume::no);
    const auto start = std::chrono::steady_clock::now();
    const train::PropensityModel propensity = propensity_model(options.propensity);
    TrainingData train_set(options);
    const data::Dataset test_set = load(options.test, options.cache);
    const data::PointsView& points = train_set.points();
    check_same_widths(options, points, test_set.view());
    check_options(options, points.labels);

    std::vector<std::uint32_t> met = train::met_labels(train_set.label_counts());
    const nn::NetworkConfig config = network_config(options, points, met.size());
    const std::vector<double> inverse = train::inverse_propensities(
        train_set.label_counts(), train_set.points().points, propensity);
    train::TrainConfig training = train_config(options, met.size());
    training.validation = train_set.validation();
    training.inverse_propensities = inverse;
    check_tables(config, met.size());
    const MemoryEstimate memory =
        estimate_memory(nn::Network::bytes(config, training.batch), train_set, test_set.view());
    check_memory(memory);
    if (checkpoints) {
        training.checkpoint.folder = &*checkpoints;
        training.checkpoint.data = train_set.data_fields();
    }
    system::Runtime runtime = start_runtime(options.machine);
    say_setup(options, training, config, runtime);
    fmt::print(stderr, "memory estimated: {}\n", memory_text(memory));
    std::vector<std::uint32_t> counts = train::label_counts(train_set.label_counts(), met);
    nn::Network network(runtime, config, std::move(met), std::move(counts));
    say_pages(runtime);
    train::check_training(network, train_set.source().shape(), test_set.view(), training);

    const std::optional<std::uint64_t> resumed =
        checkpoints
            ? checkpoints->find(train::run_fields(network, training, training.checkpoint.data))
            : std::nullopt;
    if (options.resume && !resumed)
        fmt::print(stderr, "{}: no checkpoint yet, starting anew\n", options.checkpoint);
    RunLog log(options.log, resumed ? RunLog::Mode::append : RunLog::Mode::replace);
    ordered_json run = {{"version", SLIDEKIT_VERSION},
                        {"commit", SLIDEKIT_COMMIT},
                        {"compiler", SLIDEKIT_COMPILER},
                        {"command", command_line},
                        {"options", options_json(options, training, config)},
                        {"isa", kernels::isa_name(kernels::active_isa())},
                        {"threads", runtime.executor().threads()},
                        {"domains", domains_json(runtime.topology())},
                        {"unbound_threads", runtime.executor().unbound()},
                        {"points", points.points},
                        {"validation_points", training.validation.points},
                        {"test_points", test_set.view().points},
                        {"features", points.features},
                        {"labels", points.labels},
                        {"order", train_set.source().order()},
                        {"memory", memory_json(memory)},
                        {"regions", regions_json(runtime)}};
    if (resumed) {
        run["step"] = *resumed;
        run["checkpoint"] = checkpoints->last().string();
        run["notes"] = checkpoints->notes();
    }
    log.write(resumed ? "resume" : "run", run);
    ProgressLine line(points.labels, training.max_seconds);
    Reporter reporter(log, line);
    const system::Telemetry telemetry;
    std::optional<StopSignals> signals(std::in_place);
    const train::TrainResult result =
        train::train(network, train_set.source(), test_set.view(), training, reporter);
    signals.reset();
    if (result.stopped) {
        constexpr int kKilled = 128;  // as shells report a signal
        const int signal = StopSignals::caught();
        reporter.write_stopped(result, signal, checkpoints ? checkpoints->last().string() : "");
        throw Exit{kKilled + signal};
    }
    const system::TelemetryReport counted = telemetry.since_start();
    if (!options.model.empty()) train::save_model(network, options.model);
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
    reporter.write_done(result, counted, wall.count(), options.model);
    say_validation(result);
    print_result(output_name(options.output), result, points.labels);
}

}  // namespace

Command add_train(CLI::App& program) {
    CLI::App& command = *program.add_subcommand("train", "Train a network on a data set");
    const auto options = std::make_shared<TrainOptions>();
    add_train_options(command, *options);
    return [options, &command](const std::string& command_line) {
        if (!options->config.empty()) read_config(options->config, command, *options);
        for (const CLI::Option* option : command.get_options()) {
            if (option->count() > 0) options->given.push_back(option->get_name());
        }
        if (options->dump_config) {
            fmt::print("{}", config_text(command, *options));
            return;
        }
        train(*options, command_line);
    };
}

}  // namespace slidekit::cli
