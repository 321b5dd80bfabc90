// Fields of a run. A new option that changes a bit of the model belongs here.
#include <slidekit/train/run_fields.hpp>

#include <array>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "data/checksum.hpp"

namespace slidekit::train {

namespace {

// In the order of their enums, spelt as the program's flags have them.
constexpr std::array kFamilies = {
    "simhash", "hadamard", "dwta", "wta", "doph", "pstable", "crosspolytope"};
constexpr std::array kPackings = {"concat", "slide-compat"};
constexpr std::array kCentres = {"on", "off"};
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

Fields network_fields(const nn::Network& network) {
    const nn::NetworkConfig& config = network.config();
    Fields fields =
        std::visit([](const auto& output) { return output_fields(output); }, config.output);
    fields.insert({{"features", text(config.features)},
                   {"hidden", text(config.hidden)},
                   {"labels", text(config.labels)},
                   {"optimizer", name_of(kOptimizers, config.optimizer)},
                   {"precision", name_of(kPrecisions, config.precision)},
                   {"initial-deviation", text(config.initial_deviation)},
                   {"seed", text(config.seed)},
                   // Decides no bit, but each shard has tables of its own.
                   {"domains", text(network.shards())}});
    return fields;
}

Fields training_fields(const TrainConfig& config, nn::Optimizer optimizer) {
    const LearningRateSchedule& schedule = config.lr_schedule;
    const nn::Regularisers& regularisers = config.regularisers;
    Fields fields = {{"batch", text(config.batch)},
                     {"lr", text(config.lr.value_or(default_lr(optimizer)))},
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
    if (schedule.shape == LearningRateShape::linear || schedule.shape == LearningRateShape::cosine)
        fields["epochs"] = text(config.epochs);
    return fields;
}

}  // namespace

RunFields run_fields(const nn::Network& network, const TrainConfig& config, Fields data) {
    return {network_fields(network),
            std::move(data),
            training_fields(config, network.config().optimizer)};
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
