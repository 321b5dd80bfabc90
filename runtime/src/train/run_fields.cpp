// Fields of a run. A new option that changes a bit of the model belongs here.
#include <slidekit/train/run_fields.hpp>

#include <array>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "data/checksum.hpp"
#include "train/names.hpp"

namespace slidekit::train {

namespace {

// As those of names.hpp.
constexpr std::array kRanks = {"dot", "dot-fp32", "count"};
constexpr std::array kPolicies = {"reservoir", "fifo"};
constexpr std::array kSamplings = {
    "top-k", "vanilla", "threshold", "union", "none", "exact", "standout"};
constexpr std::array kQueries = {"activation", "label"};
constexpr std::array kScopes = {"sample", "batch"};
constexpr std::array kCorrections = {"none", "logq"};
constexpr std::array kNegatives = {"all", "met", "popular"};
constexpr std::array kOptimizers = {"adam", "adam-dense", "adagrad-row", "sgd", "momentum"};
constexpr std::array kPrecisions = {"fp32", "bf16"};
constexpr std::array kUpdates = {"batch", "hogwild", "racy"};
constexpr std::array kLosses = {"softmax", "sigmoid", "squared"};
constexpr std::array kShapes = {"constant", "linear", "cosine", "step"};
constexpr std::array kRebuilds = {"background", "blocking"};

template <class Names, class Enum>
std::string name_of(const Names& names, Enum value) {
    return names.at(static_cast<std::size_t>(value));
}

template <class T>
std::string text(T value) {
    return fmt::format("{}", value);
}

Fields output_fields(const nn::LshOutput& lsh) {
    return {
        {"output", "lsh"},
        {"hash", name_of(kFamilies, lsh.hash.family)},
        {"hash-k", text(lsh.hash.k)},
        {"hash-l", text(lsh.hash.l)},
        {"hash-probes", text(lsh.hash.probes)},
        {"packing", name_of(kPackings, lsh.hash.packing)},
        {"hash-bits", text(lsh.hash.bits)},
        {"hash-width", text(lsh.hash.width)},
        {"hash-seed", text(lsh.hash.seed)},
        {"mix",
         fmt::format("lsh={},batch={},uniform={}", lsh.mix.lsh, lsh.mix.batch, lsh.mix.uniform)},
        {"uniform-group", text(lsh.mix.uniform_group)},
        {"centre", name_of(kCentres, lsh.centre)},
        {"rank", name_of(kRanks, lsh.rank)},
        {"bucket-cap", text(lsh.bucket_cap)},
        {"bucket-policy", name_of(kPolicies, lsh.bucket_policy)},
        {"sampling", name_of(kSamplings, lsh.sampling)},
        {"threshold", text(lsh.threshold)},
        {"alpha", text(lsh.alpha)},
        {"beta", text(lsh.beta)},
        {"query", name_of(kQueries, lsh.query)},
        {"active-scope", name_of(kScopes, lsh.scope)},
        {"correction", name_of(kCorrections, lsh.correction)}};
}

Fields output_fields(const nn::UniformOutput& uniform) {
    return {{"output", "uniform"},
            {"negatives", text(uniform.negatives)},
            {"negatives-from", name_of(kNegatives, uniform.from)},
            {"correction", name_of(kCorrections, uniform.correction)}};
}

Fields output_fields(const nn::FullOutput&) { return {{"output", "full"}}; }

// Of a hidden layer, under names of its own: "hidden2.mix".
void add_hidden(Fields& fields, const nn::NetworkConfig& config, std::size_t i) {
    const nn::HiddenLayer& layer = config.hidden[i];
    const std::string name = "hidden" + std::to_string(i + 1);
    fields[name] = text(layer.width);
    fields[name + ".optimizer"] = name_of(kOptimizers, nn::optimizer_of(config, i));
    fields[name + ".precision"] =
        layer.precision ? name_of(kPrecisions, *layer.precision) : "the network's";
    fields[name + ".initial-deviation"] =
        layer.initial_deviation ? text(*layer.initial_deviation) : "the usual";
    if (!layer.sampled) return;
    for (const auto& [key, value] : output_fields(*layer.sampled)) fields[name + "." + key] = value;
}

Fields network_fields(const nn::Network& network) {
    const nn::NetworkConfig& config = network.config();
    Fields fields =
        std::visit([](const auto& output) { return output_fields(output); }, config.output);
    const std::size_t output = config.hidden.size();
    const nn::Precision precision = config.output_precision.value_or(config.precision);
    fields.insert({{"features", text(config.features)},
                   {"hidden", text(config.hidden.front().width)},
                   {"hidden-layers", text(config.hidden.size())},
                   {"labels", text(config.labels)},
                   {"loss", name_of(kLosses, config.loss)},
                   {"optimizer", name_of(kOptimizers, config.optimizer)},
                   {"precision", name_of(kPrecisions, config.precision)},
                   {"output-optimizer", name_of(kOptimizers, nn::optimizer_of(config, output))},
                   {"output-precision", name_of(kPrecisions, precision)},
                   {"output-reads", nn::output_reads_lists(config) ? "lists" : "matrix"},
                   {"update", name_of(kUpdates, config.update)},
                   {"initial-deviation", text(config.initial_deviation)},
                   {"seed", text(config.seed)},
                   // Decides no bit, but each shard has tables of its own.
                   {"domains", text(network.shards())}});
    const bool usual = config.hidden.size() == 1 && !config.hidden.front().sampled;
    for (std::size_t i = 0; !usual && i < config.hidden.size(); ++i) add_hidden(fields, config, i);
    return fields;
}

Fields training_fields(const TrainConfig& config, const nn::NetworkConfig& network) {
    const LearningRateSchedule& schedule = config.lr_schedule;
    const nn::Regularisers& regularisers = config.regularisers;
    Fields fields = {{"batch", text(config.batch)},
                     {"lr", text(lr_of(network, config, 0))},
                     {"lr-schedule", name_of(kShapes, schedule.shape)},
                     {"warm-up", text(schedule.warm_up)},
                     {"lr-step-every", text(schedule.step_every)},
                     {"lr-step-factor", text(schedule.step_factor)},
                     {"label-smoothing", text(regularisers.label_smoothing)},
                     {"clip-norm", text(regularisers.clip_norm)},
                     {"feature-dropout", text(config.feature_dropout)},
                     {"weight-decay", text(config.weight_decay)},
                     {"rebuild-first", text(config.rebuild_first)},
                     {"rebuild-growth", text(config.rebuild_growth)},
                     {"rebuild", name_of(kRebuilds, config.rebuild)},
                     {"rebuild-drift", text(config.rebuild_drift)},
                     {"redraw-every", text(config.redraw_every)},
                     {"seed", text(config.seed)}};
    const std::size_t output = network.hidden.size();
    for (std::size_t i = 1; i < output; ++i)
        fields["hidden" + std::to_string(i + 1) + ".lr"] = text(lr_of(network, config, i));
    fields["output-lr"] = text(lr_of(network, config, output));
    if (schedule.shape == LearningRateShape::linear || schedule.shape == LearningRateShape::cosine)
        fields["epochs"] = text(config.epochs);
    return fields;
}

}  // namespace

RunFields run_fields(const nn::Network& network, const TrainConfig& config, Fields data) {
    return {network_fields(network), std::move(data), training_fields(config, network.config())};
}

Fields data_fields(const data::PointsView& points) {
    data::Checksum sum;
    const auto add = [&](auto values) { sum.add(std::as_bytes(values)); };
    add(points.feature_offsets);
    add(points.feature_ids);
    add(points.feature_values);
    add(points.label_offsets);
    add(points.label_ids);
    add(points.label_values);
    add(points.weights);
    return {{"points", text(points.points)},
            {"features", text(points.features)},
            {"labels", text(points.labels)},
            {"non-zeros", text(points.feature_ids.size())},
            {"contents", fmt::format("{:016x}", sum.sum())}};
}

}  // namespace slidekit::train
