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
                                          {"dwta", lsh::HashFamily::dwta}};
const Names<lsh::Packing> kPackings = {{"concat", lsh::Packing::concat},
                                       {"slide-compat", lsh::Packing::slide_compat}};
const Names<nn::Centre> kCentres = {{"on", nn::Centre::on}, {"off", nn::Centre::off}};
const Names<nn::Rank> kRanks = {
    {"dot", nn::Rank::dot}, {"dot-fp32", nn::Rank::dot_fp32}, {"count", nn::Rank::count}};
const Names<lsh::BucketPolicy> kPolicies = {{"reservoir", lsh::BucketPolicy::reservoir},
                                            {"fifo", lsh::BucketPolicy::fifo}};
const Names<train::Rebuild> kRebuilds = {{"background", train::Rebuild::background},
                                         {"blocking", train::Rebuild::blocking}};
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
// has three bits.
std::uint32_t auto_hash_k(lsh::HashFamily family, std::size_t neurons) {
    constexpr double kNeuronsPerBucket = 35;
    const double bits = std::clamp(
        std::round(std::log2(static_cast<double>(neurons) / kNeuronsPerBucket)), 1.0, 20.0);
    if (family == lsh::HashFamily::simhash) return static_cast<std::uint32_t>(bits);
    return std::max(1U, static_cast<std::uint32_t>(std::round(bits / 3)));
}

// Four times an average bucket, as a power of two: 128 for K that was chosen by auto_hash_k.
std::uint32_t auto_bucket_cap(std::size_t neurons, std::uint32_t key_bits) {
    const double average = static_cast<double>(neurons) / std::exp2(key_bits);
    return 1U << static_cast<unsigned>(std::clamp(std::round(std::log2(4 * average)), 4.0, 20.0));
}

// Steps before the first rebuild: 50 as in the paper, more where the layer is so wide against the
// batch that its share of a rebuild would make a step more than some 15 % dearer.
std::uint64_t auto_rebuild_first(std::size_t neurons, std::uint32_t batch) {
    constexpr std::uint64_t kRowsPerSample = 14;
    return std::max<std::uint64_t>(50, neurons / (kRowsPerSample * batch));
}

// The number that an option holds, or `chosen` where it says auto.
template <class T>
T resolve(const char* flag, const std::string& text, T least, T chosen) {
    T value = 0;
    if (text == "auto") return chosen;
    const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || !CLI::detail::lexical_cast(text, value) || value < least) {
        throw Error(
            ErrorCode::usage,
            flag,
            fmt::format("\"{}\" is neither auto nor a whole number from {} on", text, least));
    }
    return value;
}

std::string with_choice(std::uint64_t value, const std::string& text) {
    return fmt::format("{}{}", value, text == "auto" ? " (auto)" : "");
}

lsh::HashConfig resolve_hash(const TrainOptions& options, std::size_t neurons) {
    lsh::HashConfig hash = options.hash;
    hash.seed = options.training.seed;
    hash.k = resolve("--hash-k", options.hash_k, 1U, auto_hash_k(hash.family, neurons));
    hash.l = resolve("--hash-l", options.hash_l, 1U, lsh::HashConfig{}.l);
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
    command.add_option("--hash-l", o.hash_l, "Tables (auto: 50)")->capture_default_str();
    add_choice(command, "--packing", o.hash.packing, kPackings, "How DWTA codes make a key");
    command
        .add_option("--bucket-cap",
                    o.bucket_cap,
                    "Most neurons a bucket keeps (0: all; auto: four times the average)")
        ->capture_default_str();
    add_choice(command,
               "--bucket-policy",
               o.bucket_policy,
               kPolicies,
               "What a full bucket keeps: a uniform sample, or the last");
    add_choice(
        command, "--centre", o.centre, kCentres, "Take means off rows and queries before hashing");
    add_choice(command, "--rank", o.rank, kRanks, "How candidates are ranked");
    add_choice(command,
               "--rebuild",
               o.training.rebuild,
               kRebuilds,
               "Rebuild the tables while training goes on, or while it waits");
    CLI::Option* const first =
        command
            .add_option("--rebuild-first",
                        o.rebuild_first,
                        "Steps before the first rebuild of the tables (auto: by width and batch)")
            ->capture_default_str();
    CLI::Option* const growth = command
                                    .add_option("--rebuild-growth",
                                                o.training.rebuild_growth,
                                                "Growth of the gaps between rebuilds (0: none)")
                                    ->capture_default_str()
                                    ->check(CLI::Range(0.0, 10.0));
    command
        .add_option("--rebuild-drift",
                    o.training.rebuild_drift,
                    "Rebuild when this share of bucket keys has changed (0: by schedule)")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0))
        ->excludes(first)
        ->excludes(growth);
    command
        .add_option("--redraw-every",
                    o.training.redraw_every,
                    "Rebuilds between new hash functions (0: never)")
        ->capture_default_str();

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

train::TrainConfig train_config(const TrainOptions& options, std::size_t met) {
    train::TrainConfig training = options.training;
    training.rebuild_first = resolve<std::uint64_t>(
        "--rebuild-first", options.rebuild_first, 1, auto_rebuild_first(met, training.batch));
    return training;
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
        const lsh::HashConfig hash = resolve_hash(options, met);
        config.output = nn::LshOutput{
            .hash = hash,
            .mix = resolve_mix(options),
            .centre = options.centre,
            .rank = options.rank,
            .bucket_cap = resolve(
                "--bucket-cap", options.bucket_cap, 0U, auto_bucket_cap(met, lsh::key_bits(hash))),
            .bucket_policy = options.bucket_policy};
    }
    return config;
}

nlohmann::ordered_json options_json(const TrainOptions& options,
                                    const train::TrainConfig& training,
                                    const nn::NetworkConfig& config) {
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
                     {"bucket-cap", lsh->bucket_cap},
                     {"bucket-policy", name_of(kPolicies, lsh->bucket_policy)},
                     {"mix", mix_text(lsh->mix)},
                     {"uniform-group", lsh->mix.uniform_group},
                     {"centre", name_of(kCentres, lsh->centre)},
                     {"rank", name_of(kRanks, lsh->rank)},
                     {"rebuild", name_of(kRebuilds, training.rebuild)},
                     {"redraw-every", training.redraw_every}});
        if (training.rebuild_drift > 0) {
            json["rebuild-drift"] = training.rebuild_drift;
        } else {
            json["rebuild-first"] = training.rebuild_first;
            json["rebuild-growth"] = training.rebuild_growth;
        }
    }
    return json;
}

const std::string& output_name(Output output) { return name_of(kOutputs, output); }

std::string sampling_text(const nn::LshOutput& lsh,
                          const train::TrainConfig& training,
                          const TrainOptions& options) {
    const std::string schedule =
        training.rebuild_drift > 0
            ? fmt::format("rebuilt when {:.0f} % of the keys have changed",
                          100 * training.rebuild_drift)
            : fmt::format("first rebuilt after {} steps",
                          with_choice(training.rebuild_first, options.rebuild_first));
    return fmt::format(
        "{} tables of {}, K = {}, buckets of at most {}, {}; of a sample's candidates the best {} "
        "by {} are kept",
        with_choice(lsh.hash.l, options.hash_l),
        name_of(kFamilies, lsh.hash.family),
        with_choice(lsh.hash.k, options.hash_k),
        with_choice(lsh.bucket_cap, options.bucket_cap),
        schedule,
        lsh.mix.lsh,
        name_of(kRanks, lsh.rank));
}

}  // namespace slidekit::cli
