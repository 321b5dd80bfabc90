// The options of `slidekit train`: their defaults, their names, and the network that they ask for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <slidekit/train/trainer.hpp>

#include "layer_options.hpp"
#include "metrics.hpp"
#include "options.hpp"

namespace slidekit::cli {

enum class Output { lsh, uniform, full };

struct TrainOptions {
    std::string train;
    std::string test;
    std::string model;
    std::string log;
    std::string checkpoint;  // folder
    std::string checkpoint_every = "10m";
    bool resume = false;
    data::CachePolicy cache = data::CachePolicy::use;
    std::string stream = "auto";  // or always, never
    std::uint32_t shuffle_buffer = 1U << 16;
    MachineOptions machine;
    Output output = Output::lsh;
    nn::Loss loss = nn::Loss::softmax;
    std::uint32_t hidden = 128;
    std::vector<LayerOptions> layers;  // of --config, in place of `hidden`
    lsh::HashConfig hash;
    std::string hash_k = "auto";
    std::string hash_l = "auto";
    std::string mix = mix_text(nn::Mix{});
    std::uint32_t uniform_group = nn::Mix{}.uniform_group;
    nn::Centre centre = nn::Centre::on;
    nn::Rank rank = nn::Rank::dot;
    std::string bucket_cap = "auto";
    lsh::BucketPolicy bucket_policy = lsh::BucketPolicy::reservoir;
    std::string rebuild_first = "auto";
    std::string sampling = "auto";
    std::uint32_t threshold = nn::LshOutput{}.threshold;
    float alpha = nn::LshOutput{}.alpha;
    float beta = nn::LshOutput{}.beta;
    nn::QueryBy query = nn::QueryBy::activation;
    nn::Scope scope = nn::Scope::sample;
    nn::Correction correction = nn::Correction::none;
    std::uint32_t negatives = nn::UniformOutput{}.negatives;
    nn::NegativesFrom negatives_from = nn::NegativesFrom::all;
    nn::Optimizer optimizer = nn::Optimizer::adam;
    nn::Precision precision = nn::Precision::fp32;
    std::optional<nn::Optimizer> output_optimizer;
    std::optional<nn::Precision> output_precision;
    std::optional<float> output_lr;
    std::string output_reads = "auto";
    std::string config;
    bool dump_config = false;
    double validation = 0;       // share of the training points that is held out
    std::string sample_weights;  // file
    PropensityOptions propensity;
    nn::Update update = nn::Update::grouped;
    train::TrainConfig training;
    std::vector<std::string> given;  // flags on the command line, "--mix" and so on
};

void add_train_options(CLI::App& command, TrainOptions& options);

/// Refuses options that contradict each other, naming both. Throws Error (usage).
void check_options(const TrainOptions& options, std::uint32_t labels);

/// The training for tables of `met` neurons. Throws Error (usage).
[[nodiscard]] train::TrainConfig train_config(const TrainOptions& options, std::size_t met);

/// The network for this data; `met`: labels that occur in it. Throws Error (usage).
[[nodiscard]] nn::NetworkConfig network_config(const TrainOptions& options,
                                               const data::PointsView& points,
                                               std::size_t met);

/// All options as resolved, for the run log.
[[nodiscard]] nlohmann::ordered_json options_json(const TrainOptions& options,
                                                  const train::TrainConfig& training,
                                                  const nn::NetworkConfig& config);

[[nodiscard]] const std::string& output_name(Output output);

/// How a sample's neurons are found and when the tables are rebuilt, in a line for people.
[[nodiscard]] std::string sampling_text(const nn::LshOutput& lsh,
                                        const train::TrainConfig& training,
                                        const TrainOptions& options);

}  // namespace slidekit::cli
