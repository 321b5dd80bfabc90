// Model files: names, shapes and configuration on top of tensor files.
#include <slidekit/train/model_file.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <slidekit/data/tensor_file.hpp>
#include <slidekit/system/error.hpp>

#include "train/names.hpp"

namespace slidekit::train {

namespace {

constexpr const char* kConfigKey = "slidekit.network";
constexpr const char* kRetrievalKey = "slidekit.retrieval";
constexpr const char* kLayersKey = "layers";
constexpr const char* kActiveKey = "active";
constexpr const char* kRows = "retrieval.rows";
constexpr const char* kCentre = "retrieval.centre";

constexpr std::uint32_t kMostCodes = 64;

std::string output_name(const nn::OutputConfig& output) {
    if (std::holds_alternative<nn::LshOutput>(output)) return "lsh";
    return std::holds_alternative<nn::UniformOutput>(output) ? "uniform" : "full";
}

Error foreign(const std::filesystem::path& file, const std::string& what) {
    return {ErrorCode::input,
            file.string(),
            what + "; is it a model that `slidekit train --model` wrote?"};
}

// One JSON object of the metadata, whose values are looked up one by one and refused by name.
class Settings {
public:
    Settings(const data::TensorFile& tensors, const std::filesystem::path& file, const char* key)
        : file_(file) {
        const auto entry = tensors.metadata().find(key);
        if (entry == tensors.metadata().end())
            throw foreign(file, std::string("its metadata has no \"") + key + "\"");
        values_ = nlohmann::json::parse(entry->second, nullptr, false);
    }
    Settings(nlohmann::json values, const std::filesystem::path& file)
        : file_(file), values_(std::move(values)) {}

    [[nodiscard]] bool has(const char* key) const {
        return values_.is_object() && values_.contains(key);
    }
    [[nodiscard]] std::uint64_t number(const char* key,
                                       std::uint64_t least,
                                       std::uint64_t most) const {
        if (!has(key) || !values_[key].is_number_unsigned()) refuse(key);
        const auto value = values_[key].get<std::uint64_t>();
        if (value < least || value > most) refuse(key);
        return value;
    }
    /// A list that is not empty.
    [[nodiscard]] const nlohmann::json& list(const char* key) const {
        if (!has(key) || !values_[key].is_array() || values_[key].empty()) refuse(key);
        return values_[key];
    }
    [[nodiscard]] float positive(const char* key) const {
        if (!has(key) || !values_[key].is_number()) refuse(key);
        const auto value = values_[key].get<float>();
        if (!(value > 0) || !std::isfinite(value)) refuse(key);
        return value;
    }
    /// Position of the text among those that are known.
    [[nodiscard]] std::size_t choice(const char* key, std::span<const char* const> known) const {
        if (!has(key) || !values_[key].is_string()) refuse(key);
        const auto found = std::find(known.begin(), known.end(), values_[key].get<std::string>());
        if (found == known.end()) refuse(key);
        return static_cast<std::size_t>(found - known.begin());
    }

private:
    [[noreturn]] void refuse(const char* key) const {
        throw foreign(file_, std::string("its configuration has no usable \"") + key + "\"");
    }

    const std::filesystem::path& file_;
    nlohmann::json values_;
};

ModelShape shape_of(const data::TensorFile& tensors, const std::filesystem::path& file) {
    const Settings settings(tensors, file, kConfigKey);
    const auto number = [&](const char* key) {
        return static_cast<std::uint32_t>(settings.number(key, 1, 0x7fffffff));
    };
    ModelShape shape{number("features"), nn::HiddenLayers(number("hidden")), number("labels")};
    if (!settings.has(kLayersKey)) return shape;
    shape.hidden.clear();
    for (const nlohmann::json& entry : settings.list(kLayersKey)) {
        const Settings layer(entry, file);
        nn::HiddenLayer& hidden = shape.hidden.emplace_back();
        hidden.width = static_cast<std::uint32_t>(layer.number("width", 1, 0x7fffffff));
        if (!layer.has(kActiveKey)) continue;
        const auto active = static_cast<std::uint32_t>(layer.number(kActiveKey, 0, hidden.width));
        // Without tables: prediction looks at all neurons of a hidden layer.
        hidden.sampled = nn::LshOutput{.hash = {},
                                       .mix = {.lsh = active, .batch = 0, .uniform = 1},
                                       .sampling = nn::Sampling::exact};
    }
    return shape;
}

nlohmann::json layers_json(const nn::HiddenLayers& hidden) {
    nlohmann::json layers = nlohmann::json::array();
    for (const nn::HiddenLayer& layer : hidden) {
        nlohmann::json entry = {{"width", layer.width}};
        if (layer.sampled) entry[kActiveKey] = std::min(layer.sampled->mix.lsh, layer.width);
        layers.push_back(entry);
    }
    return layers;
}

std::string retrieval_json(const nn::LshOutput& output) {
    const nlohmann::json entries = {
        {"hash", kFamilies[static_cast<std::size_t>(output.hash.family)]},
        {"bits", output.hash.bits},
        {"width", output.hash.width},
        {"k", output.hash.k},
        {"l", output.hash.l},
        {"probes", output.hash.probes},
        {"packing", output.hash.packing == lsh::Packing::concat ? "concat" : "slide-compat"},
        {"seed", output.hash.seed},
        {"centre", output.centre == nn::Centre::on ? "on" : "off"},
        {"bucket-cap", output.bucket_cap}};
    return entries.dump();
}

nn::LshOutput retrieval_output(const Settings& settings) {
    constexpr std::uint64_t kMost32 = 0xffffffff;
    nn::LshOutput output;
    const auto number = [&](const char* key, std::uint64_t least, std::uint64_t most) {
        return static_cast<std::uint32_t>(settings.number(key, least, most));
    };
    output.hash.family = static_cast<lsh::HashFamily>(settings.choice("hash", kFamilies));
    output.hash.bits = number("bits", 0, lsh::kMaxKeyBits);
    output.hash.width = settings.positive("width");
    output.hash.packing = std::array{
        lsh::Packing::concat, lsh::Packing::slide_compat}[settings.choice("packing", kPackings)];
    output.hash.k = number("k", 1, kMostCodes);
    output.hash.l = number("l", 1, lsh::kMaxTables);
    if (settings.has("probes")) output.hash.probes = number("probes", 1, lsh::kMaxProbes);
    output.hash.seed = settings.number("seed", 0, ~std::uint64_t{0});
    output.centre =
        std::array{nn::Centre::on, nn::Centre::off}[settings.choice("centre", kCentres)];
    output.bucket_cap = number("bucket-cap", 0, kMost32);
    return output;
}

void copy_rows(std::span<const float> from, kernels::RowMatrix<float> to) {
    for (std::size_t i = 0; i < to.rows; ++i)
        std::copy_n(from.data() + i * to.dim, to.dim, to.row(i));
}

}  // namespace

void save_model(const nn::Network& network, const std::filesystem::path& file) {
    const nn::NetworkConfig& config = network.config();
    nlohmann::json configuration = {{"features", config.features},
                                    {"hidden", config.hidden.last_width()},
                                    {"labels", config.labels},
                                    {"activation", "relu"},
                                    {"trained_with", output_name(config.output)},
                                    {"seed", config.seed}};
    if (config.hidden.size() > 1 || config.hidden.front().sampled)
        configuration[kLayersKey] = layers_json(config.hidden);
    const auto matrix = [](const std::string& name, const nn::Parameters& parameters) {
        data::TensorSource source{.name = name, .shape = {parameters.rows(), parameters.dim()}};
        source.read_row = [&](std::size_t i, float* out) { parameters.copy_row(i, out); };
        return source;
    };
    const auto vector = [](const std::string& name, std::span<const float> values) {
        return data::TensorSource{.name = name, .shape = {values.size()}, .data = values.data()};
    };
    std::vector<data::TensorSource> tensors;
    for (const nn::Network::ConstHiddenView& layer : network.hidden_layers()) {
        tensors.push_back(matrix(layer.name + ".weight", layer.weights));
        tensors.push_back(vector(layer.name + ".bias", layer.bias));
    }
    tensors.push_back(matrix("output.weight", network.output()));
    tensors.push_back(vector("output.bias", network.output().bias()));
    std::map<std::string, std::string> metadata = {{kConfigKey, configuration.dump()}};
    const nn::RetrievalSetup retrieval = network.retrieval_setup();
    if (!retrieval.met.empty()) {
        tensors.push_back({kRows, {retrieval.met.size()}, retrieval.met.data(), 0, "U32"});
        tensors.push_back(vector(kCentre, retrieval.centre));
        metadata[kRetrievalKey] = retrieval_json(retrieval.output);
    }
    data::write_tensors(file, tensors, metadata);
}

ModelShape read_model_shape(const std::filesystem::path& file) {
    return shape_of(data::TensorFile(file), file);
}

nn::RetrievalSetup read_retrieval(const std::filesystem::path& file) {
    const data::TensorFile tensors(file);
    const ModelShape shape = shape_of(tensors, file);
    if (!tensors.metadata().contains(kRetrievalKey)) {
        throw Error(ErrorCode::input,
                    file.string(),
                    "the model has no hash tables (it was trained with another output than lsh, or "
                    "by an older version); use --retrieval exact, or train with --output lsh");
    }
    nn::RetrievalSetup setup;
    setup.output = retrieval_output(Settings(tensors, file, kRetrievalKey));
    try {
        (void)lsh::key_bits(setup.output.hash);
    } catch (const Error& error) {
        throw foreign(file, std::string("its tables cannot be built (") + error.what() + ")");
    }
    const std::span<const std::uint32_t> rows = tensors.read_u32(kRows);
    if (rows.empty()) throw foreign(file, std::string(kRows) + " is empty");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i] < shape.labels && (i == 0 || rows[i] > rows[i - 1])) continue;
        throw foreign(file,
                      kRows + ("[" + std::to_string(i) + "] is " + std::to_string(rows[i])) +
                          ", not above the one before and below " + std::to_string(shape.labels));
    }
    const std::span<const float> centre =
        tensors.read(kCentre, std::array{std::uint64_t{shape.hidden.last_width()}});
    if (!std::all_of(centre.begin(), centre.end(), [](float x) { return std::isfinite(x); }))
        throw foreign(file, std::string(kCentre) + " holds what is no finite number");
    setup.met.assign(rows.begin(), rows.end());
    setup.centre.assign(centre.begin(), centre.end());
    return setup;
}

nn::Network load_model(system::Runtime& runtime, const std::filesystem::path& file) {
    const data::TensorFile tensors(file);
    const ModelShape shape = shape_of(tensors, file);
    // All are looked up before memory is taken, so that a file of other shapes costs nothing.
    struct Place {
        std::span<const float> weight;
        std::span<const float> bias;
    };
    const auto find = [&](const std::string& name, std::uint64_t rows, std::uint64_t dim) {
        return tensors.read(name + ".weight", std::array{rows, dim});
    };
    std::vector<Place> hidden;
    std::uint64_t inputs = shape.features;
    for (const nn::HiddenLayer& layer : shape.hidden) {
        const bool first = hidden.empty();
        const std::string name = nn::hidden_name(hidden.size());
        const bool by_input = first && !layer.sampled;
        hidden.push_back(
            {by_input ? find(name, inputs, layer.width) : find(name, layer.width, inputs),
             tensors.read(name + ".bias", std::array{std::uint64_t{layer.width}})});
        inputs = layer.width;
    }
    const auto output_weight = find("output", shape.labels, inputs);
    const auto output_bias = tensors.read("output.bias", std::array{std::uint64_t{shape.labels}});

    nn::Network network(runtime,
                        {.features = shape.features,
                         .hidden = shape.hidden,
                         .labels = shape.labels,
                         .output = nn::FullOutput{},
                         .optimizer = nn::Optimizer::sgd,
                         .initial_deviation = 0});
    const std::vector<nn::Network::HiddenView> layers = network.hidden_layers();
    for (std::size_t i = 0; i < layers.size(); ++i) {
        copy_rows(hidden[i].weight, layers[i].weights.weights());
        std::copy(hidden[i].bias.begin(), hidden[i].bias.end(), layers[i].bias.begin());
    }
    copy_rows(output_weight, network.output().weights());
    std::copy(output_bias.begin(), output_bias.end(), network.output().bias().begin());
    return network;
}

}  // namespace slidekit::train
