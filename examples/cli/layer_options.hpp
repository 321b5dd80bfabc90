// A hidden layer as the file of --config describes it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <slidekit/nn/network.hpp>

namespace slidekit::cli {

struct LayerOptions {
    std::uint32_t width = 128;
    std::string sampling = "all";
    std::string mix = "lsh=128,uniform=16";
    std::uint32_t uniform_group = nn::Mix{}.uniform_group;
    lsh::HashConfig hash;
    std::string family = "auto";
    std::string hash_k = "auto";
    std::string hash_l = "auto";
    std::string bucket_cap = "auto";
    lsh::BucketPolicy bucket_policy = lsh::BucketPolicy::reservoir;
    nn::Centre centre = nn::Centre::on;
    nn::Rank rank = nn::Rank::dot;
    std::optional<nn::Optimizer> optimizer;
    std::optional<nn::Precision> precision;
    std::optional<float> lr;
    std::optional<float> initial_deviation;
    std::map<std::string, std::string> values;  // by key, as they were given
};

/// Keys of a [[hidden]] table, as options of a command of their own.
void add_layer_options(CLI::App& layer, LayerOptions& options);

/// first: whether the layer reads the data. Throws Error (usage)
/// for keys that contradict each other.
[[nodiscard]] nn::HiddenLayer hidden_layer(const LayerOptions& options,
                                           bool first,
                                           std::uint64_t seed);

/// For the run log and for people.
[[nodiscard]] nlohmann::ordered_json layers_json(const nn::HiddenLayers& hidden);
[[nodiscard]] std::string layers_text(const nn::HiddenLayers& hidden);

}  // namespace slidekit::cli
