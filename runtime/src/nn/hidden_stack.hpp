// The hidden layers, from the data to what the output layer reads.
//
// Three kinds: the input layer (all neurons, over the data's features), a dense layer over a dense
// one, and a sparse layer: sampled, or over a sampled one. What a layer gives is a matrix where all
// its neurons are active, and lists of neurons where they are sampled.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <slidekit/nn/network.hpp>

#include "nn/dense_layer.hpp"
#include "nn/input_layer.hpp"
#include "nn/sparse_layer.hpp"

namespace slidekit::nn {

class HiddenStack {
public:
    /// Draws the initial weights. Throws Error (memory, usage).
    HiddenStack(system::Runtime& runtime, const NetworkConfig& config);
    ~HiddenStack();
    HiddenStack(const HiddenStack&) = delete;
    HiddenStack& operator=(const HiddenStack&) = delete;

    /// Whether the last layer is sampled, so that it gives lists.
    [[nodiscard]] bool sparse() const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return stages_.size(); }
    /// The first layer, where it is dense.
    [[nodiscard]] InputLayer* input_layer() noexcept;
    [[nodiscard]] std::vector<Network::HiddenView> views();
    /// Sampled layers with tables.
    [[nodiscard]] std::vector<RowTables*> tables();

    /// Room for matrix() and matrix_gradient() of so many samples.
    void make_room(std::size_t samples);
    /// Activations of a batch, for training. The first layer in which one is NaN or infinite before
    /// ReLU, which may hide it.
    std::optional<Layer> forward(const data::PointsView& batch, std::uint64_t step);
    /// What forward() gave, and where the output layer writes the gradient of it.
    [[nodiscard]] kernels::RowMatrix<float> matrix() noexcept;
    [[nodiscard]] kernels::RowMatrix<float> matrix_gradient() noexcept;
    [[nodiscard]] SparseBatch lists() const noexcept;
    [[nodiscard]] std::span<float> lists_gradient() noexcept;

    /// Passes the gradient down and updates all layers.
    void backward(const data::PointsView& batch, const UpdateRules& rules);

    void visit_state(StateVisitor& state);

    /// Activations of points first .. first + out.rows - 1, for prediction: of a sampled layer as
    /// SparseLayer::predict() gives them. On the caller's thread.
    void predict(const data::PointsView& points,
                 std::size_t first,
                 kernels::RowMatrix<float> out) const;

private:
    struct Stage;

    [[nodiscard]] SparseBatch input_of(std::size_t stage, const data::PointsView& batch) const;

    system::Executor& executor_;
    std::vector<std::unique_ptr<Stage>> stages_;
    std::vector<SlotRun> feature_runs_;  // of a batch, for a sampled first layer
};

}  // namespace slidekit::nn
