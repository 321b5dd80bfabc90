// The network's loss in plain double precision: the oracle of gradients.
//
// Slow and obvious on purpose: one loop a formula, no blocks, no groups, and the active set of each
// point is an argument.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/nn/network.hpp>

namespace slidekit::testing {

/// Weights as they stand in a network, row after row without padding.
struct ReferenceNetwork {
    std::size_t hidden = 0;
    std::vector<double> input;  // features x hidden
    std::vector<double> hidden_bias;
    std::vector<double> output;  // labels x hidden
    std::vector<double> output_bias;

    static std::vector<double> values_of(const nn::Parameters& parameters) {
        std::vector<double> values;
        for (std::size_t i = 0; i < parameters.rows(); ++i) {
            std::vector<float> row(parameters.dim());
            parameters.copy_row(i, row.data());
            values.insert(values.end(), row.begin(), row.end());
        }
        return values;
    }

    static ReferenceNetwork of(const nn::Network& network) {
        return {.hidden = network.config().hidden.last_width(),
                .input = values_of(network.input()),
                .hidden_bias = {network.hidden_bias().begin(), network.hidden_bias().end()},
                .output = values_of(network.output()),
                .output_bias = {network.output().bias().begin(), network.output().bias().end()}};
    }

    [[nodiscard]] std::vector<double> activation(const data::PointsView& points,
                                                 std::size_t point) const {
        std::vector<double> sums = hidden_bias;
        for (std::size_t at = points.feature_offsets[point]; at < points.feature_offsets[point + 1];
             ++at) {
            const double* row = input.data() + points.feature_ids[at] * hidden;
            for (std::size_t k = 0; k < hidden; ++k)
                sums[k] += static_cast<double>(points.feature_values[at]) * row[k];
        }
        for (double& sum : sums) sum = std::max(sum, 0.0);
        return sums;
    }

    [[nodiscard]] double logit(const std::vector<double>& activations, std::size_t neuron) const {
        double sum = output_bias[neuron];
        for (std::size_t k = 0; k < hidden; ++k)
            sum += output[neuron * hidden + k] * activations[k];
        return sum;
    }

    /// Cross-entropy of each point over its active neurons, summed: against (1 - smoothing)/|Y| on
    /// each label, smoothing spread over all. A point without labels adds nothing.
    [[nodiscard]] double loss(const data::PointsView& points,
                              const std::vector<std::vector<std::uint32_t>>& active,
                              double smoothing = 0) const {
        double total = 0;
        for (std::size_t i = 0; i < points.points; ++i) {
            const auto labels = points.labels_of(i);
            if (labels.empty()) continue;
            const std::vector<double> activations = activation(points, i);
            double sum = 0;
            for (const std::uint32_t neuron : active[i]) {
                const double value = logit(activations, neuron);
                sum += std::exp(value);
                total -= smoothing * value / static_cast<double>(active[i].size());
            }
            total += std::log(sum);
            for (const std::uint32_t label : labels)
                total -= (1 - smoothing) * logit(activations, label) /
                         static_cast<double>(labels.size());
        }
        return total;
    }

    /// Points whose best active neuron is a label of theirs.
    [[nodiscard]] std::uint64_t correct(
        const data::PointsView& points,
        const std::vector<std::vector<std::uint32_t>>& active) const {
        std::uint64_t total = 0;
        for (std::size_t i = 0; i < points.points; ++i) {
            const auto labels = points.labels_of(i);
            const std::vector<double> activations = activation(points, i);
            const auto best = std::max_element(
                active[i].begin(), active[i].end(), [&](std::uint32_t a, std::uint32_t b) {
                    return logit(activations, a) < logit(activations, b);
                });
            if (best != active[i].end())
                total += std::binary_search(labels.begin(), labels.end(), *best) ? 1 : 0;
        }
        return total;
    }
};

}  // namespace slidekit::testing
