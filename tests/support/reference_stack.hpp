// A network of any depth in plain double precision: active sets, loss and its derivatives by
// differences.
//
// Slow and obvious on purpose, and independent of the network's own code: what is active follows
// from the documentation (HiddenLayer, LshOutput) and the named random streams.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::testing {

struct ReferenceStack {
    using Ids = std::vector<std::uint32_t>;

    struct Layer {
        std::string name;
        std::size_t width = 0;
        std::size_t inputs = 0;
        bool by_input = false;
        std::vector<double> weights;  // rows as they stand in the network
        std::vector<double> bias;

        [[nodiscard]] double weight(std::size_t neuron, std::size_t input) const {
            return by_input ? weights[input * width + neuron] : weights[neuron * inputs + input];
        }
    };

    nn::NetworkConfig config;
    std::vector<Layer> layers;  // the output last

    static Layer layer_of(const std::string& name,
                          const nn::Parameters& parameters,
                          std::span<const float> bias,
                          bool by_input) {
        Layer layer{.name = name,
                    .width = by_input ? parameters.dim() : parameters.rows(),
                    .inputs = by_input ? parameters.rows() : parameters.dim(),
                    .by_input = by_input,
                    .weights = {},
                    .bias = {bias.begin(), bias.end()}};
        for (std::size_t i = 0; i < parameters.rows(); ++i) {
            std::vector<float> row(parameters.dim());
            parameters.copy_row(i, row.data());
            layer.weights.insert(layer.weights.end(), row.begin(), row.end());
        }
        return layer;
    }

    static ReferenceStack of(const nn::Network& network) {
        ReferenceStack stack{network.config(), {}};
        for (const auto& view : network.hidden_layers()) {
            const bool first = stack.layers.empty();
            const bool by_input = first && !stack.config.hidden.front().sampled;
            stack.layers.push_back(layer_of(view.name, view.weights, view.bias, by_input));
        }
        stack.layers.push_back(
            layer_of("output", network.output(), network.output().bias(), false));
        return stack;
    }

    [[nodiscard]] static std::vector<double> input_of(const data::PointsView& points,
                                                      std::size_t point) {
        std::vector<double> x(points.features);
        for (std::size_t at = points.feature_offsets[point]; at < points.feature_offsets[point + 1];
             ++at)
            x[points.feature_ids[at]] += static_cast<double>(points.feature_values[at]);
        return x;
    }

    [[nodiscard]] double pre_activation(std::size_t layer,
                                        const std::vector<double>& x,
                                        std::size_t neuron) const {
        double sum = layers[layer].bias[neuron];
        for (std::size_t k = 0; k < x.size(); ++k) sum += layers[layer].weight(neuron, k) * x[k];
        return sum;
    }

    // Labels, the highest of all that are not draws, then draws: each neuron once.
    [[nodiscard]] Ids active_of(std::size_t layer,
                                const std::vector<double>& x,
                                const data::PointsView& points,
                                std::size_t sample,
                                std::uint64_t step) const {
        const bool output = layer + 1 == layers.size();
        const nn::LshOutput* sampled = nullptr;
        if (output) {
            sampled = std::get_if<nn::LshOutput>(&config.output);
        } else if (config.hidden[layer].sampled) {
            sampled = &*config.hidden[layer].sampled;
        }
        Ids all(layers[layer].width);
        std::iota(all.begin(), all.end(), 0U);
        if (const auto* uniform = std::get_if<nn::UniformOutput>(&config.output);
            output && uniform != nullptr) {
            Ids shared(points.label_ids.begin(), points.label_ids.end());
            system::Stream stream(config.seed, system::Purpose::uniform_negatives, step);
            for (std::uint32_t i = 0; i < uniform->negatives; ++i)
                shared.push_back(stream.below(static_cast<std::uint32_t>(all.size())));
            return distinct(std::move(shared));
        }
        if (sampled == nullptr) return all;
        Ids active;
        const auto labels = points.labels_of(sample);
        if (output) active.assign(labels.begin(), labels.end());
        if (sampled->sampling != nn::Sampling::none) {
            std::vector<double> values(all.size());
            for (const std::uint32_t id : all) values[id] = pre_activation(layer, x, id);
            std::stable_sort(all.begin(), all.end(), [&](std::uint32_t a, std::uint32_t b) {
                return values[a] > values[b];
            });
            all.resize(std::min<std::size_t>(all.size(), sampled->mix.lsh));
            active.insert(active.end(), all.begin(), all.end());
        }
        const std::uint64_t seed = output ? config.seed : system::mix64(config.seed + layer + 1);
        system::Stream batch(seed, system::Purpose::batch_negatives, step, sample);
        Ids labelled;
        for (std::uint32_t s = 0; s < points.points; ++s)
            if (!points.labels_of(s).empty()) labelled.push_back(s);
        for (std::uint32_t i = 0; i < sampled->mix.batch; ++i) {
            const auto theirs = points.labels_of(
                labelled[batch.below(static_cast<std::uint32_t>(labelled.size()))]);
            active.push_back(theirs[batch.below(static_cast<std::uint32_t>(theirs.size()))]);
        }
        system::Stream uniform(
            seed, system::Purpose::uniform_negatives, step, sample / sampled->mix.uniform_group);
        for (std::uint32_t i = 0; i < sampled->mix.uniform; ++i)
            active.push_back(uniform.below(static_cast<std::uint32_t>(layers[layer].width)));
        return distinct(std::move(active));
    }
    [[nodiscard]] static Ids distinct(Ids ids) {
        std::sort(ids.begin(), ids.end());
        ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
        return ids;
    }

    /// By point and layer.
    using ActiveSets = std::vector<std::vector<Ids>>;
    [[nodiscard]] ActiveSets active_sets(const data::PointsView& points, std::uint64_t step) const {
        ActiveSets sets(points.points);
        for (std::size_t s = 0; s < points.points; ++s) {
            std::vector<double> x = input_of(points, s);
            for (std::size_t layer = 0; layer < layers.size(); ++layer) {
                sets[s].push_back(active_of(layer, x, points, s, step));
                x = activations(layer, x, sets[s].back());
            }
        }
        return sets;
    }

    [[nodiscard]] std::vector<double> activations(std::size_t layer,
                                                  const std::vector<double>& x,
                                                  const Ids& active) const {
        std::vector<double> out(layers[layer].width);
        for (const std::uint32_t id : active) out[id] = std::max(0.0, pre_activation(layer, x, id));
        return out;
    }

    /// Summed over the points that have labels, weighted; see nn::Loss.
    [[nodiscard]] double loss(const data::PointsView& points,
                              const ActiveSets& sets,
                              double smoothing) const {
        double total = 0;
        for (std::size_t s = 0; s < points.points; ++s) {
            const auto labels = points.labels_of(s);
            if (labels.empty()) continue;
            std::vector<double> x = input_of(points, s);
            for (std::size_t layer = 0; layer + 1 < layers.size(); ++layer)
                x = activations(layer, x, sets[s][layer]);
            const Ids& active = sets[s].back();
            std::vector<double> targets(layers.back().width);
            double sum = 0;
            for (std::size_t i = 0; i < labels.size(); ++i) {
                const std::size_t at = points.label_offsets[s] + i;
                targets[labels[i]] = points.label_values.empty()
                                         ? 1.0
                                         : static_cast<double>(points.label_values[at]);
                sum += targets[labels[i]];
            }
            double own = 0;
            double exponentials = 0;
            for (const std::uint32_t id : active) {
                const double z = pre_activation(layers.size() - 1, x, id);
                const double t = targets[id];
                switch (config.loss) {
                    case nn::Loss::softmax:
                        exponentials += std::exp(z);
                        own -= ((1 - smoothing) * t / sum +
                                smoothing / static_cast<double>(active.size())) *
                               z;
                        break;
                    case nn::Loss::sigmoid:
                        own += std::log1p(std::exp(z)) - ((1 - smoothing) * t + smoothing / 2) * z;
                        break;
                    case nn::Loss::squared: own += 0.5 * (z - t) * (z - t); break;
                }
            }
            if (config.loss == nn::Loss::softmax) own += std::log(exponentials);
            total += own * (points.weights.empty() ? 1.0 : static_cast<double>(points.weights[s]));
        }
        return total;
    }
};

}  // namespace slidekit::testing
