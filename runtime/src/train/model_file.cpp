// Model files: names, shapes and configuration on top of tensor files.
#include <slidekit/train/model_file.hpp>

#include <algorithm>
#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include <slidekit/data/tensor_file.hpp>
#include <slidekit/system/error.hpp>

namespace slidekit::train {

namespace {

constexpr const char* kConfigKey = "slidekit.network";

std::string output_name(const nn::OutputConfig& output) {
    if (std::holds_alternative<nn::LshOutput>(output)) return "lsh";
    return std::holds_alternative<nn::UniformOutput>(output) ? "uniform" : "full";
}

Error foreign(const std::filesystem::path& file, const std::string& what) {
    return {ErrorCode::input,
            file.string(),
            what + "; is it a model that `slidekit train --model` wrote?"};
}

ModelShape shape_of(const data::TensorFile& tensors, const std::filesystem::path& file) {
    const auto& metadata = tensors.metadata();
    const auto entry = metadata.find(kConfigKey);
    if (entry == metadata.end())
        throw foreign(file, std::string("its metadata has no \"") + kConfigKey + "\"");
    const nlohmann::json config = nlohmann::json::parse(entry->second, nullptr, false);
    const auto number = [&](const char* key) {
        if (!config.is_object() || !config.contains(key) || !config[key].is_number_unsigned() ||
            config[key].get<std::uint64_t>() == 0 ||
            config[key].get<std::uint64_t>() > 0x7fffffff) {
            throw foreign(file, std::string("its configuration has no usable \"") + key + "\"");
        }
        return config[key].get<std::uint32_t>();
    };
    return {.features = number("features"), .hidden = number("hidden"), .labels = number("labels")};
}

void copy_rows(std::span<const float> from, kernels::RowMatrix<float> to) {
    for (std::size_t i = 0; i < to.rows; ++i)
        std::copy_n(from.data() + i * to.dim, to.dim, to.row(i));
}

}  // namespace

void save_model(const nn::Network& network, const std::filesystem::path& file) {
    const nn::NetworkConfig& config = network.config();
    const nlohmann::json json = {{"features", config.features},
                                 {"hidden", config.hidden},
                                 {"labels", config.labels},
                                 {"activation", "relu"},
                                 {"trained_with", output_name(config.output)},
                                 {"seed", config.seed}};
    const auto matrix = [](const char* name, const nn::Parameters& parameters) {
        data::TensorSource source{.name = name, .shape = {parameters.rows(), parameters.dim()}};
        source.read_row = [&](std::size_t i, float* out) { parameters.copy_row(i, out); };
        return source;
    };
    const auto vector = [](const char* name, std::span<const float> values) {
        return data::TensorSource{name, {values.size()}, values.data(), 0, {}};
    };
    const std::array<data::TensorSource, 4> tensors = {
        matrix("input.weight", network.input()),
        vector("input.bias", network.hidden_bias()),
        matrix("output.weight", network.output()),
        vector("output.bias", network.output().bias())};
    data::write_tensors(file, tensors, {{kConfigKey, json.dump()}});
}

ModelShape read_model_shape(const std::filesystem::path& file) {
    return shape_of(data::TensorFile(file), file);
}

nn::Network load_model(system::Runtime& runtime, const std::filesystem::path& file) {
    const data::TensorFile tensors(file);
    const ModelShape shape = shape_of(tensors, file);
    const std::uint64_t features = shape.features;
    const std::uint64_t hidden = shape.hidden;
    const std::uint64_t labels = shape.labels;
    // All four are looked up before memory is taken, so that a file of other shapes costs nothing.
    const auto input_weight = tensors.read("input.weight", std::array{features, hidden});
    const auto input_bias = tensors.read("input.bias", std::array{hidden});
    const auto output_weight = tensors.read("output.weight", std::array{labels, hidden});
    const auto output_bias = tensors.read("output.bias", std::array{labels});

    nn::Network network(runtime,
                        {.features = shape.features,
                         .hidden = shape.hidden,
                         .labels = shape.labels,
                         .output = nn::FullOutput{},
                         .optimizer = nn::Optimizer::sgd,
                         .initial_deviation = 0});
    copy_rows(input_weight, network.input().weights());
    copy_rows(output_weight, network.output().weights());
    std::copy(input_bias.begin(), input_bias.end(), network.hidden_bias().begin());
    std::copy(output_bias.begin(), output_bias.end(), network.output().bias().begin());
    return network;
}

}  // namespace slidekit::train
