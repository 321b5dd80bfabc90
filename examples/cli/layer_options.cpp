// Keys of a [[hidden]] table, and the layer that they make.
#include "layer_options.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>

#include "choices.hpp"
#include "options.hpp"

namespace slidekit::cli {

namespace {

constexpr std::array kSampledKeys = {"mix",
                                     "uniform-group",
                                     "hash",
                                     "hash-k",
                                     "hash-l",
                                     "hash-probes",
                                     "hash-width",
                                     "packing",
                                     "bucket-cap",
                                     "bucket-policy",
                                     "centre",
                                     "rank"};
// A hash family needs vectors no wider than this; the data's features may be.
constexpr const char* kWideFamily = "sparse-dwta";

// As many tables as bring about three times the neurons that are wanted: a hidden layer is narrow,
// and tables that bring all of it cost more than they choose.
std::uint32_t auto_hidden_tables(std::uint32_t width, std::uint32_t wanted, std::uint32_t bits) {
    const double of_table = std::max(1.0, static_cast<double>(width) / std::exp2(bits));
    return static_cast<std::uint32_t>(
        std::clamp(std::round(3 * static_cast<double>(wanted) / of_table), 4.0, 50.0));
}

std::string choices_check(const std::string& value,
                          const std::string& extra,
                          const std::string& names,
                          bool known) {
    if (value == extra || known) return {};
    return fmt::format("{} is none of {}, {}", value, extra, names);
}

}  // namespace

void add_layer_options(CLI::App& layer, LayerOptions& o) {
    const CLI::Range positive(1U, 0x7fffffffU);
    layer.add_option("--width", o.width, "Neurons")->capture_default_str()->check(positive);
    layer
        .add_option("--sampling",
                    o.sampling,
                    "Which neurons are active: all, or of each sample the best of its hash tables "
                    "(top-k), of all (exact), or draws (none)")
        ->capture_default_str()
        ->check(CLI::IsMember({"all", "top-k", "exact", "none"}).description(""));
    layer.add_option("--mix", o.mix, "Active neurons of a sample: found, and drawn")
        ->capture_default_str();
    layer.add_option("--uniform-group", o.uniform_group, "Samples that share their draws")
        ->capture_default_str()
        ->check(positive);
    layer
        .add_option("--hash",
                    o.family,
                    fmt::format("Hash family (auto: simhash, on the data's features {}): auto, {}",
                                kWideFamily,
                                names_text(kFamilies)))
        ->capture_default_str()
        ->check([](const std::string& name) {
            return choices_check(
                name, "auto", names_text(kFamilies), value_of(kFamilies, name).has_value());
        });
    layer.add_option("--hash-k", o.hash_k, "Codes a table (auto: by the width)")
        ->capture_default_str();
    layer.add_option("--hash-l", o.hash_l, "Tables (auto: for three times the neurons wanted)")
        ->capture_default_str();
    layer.add_option("--hash-probes", o.hash.probes, "Buckets a table that a query looks at")
        ->capture_default_str()
        ->check(CLI::Range(1U, lsh::kMaxProbes));
    layer.add_option("--hash-width", o.hash.width, "Width of the cells of pstable")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    add_choice(layer, "--packing", o.hash.packing, kPackings, "How DWTA codes make a key");
    layer.add_option("--bucket-cap", o.bucket_cap, "Most neurons a bucket keeps (0: all)")
        ->capture_default_str();
    add_choice(layer, "--bucket-policy", o.bucket_policy, kPolicies, "What a full bucket keeps");
    add_choice(layer, "--rank", o.rank, kRanks, "How candidates are ranked: dot, or count");
    add_choice(layer, "--centre", o.centre, kCentres, "Take means off before hashing");
    add_optional_choice(layer, "--optimizer", o.optimizer, kOptimizers, "The layer's own");
    add_optional_choice(layer, "--precision", o.precision, kPrecisions, "The layer's own");
    layer.add_option("--lr", o.lr, "The layer's own learning rate")->check(CLI::PositiveNumber);
    layer
        .add_option("--initial-deviation",
                    o.initial_deviation,
                    "Of the weights (without: 0.01 in the first layer, sqrt(2 / active inputs) "
                    "behind it)")
        ->check(CLI::PositiveNumber);
}

nn::HiddenLayer hidden_layer(const LayerOptions& o, bool first, std::uint64_t seed) {
    nn::HiddenLayer layer{.width = o.width,
                          .sampled = std::nullopt,
                          .optimizer = o.optimizer,
                          .precision = o.precision,
                          .initial_deviation = o.initial_deviation};
    if (o.sampling == "all") {
        for (const char* key : kSampledKeys) {
            if (!o.values.contains(key)) continue;
            throw Error(ErrorCode::usage,
                        std::string("[[hidden]] ") + key,
                        "is for sampled layers, but sampling is all; leave it out, or say sampling "
                        "= \"top-k\"");
        }
        return layer;
    }
    nn::LshOutput sampled{.hash = o.hash, .mix = parse_mix(o.mix)};
    sampled.mix.uniform_group = o.uniform_group;
    if (sampled.mix.lsh == 0 && o.sampling != "none")
        throw Error(ErrorCode::usage,
                    "[[hidden]] mix",
                    fmt::format("\"{}\" has no part lsh, but sampling is {}; give it one, or say "
                                "sampling = \"none\"",
                                o.mix,
                                o.sampling));
    if (o.sampling == "none") sampled.mix.lsh = 0;
    sampled.sampling = *value_of(kSamplings, o.sampling);
    const std::string family = o.family != "auto" ? o.family : first ? kWideFamily : "simhash";
    sampled.hash.family = *value_of(kFamilies, family);
    sampled.hash.seed = seed;
    sampled.hash.bits = auto_key_bits(o.width);
    sampled.hash.k = resolve(
        "[[hidden]] hash-k", o.hash_k, 1U, auto_hash_k(sampled.hash.family, sampled.hash.bits));
    sampled.hash.l =
        resolve("[[hidden]] hash-l",
                o.hash_l,
                1U,
                auto_hidden_tables(o.width, sampled.mix.lsh, lsh::key_bits(sampled.hash)));
    sampled.bucket_cap = resolve("[[hidden]] bucket-cap",
                                 o.bucket_cap,
                                 0U,
                                 auto_bucket_cap(o.width, lsh::key_bits(sampled.hash)));
    sampled.bucket_policy = o.bucket_policy;
    sampled.centre = o.centre;
    sampled.rank = o.rank;
    layer.sampled = sampled;
    return layer;
}

nlohmann::ordered_json layers_json(const nn::HiddenLayers& hidden) {
    nlohmann::ordered_json layers = nlohmann::ordered_json::array();
    for (const nn::HiddenLayer& layer : hidden) {
        nlohmann::ordered_json entry = {{"width", layer.width}};
        if (layer.optimizer) entry["optimizer"] = name_of(kOptimizers, *layer.optimizer);
        if (layer.precision) entry["precision"] = name_of(kPrecisions, *layer.precision);
        if (layer.sampled) {
            const nn::LshOutput& sampled = *layer.sampled;
            entry.update({{"sampling", name_of(kSamplings, sampled.sampling)},
                          {"mix", mix_text(sampled.mix)},
                          {"hash", name_of(kFamilies, sampled.hash.family)},
                          {"hash-k", sampled.hash.k},
                          {"hash-l", sampled.hash.l},
                          {"bucket-cap", sampled.bucket_cap},
                          {"centre", name_of(kCentres, sampled.centre)}});
        }
        layers.push_back(std::move(entry));
    }
    return layers;
}

std::string layers_text(const nn::HiddenLayers& hidden) {
    std::string text;
    for (const nn::HiddenLayer& layer : hidden) {
        text += fmt::format("{}{}", text.empty() ? "" : " -> ", layer.width);
        if (layer.sampled)
            text += fmt::format(" ({} {})",
                                name_of(kSamplings, layer.sampled->sampling),
                                layer.sampled->mix.lsh + layer.sampled->mix.uniform);
    }
    return text;
}

}  // namespace slidekit::cli
