// The stack: which kind each layer is, and what lies between them.
#include "nn/hidden_stack.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/system/random.hpp>

#include "nn/output_step.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

// One of the three kinds, with what it gave for a batch.
struct HiddenStack::Stage {
    std::optional<InputLayer> input;
    std::optional<DenseLayer> dense;
    std::optional<Parameters> rows;  // of the sparse layer
    std::optional<SparseLayer> sparse;

    std::uint32_t width = 0;
    bool gives_lists = false;
    std::size_t samples = 0;
    std::vector<float> values;    // sample x stride, unless it gives lists
    std::vector<float> gradient;  // the same, or by slot of the sparse layer
    std::vector<float> slots;     // gradient by slot, of a sparse layer that gives a matrix
    SparseRows nonzeros;          // of the matrix, for a sparse layer behind

    [[nodiscard]] Parameters& parameters() {
        return input ? input->parameters() : dense ? dense->parameters() : *rows;
    }
    [[nodiscard]] RowMatrix<float> matrix(std::vector<float>& of) const {
        return {of.data(), samples, width, padded_stride(width)};
    }
    void resize(std::size_t count) {
        samples = count;
        if (gives_lists) return;
        values.resize(count * padded_stride(width));
        gradient.resize(values.size());
    }

    // Between the lists of a sparse layer and its matrix.
    void scatter() {
        const SparseBatch active = sparse->active();
        std::fill(values.begin(), values.end(), 0.0F);
        for (std::size_t s = 0; s < samples; ++s) {
            const kernels::SparseView row = active.row(s);
            float* const out = matrix(values).row(s);
            for (std::size_t i = 0; i < row.nnz; ++i) out[row.ids[i]] = row.values[i];
        }
    }
    void gather_gradient() {
        const SparseBatch active = sparse->active();
        slots.resize(active.ids.size());
        for (std::size_t s = 0; s < samples; ++s) {
            const float* const from = matrix(gradient).row(s);
            for (std::uint32_t i = 0; i < active.runs[s].count; ++i) {
                const std::size_t slot = active.runs[s].first + i;
                slots[slot] = from[active.ids[slot]];
            }
        }
    }
};

HiddenStack::HiddenStack(system::Runtime& runtime, const NetworkConfig& config)
    : executor_(runtime.executor()) {
    std::uint32_t inputs = config.features;
    std::uint32_t active = 0;  // inputs of a neuron that are not zero, about
    bool lists = true;         // what stands below
    for (std::size_t i = 0; i < config.hidden.size(); ++i) {
        const HiddenLayer& layer = config.hidden[i];
        const Optimizer optimizer = optimizer_of(config, i);
        const bool sparse = layer.sampled || (lists && i > 0);
        const Precision precision =
            layer.precision.value_or(sparse ? Precision::fp32 : config.precision);
        const std::string name = hidden_name(i);
        Stage& stage = *stages_.emplace_back(std::make_unique<Stage>());
        stage.width = layer.width;
        const bool last = i + 1 == config.hidden.size();
        stage.gives_lists = last ? output_reads_lists(config) : layer.sampled.has_value();
        if (sparse) {
            stage.rows.emplace(
                runtime, name, layer.width, inputs, optimizer, Bias::per_row, precision);
        } else if (i == 0) {
            stage.input.emplace(runtime, inputs, layer.width, optimizer, precision);
        } else {
            stage.dense.emplace(runtime, name, inputs, layer.width, optimizer, precision);
        }
        const float usual =
            i == 0 ? config.initial_deviation : std::sqrt(2 / static_cast<float>(active));
        const float deviation =
            config.initial_deviation == 0 ? 0 : layer.initial_deviation.value_or(usual);
        // Streams 0 and 1 are the first hidden layer's and the output's.
        if (deviation > 0)
            stage.parameters().initialize(executor_, config.seed, i == 0 ? 0 : i + 1, deviation);
        if (sparse) {
            std::vector<std::uint32_t> all(layer.width);
            std::iota(all.begin(), all.end(), 0U);
            stage.sparse.emplace(runtime,
                                 *stage.rows,
                                 layer.sampled,
                                 std::move(all),
                                 system::mix64(config.seed + i + 1));
        }
        inputs = active = layer.width;
        lists = stage.gives_lists;
        if (layer.sampled)
            active = std::min(active, layer.sampled->mix.lsh + layer.sampled->mix.uniform);
    }
}

HiddenStack::~HiddenStack() = default;

bool HiddenStack::sparse() const noexcept { return stages_.back()->gives_lists; }

InputLayer* HiddenStack::input_layer() noexcept {
    return stages_.front()->input ? &*stages_.front()->input : nullptr;
}

std::vector<Network::HiddenView> HiddenStack::views() {
    std::vector<Network::HiddenView> views;
    for (std::size_t i = 0; i < stages_.size(); ++i) {
        Stage& stage = *stages_[i];
        Parameters& weights = stage.parameters();
        views.push_back(
            {hidden_name(i), weights, stage.input ? stage.input->bias() : weights.bias()});
    }
    return views;
}

std::vector<RowTables*> HiddenStack::tables() {
    std::vector<RowTables*> tables;
    for (const auto& stage : stages_)
        if (stage->sparse && stage->sparse->has_tables())
            tables.push_back(&stage->sparse->row_tables());
    return tables;
}

// What a sparse layer reads.
SparseBatch HiddenStack::input_of(std::size_t i, const data::PointsView& batch) const {
    if (i == 0) return {batch.features, feature_runs_, batch.feature_ids, batch.feature_values};
    const Stage& below = *stages_[i - 1];
    return below.gives_lists ? below.sparse->active() : below.nonzeros.view();
}

void HiddenStack::make_room(std::size_t samples) {
    for (const auto& stage : stages_) stage->resize(samples);
}

std::optional<Layer> HiddenStack::forward(const data::PointsView& batch, std::uint64_t step) {
    make_room(batch.points);
    std::optional<Layer> not_finite;
    for (std::size_t i = 0; i < stages_.size(); ++i) {
        Stage& stage = *stages_[i];
        bool finite = true;
        if (stage.input) {
            finite = stage.input->forward(executor_, batch, stage.matrix(stage.values));
        } else if (stage.dense) {
            Stage& below = *stages_[i - 1];
            finite = stage.dense->forward(
                executor_, below.matrix(below.values), stage.matrix(stage.values));
        } else {
            if (i == 0) {
                feature_runs_.resize(batch.points);
                for (std::size_t s = 0; s < batch.points; ++s)
                    feature_runs_[s] = {static_cast<std::uint32_t>(batch.feature_offsets[s]),
                                        static_cast<std::uint32_t>(batch.nnz_of(s))};
            } else if (Stage& below = *stages_[i - 1]; !below.gives_lists) {
                below.nonzeros.assign(below.matrix(below.values));
            }
            StepReport found;  // candidates and active pairs are reported of the output alone
            finite = stage.sparse->forward(input_of(i, batch), step, nullptr, found);
            stage.sparse->relu();
            if (!stage.gives_lists) stage.scatter();
        }
        if (!finite && !not_finite) not_finite = static_cast<Layer>(i);
    }
    return not_finite;
}

RowMatrix<float> HiddenStack::matrix() noexcept {
    return stages_.back()->matrix(stages_.back()->values);
}
RowMatrix<float> HiddenStack::matrix_gradient() noexcept {
    return stages_.back()->matrix(stages_.back()->gradient);
}
SparseBatch HiddenStack::lists() const noexcept { return stages_.back()->sparse->active(); }
std::span<float> HiddenStack::lists_gradient() noexcept {
    Stage& last = *stages_.back();
    last.gradient.resize(last.sparse->active().ids.size());
    return last.gradient;
}

void HiddenStack::backward(const data::PointsView& batch, const UpdateRules& rules) {
    for (std::size_t i = stages_.size(); i-- > 0;) {
        Stage& stage = *stages_[i];
        if (stage.input) {
            stage.input->backward(executor_,
                                  batch,
                                  stage.matrix(stage.values),
                                  stage.matrix(stage.gradient),
                                  rules.of(i));
            continue;
        }
        if (stage.dense) {
            Stage& below = *stages_[i - 1];
            stage.dense->backward(executor_,
                                  below.matrix(below.values),
                                  stage.matrix(stage.values),
                                  stage.matrix(stage.gradient),
                                  below.matrix(below.gradient),
                                  rules.of(i));
            continue;
        }
        if (!stage.gives_lists) stage.gather_gradient();
        const std::vector<float>& gradient = stage.gives_lists ? stage.gradient : stage.slots;
        const SparseBatch in = input_of(i, batch);
        if (i == 0) {
            stage.sparse->backward(in, gradient, {}, rules.of(i));
            continue;
        }
        Stage& below = *stages_[i - 1];
        if (below.gives_lists) {
            below.gradient.resize(in.ids.size());
            stage.sparse->backward(in, gradient, below.gradient, rules.of(i));
            continue;
        }
        below.slots.resize(in.ids.size());
        stage.sparse->backward(in, gradient, below.slots, rules.of(i));
        std::fill(below.gradient.begin(), below.gradient.end(), 0.0F);
        for (std::size_t s = 0; s < below.samples; ++s) {
            float* const out = below.matrix(below.gradient).row(s);
            for (std::uint32_t j = 0; j < in.runs[s].count; ++j)
                out[in.ids[in.runs[s].first + j]] = below.slots[in.runs[s].first + j];
        }
    }
}

void HiddenStack::visit_state(StateVisitor& state) {
    const std::vector<Network::HiddenView> layers = views();
    for (std::size_t i = 0; i < stages_.size(); ++i) {
        Stage& stage = *stages_[i];
        if (stage.input) {
            stage.input->visit_state(state, layers[i].name);
        } else {
            stage.parameters().visit_state(state, layers[i].name);
        }
        if (stage.sparse) stage.sparse->visit_state(state, layers[i].name);
    }
}

void HiddenStack::predict(const data::PointsView& points,
                          std::size_t first,
                          RowMatrix<float> out) const {
    std::vector<float> below;
    RowMatrix<float> in;
    SparseRows nonzeros;
    for (std::size_t i = 0; i < stages_.size(); ++i) {
        const Stage& stage = *stages_[i];
        const bool last = i + 1 == stages_.size();
        const std::size_t stride = padded_stride(stage.width);
        std::vector<float> values(last ? 0 : out.rows * stride);
        const RowMatrix<float> given =
            last ? out : RowMatrix<float>{values.data(), out.rows, stage.width, stride};
        if (stage.input) {
            (void)stage.input->forward(points, first, given);
        } else if (stage.dense) {
            stage.dense->predict(in, given);
        } else {
            if (i > 0) nonzeros.assign(in);
            for (std::size_t s = 0; s < out.rows; ++s)
                stage.sparse->predict(
                    i > 0 ? nonzeros.view().row(s) : features_of(points, first + s), given.row(s));
        }
        below = std::move(values);
        in = {below.data(), out.rows, stage.width, stride};
    }
}

}  // namespace slidekit::nn
