// The options of `slidekit train`.
#include "train_options.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/core.h>

#include <slidekit/system/error.hpp>

namespace slidekit::cli {

namespace {

template <class T>
using Names = std::map<std::string, T>;

const Names<Output> kOutputs = {
    {"lsh", Output::lsh}, {"uniform", Output::uniform}, {"full", Output::full}};
const Names<lsh::HashFamily> kFamilies = {{"simhash", lsh::HashFamily::simhash},
                                          {"hadamard", lsh::HashFamily::hadamard},
                                          {"dwta", lsh::HashFamily::dwta},
                                          {"wta", lsh::HashFamily::wta},
                                          {"doph", lsh::HashFamily::doph},
                                          {"pstable", lsh::HashFamily::pstable}};
const Names<lsh::Packing> kPackings = {{"concat", lsh::Packing::concat},
                                       {"slide-compat", lsh::Packing::slide_compat}};
const Names<nn::Centre> kCentres = {{"on", nn::Centre::on}, {"off", nn::Centre::off}};
const Names<nn::Rank> kRanks = {
    {"dot", nn::Rank::dot}, {"dot-fp32", nn::Rank::dot_fp32}, {"count", nn::Rank::count}};
const Names<nn::Optimizer> kOptimizers = {{"adam", nn::Optimizer::adam},
                                          {"sgd", nn::Optimizer::sgd}};
const Names<train::LearningRateShape> kShapes = {{"constant", train::LearningRateShape::constant},
                                                 {"linear", train::LearningRateShape::linear},
                                                 {"cosine", train::LearningRateShape::cosine}};

template <class T>
const std::string& name_of(const Names<T>& names, T value) {
    return std::find_if(
               names.begin(), names.end(), [&](const auto& entry) { return entry.second == value; })
        ->first;
}

template <class T>
void add_choice(CLI::App& command,
                const std::string& flag,
                T& value,
                const Names<T>& names,
                const std::string& help) {
    std::string all;
    for (const auto& [name, unused] : names) all += (all.empty() ? "" : ", ") + name;
    command.add_option(flag, value, help + ": " + all)
        ->transform(CLI::CheckedTransformer(names).description(""))
        ->default_str(name_of(names, value));
}

// Codes a table so that a bucket holds about 35 neurons on average: fewer and the true labels are
// missed, more and ranking the candidates costs more than it finds (bench/README.md). A DWTA code
// has three bits; the keys of doph and pstable have as many bits whatever their K.
std::uint32_t auto_key_bits(std::size_t neurons) {
    constexpr double kNeuronsPerBucket = 35;
    return static_cast<std::uint32_t>(std::clamp(
        std::round(std::log2(static_cast<double>(neurons) / kNeuronsPerBucket)), 1.0, 20.0));
}

std::uint32_t auto_hash_k(lsh::HashFamily family, std::uint32_t key_bits) {
    switch (family) {
        case lsh::HashFamily::simhash:
        case lsh::HashFamily::hadamard: return key_bits;
        case lsh::HashFamily::dwta:
        case lsh::HashFamily::wta: return std::max(1U, (key_bits + 1) / 3);
        case lsh::HashFamily::doph: return 2;
        case lsh::HashFamily::pstable: return 4;
    }
    return key_bits;
}

lsh::HashConfig resolve_hash(const TrainOptions& options, std::size_t neurons) {
    lsh::HashConfig hash = options.hash;
    hash.seed = options.training.seed;
    hash.bits = auto_key_bits(neurons);
    if (options.hash_k == "auto") {
        hash.k = auto_hash_k(hash.family, hash.bits);
    } else if (!CLI::detail::lexical_cast(options.hash_k, hash.k) || hash.k == 0) {
        throw Error(
            ErrorCode::usage,
            "--hash-k",
            fmt::format("\"{}\" is neither auto nor a whole number from 1 on", options.hash_k));
    }
    (void)lsh::key_bits(hash);  // refuses keys that are too wide
    return hash;
}

nn::Mix resolve_mix(const TrainOptions& options) {
    nn::Mix mix = parse_mix(options.mix);
    mix.uniform_group = options.uniform_group;
    return mix;
}

}  // namespace

void add_train_options(CLI::App& command, TrainOptions& o) {
    const CLI::Range positive(1U, 0x7fffffffU);

    command.add_option("--train", o.train, "Training set (XMC text, .gz too)")->required();
    command.add_option("--test", o.test, "Test set")->required();
    command.add_option("--model", o.model, "Where to write the model (safetensors)");
    command.add_option("--log", o.log, "Where to write the run log (JSON lines)");
    add_cache_option(command, o.cache);

    add_choice(
        command, "--output", o.output, kOutputs, "Softmax over LSH-sampled neurons, or a baseline");
    command.add_option("--hidden", o.hidden, "Width of the hidden layer")
        ->capture_default_str()
        ->check(CLI::Range(1, 32768));
    command.add_option("--mix", o.mix, "Active neurons of a sample beside its labels")
        ->capture_default_str();
    command
        .add_option("--uniform-group", o.uniform_group, "Samples that share their uniform draws")
        ->capture_default_str()
        ->check(positive);
    command
        .add_option("--negatives", o.negatives, "Negatives that a batch shares (--output uniform)")
        ->capture_default_str()
        ->check(positive);
    add_choice(command, "--hash", o.hash.family, kFamilies, "Hash family");
    command.add_option("--hash-k", o.hash_k, "Codes a table (auto: by the layer's width)")
        ->capture_default_str();
    command.add_option("--hash-l", o.hash.l, "Tables")
        ->capture_default_str()
        ->check(CLI::Range(1, 4096));
    command.add_option("--hash-width", o.hash.width, "Width of the cells of --hash pstable")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    add_choice(command, "--packing", o.hash.packing, kPackings, "How DWTA codes make a key");
    command.add_option("--bucket-cap", o.bucket_cap, "Most neurons a bucket keeps (0: all)")
        ->capture_default_str();
    add_choice(
        command, "--centre", o.centre, kCentres, "Take means off rows and queries before hashing");
    add_choice(command, "--rank", o.rank, kRanks, "How candidates are ranked");
    command
        .add_option("--rebuild-first",
                    o.training.rebuild_first,
                    "Steps before the first rebuild of the tables")
        ->capture_default_str()
        ->check(positive);
    command
        .add_option(
            "--rebuild-growth", o.training.rebuild_growth, "Growth of the gaps between rebuilds")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 10.0));

    command.add_option("--batch", o.training.batch, "Samples a step")
        ->capture_default_str()
        ->check(CLI::Range(1, 1 << 20));
    command.add_option("--epochs", o.training.epochs, "Passes over the training set")
        ->capture_default_str()
        ->check(positive);
    command.add_option("--lr", o.training.lr, "Learning rate")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    add_choice(command,
               "--lr-schedule",
               o.training.lr_shape,
               kShapes,
               "Course of the learning rate over the epochs");
    add_choice(command,
               "--optimizer",
               o.optimizer,
               kOptimizers,
               "Adam on touched rows (lazy), or plain SGD");
    command
        .add_option(
            "--weight-decay", o.training.weight_decay, "Decoupled weight decay of touched rows")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    command
        .add_option(
            "--eval-every", o.training.eval_every, "Steps between evaluations (0: each epoch)")
        ->capture_default_str();
    command
        .add_option("--eval-points",
                    o.training.eval_points,
                    "Test points of an evaluation during training (0: all)")
        ->capture_default_str();
    command
        .add_option("--max-seconds",
                    o.training.max_seconds,
                    "Stop after so many training seconds (0: no limit)")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    command.add_option("--seed", o.training.seed, "Seed of all random numbers")
        ->capture_default_str();
    add_machine_options(command, o.machine);
}

nn::NetworkConfig network_config(const TrainOptions& options,
                                 const data::PointsView& points,
                                 std::size_t met) {
    nn::NetworkConfig config{.features = points.features,
                             .hidden = options.hidden,
                             .labels = points.labels,
                             .output = nn::FullOutput{},
                             .optimizer = options.optimizer,
                             .seed = options.training.seed};
    if (options.output == Output::uniform) config.output = nn::UniformOutput{options.negatives};
    if (options.output == Output::lsh) {
        config.output = nn::LshOutput{.hash = resolve_hash(options, met),
                                      .mix = resolve_mix(options),
                                      .centre = options.centre,
                                      .rank = options.rank,
                                      .bucket_cap = options.bucket_cap};
    }
    return config;
}

nlohmann::ordered_json options_json(const TrainOptions& options, const nn::NetworkConfig& config) {
    const train::TrainConfig& training = options.training;
    nlohmann::ordered_json json = {{"train", options.train},
                                   {"test", options.test},
                                   {"hidden", config.hidden},
                                   {"output", name_of(kOutputs, options.output)},
                                   {"batch", training.batch},
                                   {"epochs", training.epochs},
                                   {"lr", training.lr},
                                   {"lr-schedule", name_of(kShapes, training.lr_shape)},
                                   {"optimizer", name_of(kOptimizers, options.optimizer)},
                                   {"weight-decay", training.weight_decay},
                                   {"seed", training.seed}};
    if (const auto* uniform = std::get_if<nn::UniformOutput>(&config.output))
        json["negatives"] = uniform->negatives;
    if (const auto* lsh = std::get_if<nn::LshOutput>(&config.output)) {
        json.update({{"hash", name_of(kFamilies, lsh->hash.family)},
                     {"hash-k", lsh->hash.k},
                     {"hash-l", lsh->hash.l},
                     {"packing", name_of(kPackings, lsh->hash.packing)},
                     {"hash-width", lsh->hash.width},
                     {"bucket-cap", lsh->bucket_cap},
                     {"mix", mix_text(lsh->mix)},
                     {"uniform-group", lsh->mix.uniform_group},
                     {"centre", name_of(kCentres, lsh->centre)},
                     {"rank", name_of(kRanks, lsh->rank)},
                     {"rebuild-first", training.rebuild_first},
                     {"rebuild-growth", training.rebuild_growth}});
    }
    return json;
}

const std::string& output_name(Output output) { return name_of(kOutputs, output); }

std::string sampling_text(const nn::LshOutput& lsh, const TrainOptions& options) {
    return fmt::format(
        "{} tables of {}, K = {}{}; of a sample's candidates the best {} by {} are kept",
        lsh.hash.l,
        name_of(kFamilies, lsh.hash.family),
        lsh.hash.k,
        options.hash_k == "auto" ? " (chosen for the layer's width)" : "",
        lsh.mix.lsh,
        name_of(kRanks, lsh.rank));
}

}  // namespace slidekit::cli
