// The options of `slidekit train`.
#include "train_options.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/core.h>

#include <slidekit/kernels/isa.hpp>
#include <slidekit/system/error.hpp>

#include "checkpoint_options.hpp"
#include "choices.hpp"

namespace slidekit::cli {

namespace {

const Names<Output> kOutputs = {
    {"lsh", Output::lsh}, {"uniform", Output::uniform}, {"full", Output::full}};
const Names<nn::QueryBy> kQueries = {{"activation", nn::QueryBy::activation},
                                     {"label", nn::QueryBy::label}};
const Names<nn::Scope> kScopes = {{"sample", nn::Scope::sample}, {"batch", nn::Scope::batch}};
const Names<nn::Correction> kCorrections = {{"none", nn::Correction::none},
                                            {"logq", nn::Correction::log_q}};
const Names<nn::NegativesFrom> kNegatives = {{"all", nn::NegativesFrom::all},
                                             {"met", nn::NegativesFrom::met},
                                             {"popular", nn::NegativesFrom::popular}};
const Names<train::Rebuild> kRebuilds = {{"background", train::Rebuild::background},
                                         {"blocking", train::Rebuild::blocking}};
const Names<nn::Update> kUpdates = {{"batch", nn::Update::grouped},
                                    {"hogwild", nn::Update::hogwild},
                                    {"racy", nn::Update::racy_sums}};
const Names<train::LearningRateShape> kShapes = {{"constant", train::LearningRateShape::constant},
                                                 {"linear", train::LearningRateShape::linear},
                                                 {"cosine", train::LearningRateShape::cosine},
                                                 {"step", train::LearningRateShape::step}};

// Flags that mean something with one output only, those of --output lsh in two parts: what makes a
// sample's active set, and what tables are.
constexpr std::array kActiveSetFlags = {"--mix",
                                        "--uniform-group",
                                        "--sampling",
                                        "--threshold",
                                        "--alpha",
                                        "--beta",
                                        "--active-scope",
                                        "--rank"};
constexpr std::array kTableFlags = {"--query",
                                    "--hash",
                                    "--hash-k",
                                    "--hash-l",
                                    "--hash-width",
                                    "--hash-probes",
                                    "--packing",
                                    "--bucket-cap",
                                    "--bucket-policy",
                                    "--centre",
                                    "--rebuild",
                                    "--rebuild-first",
                                    "--rebuild-growth",
                                    "--rebuild-drift",
                                    "--redraw-every"};
constexpr std::array kUniformFlags = {"--negatives", "--negatives-from"};

// Steps before the first rebuild: 50 as in the paper, more where the layer is so wide against the
// batch that its share of a rebuild would make a step more than some 15 % dearer.
std::uint64_t auto_rebuild_first(std::size_t neurons, std::uint32_t batch) {
    constexpr std::uint64_t kRowsPerSample = 14;
    return std::max<std::uint64_t>(50, neurons / (kRowsPerSample * batch));
}

std::string with_choice(std::uint64_t value, const std::string& text) {
    return fmt::format("{}{}", value, text == "auto" ? " (auto)" : "");
}

lsh::HashConfig resolve_hash(const TrainOptions& options, std::size_t neurons) {
    lsh::HashConfig hash = options.hash;
    hash.seed = options.training.seed;
    hash.bits = auto_key_bits(neurons);
    hash.k = resolve("--hash-k", options.hash_k, 1U, auto_hash_k(hash.family, hash.bits));
    hash.l = resolve("--hash-l", options.hash_l, 1U, lsh::HashConfig{}.l);
    (void)lsh::key_bits(hash);  // refuses keys that are too wide
    return hash;
}

// How many rows of `dim` bytes a scan may look at for a sample. It finds all of the best neurons
// where tables find some, and is worth about a step and a half without it: 64 us, by what the level
// does (bench/README.md).
std::size_t cheaply_scanned_rows(std::size_t dim) {
    constexpr std::size_t kMicroseconds = 64;
    const auto bytes_a_microsecond = []() -> std::size_t {
        if (kernels::uses_byte_tiles()) return 350'000;
        switch (kernels::active_isa()) {
            case kernels::Isa::scalar: return 1'300;
            case kernels::Isa::avx2: return 40'000;
            case kernels::Isa::avx512: return 60'000;
            case kernels::Isa::avx512bf16: return 150'000;
        }
        return 1'300;
    };
    return kMicroseconds * bytes_a_microsecond() / dim;
}

bool was_given(const TrainOptions& options, const char* flag) {
    return std::find(options.given.begin(), options.given.end(), flag) != options.given.end();
}

nn::Sampling resolve_sampling(const TrainOptions& options, std::size_t met) {
    if (const auto chosen = value_of(kSamplings, options.sampling)) return *chosen;
    const bool tables = options.rank == nn::Rank::count ||
                        options.correction != nn::Correction::none ||
                        std::any_of(kTableFlags.begin(), kTableFlags.end(), [&](const char* flag) {
                            return was_given(options, flag);
                        });
    return tables || met > cheaply_scanned_rows(options.hidden) ? nn::Sampling::top_k
                                                                : nn::Sampling::exact;
}

nn::Mix resolve_mix(const TrainOptions& options) {
    nn::Mix mix = parse_mix(options.mix);
    mix.uniform_group = options.uniform_group;
    return mix;
}

// What the update modes without grouping do not know; nn::check_update says the same of networks.
void check_update(const TrainOptions& options) {
    if (options.update == nn::Update::grouped) return;
    const auto refuse = [&](bool refused, const std::string& other, const std::string& needed) {
        if (refused)
            throw Error(ErrorCode::usage,
                        "--update",
                        fmt::format("{} needs {}, but {} was asked for; leave one of the two out",
                                    name_of(kUpdates, options.update),
                                    needed,
                                    other));
    };
    refuse(options.output != Output::lsh,
           "--output " + name_of(kOutputs, options.output),
           "--output lsh");
    refuse(options.scope == nn::Scope::batch, "--active-scope batch", "--active-scope sample");
    refuse(options.correction != nn::Correction::none, "--correction logq", "--correction none");
    refuse(options.precision != nn::Precision::fp32, "--precision bf16", "--precision fp32");
    refuse(options.machine.domains > 1,
           fmt::format("--domains {}", options.machine.domains),
           "--domains 1");
    if (options.update == nn::Update::racy_sums) return;
    refuse(options.optimizer == nn::Optimizer::adam_dense,
           "--optimizer adam-dense",
           "an optimizer of touched rows");
    refuse(options.query == nn::QueryBy::label, "--query label", "--query activation");
    refuse(options.rank == nn::Rank::dot_fp32 && options.sampling != "exact",
           "--rank dot-fp32",
           "--sampling exact or another --rank");
}

}  // namespace

void add_train_options(CLI::App& command, TrainOptions& o) {
    const CLI::Range positive(1U, 0x7fffffffU);

    command.add_option("--train", o.train, "Training set (XMC text, .gz too)")->required();
    command.add_option("--test", o.test, "Test set")->required();
    command.add_option(
        "--config", o.config, "Options and hidden layers from a file (TOML); flags given win");
    command.add_flag("--dump-config", o.dump_config, "Write such a file to stdout, and stop");
    command.add_option("--model", o.model, "Where to write the model (safetensors)");
    command.add_option("--log", o.log, "Where to write the run log (JSON lines)");
    add_cache_option(command, o.cache);
    command.add_flag("--stream{always},--no-stream{never}",
                     o.stream,
                     "Read the training set anew each epoch, or hold it in memory (default: in "
                     "memory if it fits)");
    command
        .add_option(
            "--shuffle-buffer", o.shuffle_buffer, "Points that a streamed epoch is shuffled among")
        ->capture_default_str()
        ->check(positive);
    add_checkpoint_options(command, o);

    add_choice(
        command, "--output", o.output, kOutputs, "Softmax over LSH-sampled neurons, or a baseline");
    add_choice(command,
               "--loss",
               o.loss,
               kLosses,
               "Of the labels together, of each neuron by itself, or a squared error");
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
    command
        .add_option(
            "--sampling",
            o.sampling,
            fmt::format("How a sample's neurons are found, at most lsh of --mix (auto: exact "
                        "where a linear scan is cheap, else top-k of the tables): auto, {}",
                        names_text(kSamplings)))
        ->capture_default_str()
        ->check([](const std::string& name) {
            if (name == "auto" || value_of(kSamplings, name)) return std::string();
            return fmt::format("{} is none of auto, {}", name, names_text(kSamplings));
        });
    command
        .add_option(
            "--threshold", o.threshold, "Least tables of a candidate (--sampling threshold)")
        ->capture_default_str()
        ->check(positive);
    command.add_option("--alpha", o.alpha, "Of sigma(alpha logit + beta) (--sampling standout)")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    command.add_option("--beta", o.beta, "The same")->capture_default_str();
    add_choice(
        command, "--query", o.query, kQueries, "What is hashed: activation, or a label's row");
    add_choice(command,
               "--active-scope",
               o.scope,
               kScopes,
               "Active neurons of each sample, or their union for the whole batch");
    add_choice(command,
               "--correction",
               o.correction,
               kCorrections,
               "Take ln(probability of being chosen) off the logits");
    add_choice(command,
               "--negatives-from",
               o.negatives_from,
               kNegatives,
               "Drawn from all neurons, those whose label occurs, or these by their counts");
    add_choice(command, "--hash", o.hash.family, kFamilies, "Hash family");
    command.add_option("--hash-k", o.hash_k, "Codes a table (auto: by the layer's width)")
        ->capture_default_str();
    command.add_option("--hash-l", o.hash_l, "Tables (auto: 50)")->capture_default_str();
    command
        .add_option("--hash-probes",
                    o.hash.probes,
                    "Buckets a table that a query looks at (simhash, hadamard)")
        ->capture_default_str()
        ->check(CLI::Range(1U, lsh::kMaxProbes));
    command.add_option("--hash-width", o.hash.width, "Width of the cells of --hash pstable")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
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
        ->default_str("by the optimizer")
        ->check(CLI::PositiveNumber);
    add_choice(command,
               "--lr-schedule",
               o.training.lr_schedule.shape,
               kShapes,
               "Course of the learning rate over the epochs");
    train::LearningRateSchedule& schedule = o.training.lr_schedule;
    command.add_option("--warm-up", schedule.warm_up, "Steps until the full learning rate")
        ->capture_default_str();
    command
        .add_option("--lr-step-every", schedule.step_every, "Steps of a stair (--lr-schedule step)")
        ->capture_default_str()
        ->check(positive);
    command.add_option("--lr-step-factor", schedule.step_factor, "Factor from stair to stair")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0));
    command
        .add_option("--clip-norm",
                    o.training.regularisers.clip_norm,
                    "Longest hidden gradient that a sample sends to the input layer (0: any)")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    command
        .add_option("--label-smoothing",
                    o.training.regularisers.label_smoothing,
                    "Share of the target that all active neurons get evenly")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 0.99));
    command
        .add_option("--feature-dropout",
                    o.training.feature_dropout,
                    "Share of a sample's features that a step leaves out")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 0.99));
    add_choice(command,
               "--optimizer",
               o.optimizer,
               kOptimizers,
               "Adam on touched rows (lazy) or on all, or one of these");
    add_choice(command, "--precision", o.precision, kPrecisions, "Weights that are computed with");
    add_optional_choice(
        command, "--output-optimizer", o.output_optimizer, kOptimizers, "The output layer's own");
    add_optional_choice(
        command, "--output-precision", o.output_precision, kPrecisions, "The output layer's own");
    command
        .add_option("--output-reads",
                    o.output_reads,
                    "What a sampled last hidden layer hands to the output (auto: lists from 513 "
                    "neurons on): auto, lists, matrix")
        ->capture_default_str()
        ->check(CLI::IsMember({"auto", "lists", "matrix"}).description(""));
    command.add_option("--output-lr", o.output_lr, "The output layer's own learning rate")
        ->check(CLI::PositiveNumber);
    add_choice(command,
               "--update",
               o.update,
               kUpdates,
               "Once a batch, or without locks as SLIDE's paper or its code has it");
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
                    "Points of an evaluation during training (0: all)")
        ->capture_default_str();
    command
        .add_option("--validation",
                    o.validation,
                    "Share of the training points, drawn by --seed, that is held out and evaluated "
                    "on during training in place of the test set")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 0.9));
    command
        .add_option("--early-stop",
                    o.training.early_stop,
                    "Stop after so many evaluations on the validation part without a better P@1 "
                    "(0: never)")
        ->capture_default_str();
    command.add_option("--sample-weights",
                       o.sample_weights,
                       "Weights of the training points (text, a number of at least 0 a line)");
    add_propensity_options(command, o.propensity);
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

void check_options(const TrainOptions& options, std::uint32_t labels) {
    const auto given = [&](const char* flag) { return was_given(options, flag); };
    const auto refuse = [](const std::string& flag, const std::string& why) {
        throw Error(ErrorCode::usage, flag, why);
    };
    const nn::Mix mix = parse_mix(options.mix);
    if (options.loss != nn::Loss::softmax && given("--correction"))
        refuse("--correction",
               fmt::format("corrects the sum of a softmax, but --loss is {}; leave one of the two "
                           "out",
                           name_of(kLosses, options.loss)));
    if (options.loss == nn::Loss::squared && given("--label-smoothing"))
        refuse(
            "--label-smoothing",
            "spreads the probability of labels, but --loss is squared; leave one of the two out");
    if (!options.layers.empty() && given("--hidden"))
        refuse("--hidden",
               "is the width of a single hidden layer, but the file of --config has [[hidden]] "
               "layers; leave one of the two out");
    if (options.training.early_stop > 0 && !(options.validation > 0))
        refuse("--early-stop",
               "needs a validation part, but --validation is 0; give it a share, 0.1 for instance, "
               "or leave --early-stop out");
    check_update(options);

    const auto needs_lsh = [&](const char* flag) {
        if (given(flag) && options.output != Output::lsh)
            refuse(flag,
                   fmt::format("needs --output lsh, but --output is {}; leave one of the two out",
                               output_name(options.output)));
    };
    std::for_each(kActiveSetFlags.begin(), kActiveSetFlags.end(), needs_lsh);
    std::for_each(kTableFlags.begin(), kTableFlags.end(), needs_lsh);
    for (const char* flag : kUniformFlags) {
        if (given(flag) && options.output != Output::uniform)
            refuse(
                flag,
                fmt::format("needs --output uniform, but --output is {}; leave one of the two out",
                            output_name(options.output)));
    }
    if (given("--correction") && options.output == Output::full)
        refuse("--correction",
               "needs --output lsh or uniform, but --output is full; leave one of the two out");
    if (options.output != Output::lsh) return;
    const std::optional<nn::Sampling> sampling = value_of(kSamplings, options.sampling);
    if (given("--threshold") && sampling != nn::Sampling::threshold)
        refuse("--threshold", "needs --sampling threshold; leave one of the two out");
    for (const char* flag : {"--alpha", "--beta"}) {
        if (given(flag) && sampling != nn::Sampling::standout)
            refuse(flag, "needs --sampling standout; leave one of the two out");
    }
    if (given("--rank") && sampling && sampling != nn::Sampling::top_k &&
        sampling != nn::Sampling::exact)
        refuse(
            "--rank",
            fmt::format("needs --sampling top-k or exact, but --sampling is {}; leave one of the "
                        "two out",
                        options.sampling));
    if (sampling == nn::Sampling::exact && options.rank == nn::Rank::count)
        refuse("--rank",
               "count needs tables, but --sampling exact has none; leave one of the two out");
    if (mix.lsh == 0 && sampling != nn::Sampling::none)
        refuse("--mix",
               fmt::format("{} has no part lsh, but --output is lsh; give it one, or say "
                           "--sampling none for a control without tables",
                           options.mix));
    const std::uint64_t active = std::uint64_t{mix.lsh} + mix.batch + mix.uniform;
    if (given("--mix") && active > labels)
        refuse(
            "--mix",
            fmt::format("{} asks for {} active neurons a sample, the data has {} labels; ask for "
                        "fewer",
                        options.mix,
                        active,
                        labels));
}

train::TrainConfig train_config(const TrainOptions& options, std::size_t met) {
    train::TrainConfig training = options.training;
    training.rebuild_first = resolve<std::uint64_t>(
        "--rebuild-first", options.rebuild_first, 1, auto_rebuild_first(met, training.batch));
    const std::size_t layers = options.layers.empty() ? 1 : options.layers.size();
    for (const LayerOptions& layer : options.layers) training.layer_lr.push_back(layer.lr);
    training.layer_lr.resize(layers);
    training.layer_lr.push_back(options.output_lr);
    training.checkpoint = parse_checkpoint_every(options.checkpoint_every);
    return training;
}

namespace {

nn::HiddenLayers hidden_layers(const TrainOptions& options) {
    if (options.layers.empty()) return options.hidden;
    nn::HiddenLayers hidden;
    for (const LayerOptions& layer : options.layers)
        hidden.push_back(hidden_layer(layer, hidden.empty(), options.training.seed));
    return hidden;
}

}  // namespace

nn::NetworkConfig network_config(const TrainOptions& options,
                                 const data::PointsView& points,
                                 std::size_t met) {
    nn::NetworkConfig config{
        .features = points.features,
        .hidden = hidden_layers(options),
        .labels = points.labels,
        .output = nn::FullOutput{},
        .loss = options.loss,
        .optimizer = options.optimizer,
        .precision = options.precision,
        .output_optimizer = options.output_optimizer,
        .output_precision = options.output_precision,
        .lists_to_output = options.output_reads == "auto"
                               ? std::nullopt
                               : std::optional(options.output_reads == "lists"),
        .update = options.update,
        .seed = options.training.seed};
    if (options.output == Output::uniform) {
        config.output = nn::UniformOutput{.negatives = options.negatives,
                                          .from = options.negatives_from,
                                          .correction = options.correction};
    }
    if (options.output == Output::lsh) {
        const lsh::HashConfig hash = resolve_hash(options, met);
        config.output = nn::LshOutput{
            .hash = hash,
            .mix = resolve_mix(options),
            .centre = options.centre,
            .rank = options.rank,
            .bucket_cap = resolve(
                "--bucket-cap", options.bucket_cap, 0U, auto_bucket_cap(met, lsh::key_bits(hash))),
            .bucket_policy = options.bucket_policy,
            .sampling = resolve_sampling(options, met),
            .threshold = options.threshold,
            .alpha = options.alpha,
            .beta = options.beta,
            .query = options.query,
            .scope = options.scope,
            .correction = options.correction};
    }
    return config;
}

nlohmann::ordered_json options_json(const TrainOptions& options,
                                    const train::TrainConfig& training,
                                    const nn::NetworkConfig& config) {
    nlohmann::ordered_json json = {
        {"train", options.train},
        {"test", options.test},
        {"hidden", config.hidden.last_width()},
        {"layers", layers_json(config.hidden)},
        {"loss", name_of(kLosses, config.loss)},
        {"output", name_of(kOutputs, options.output)},
        {"batch", training.batch},
        {"epochs", training.epochs},
        {"lr", training.lr.value_or(train::default_lr(options.optimizer))},
        {"lr-schedule", name_of(kShapes, training.lr_schedule.shape)},
        {"warm-up", training.lr_schedule.warm_up},
        {"clip-norm", training.regularisers.clip_norm},
        {"label-smoothing", training.regularisers.label_smoothing},
        {"feature-dropout", training.feature_dropout},
        {"optimizer", name_of(kOptimizers, options.optimizer)},
        {"precision", name_of(kPrecisions, options.precision)},
        {"update", name_of(kUpdates, options.update)},
        {"weight-decay", training.weight_decay},
        {"validation", options.validation},
        {"early-stop", training.early_stop},
        {"seed", training.seed}};
    if (!options.sample_weights.empty()) json["sample-weights"] = options.sample_weights;
    const train::PropensityModel propensity = propensity_model(options.propensity);
    json.update({{"propensity-a", propensity.a}, {"propensity-b", propensity.b}});
    if (training.lr_schedule.shape == train::LearningRateShape::step) {
        json["lr-step-every"] = training.lr_schedule.step_every;
        json["lr-step-factor"] = training.lr_schedule.step_factor;
    }
    if (const auto* uniform = std::get_if<nn::UniformOutput>(&config.output)) {
        json.update({{"negatives", uniform->negatives},
                     {"negatives-from", name_of(kNegatives, uniform->from)},
                     {"correction", name_of(kCorrections, uniform->correction)}});
    }
    if (const auto* lsh = std::get_if<nn::LshOutput>(&config.output)) {
        json.update({{"hash", name_of(kFamilies, lsh->hash.family)},
                     {"hash-k", lsh->hash.k},
                     {"hash-l", lsh->hash.l},
                     {"hash-probes", lsh->hash.probes},
                     {"packing", name_of(kPackings, lsh->hash.packing)},
                     {"hash-width", lsh->hash.width},
                     {"bucket-cap", lsh->bucket_cap},
                     {"bucket-policy", name_of(kPolicies, lsh->bucket_policy)},
                     {"mix", mix_text(lsh->mix)},
                     {"uniform-group", lsh->mix.uniform_group},
                     {"centre", name_of(kCentres, lsh->centre)},
                     {"rank", name_of(kRanks, lsh->rank)},
                     {"sampling", name_of(kSamplings, lsh->sampling)},
                     {"query", name_of(kQueries, lsh->query)},
                     {"active-scope", name_of(kScopes, lsh->scope)},
                     {"correction", name_of(kCorrections, lsh->correction)},
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
    const std::string kind = fmt::format(
        "{}{}", name_of(kSamplings, lsh.sampling), options.sampling == "auto" ? " (auto)" : "");
    if (!nn::uses_tables(lsh.sampling)) {
        return lsh.sampling == nn::Sampling::exact
                   ? fmt::format("{}; of all neurons met the best {} by {} are taken",
                                 kind,
                                 lsh.mix.lsh,
                                 name_of(kRanks, lsh.rank))
                   : kind;
    }
    const std::string schedule =
        training.rebuild_drift > 0
            ? fmt::format("rebuilt when {:.0f} % of the keys have changed",
                          100 * training.rebuild_drift)
            : fmt::format("first rebuilt after {} steps",
                          with_choice(training.rebuild_first, options.rebuild_first));
    return fmt::format(
        "{}; {} tables of {}, K = {}, buckets of at most {}, {}; of a sample's candidates the best "
        "{} "
        "by {} are kept",
        kind,
        with_choice(lsh.hash.l, options.hash_l),
        name_of(kFamilies, lsh.hash.family),
        with_choice(lsh.hash.k, options.hash_k),
        with_choice(lsh.bucket_cap, options.bucket_cap),
        schedule,
        lsh.mix.lsh,
        name_of(kRanks, lsh.rank));
}

}  // namespace slidekit::cli
