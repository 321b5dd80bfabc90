// A hidden layer over a dense one: all neurons, ReLU.
//
// All pairs (neuron, sample) as one grouping, so that the fused kernels of the sampled output serve
// here too: a row is read once for all samples, and gets its gradient and update while it is in
// cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <slidekit/nn/parameters.hpp>
#include <slidekit/system/executor.hpp>

#include "nn/output_step.hpp"

namespace slidekit::nn {

class DenseLayer {
public:
    /// Throws Error (memory).
    DenseLayer(system::Runtime& runtime,
               const std::string& name,
               std::uint32_t inputs,
               std::uint32_t width,
               Optimizer optimizer,
               Precision precision);

    [[nodiscard]] Parameters& parameters() noexcept { return rows_; }
    [[nodiscard]] const Parameters& parameters() const noexcept { return rows_; }

    /// out = relu(rows . in + bias). False where a pre-activation is NaN or infinite.
    bool forward(system::Executor& executor,
                 kernels::RowMatrix<const float> in,
                 kernels::RowMatrix<float> out);
    /// The same for prediction, on the caller's thread.
    void predict(kernels::RowMatrix<const float> in, kernels::RowMatrix<float> out) const;

    /// gradient: of the activations `out`; it is overwritten by that of the pre-activations.
    void backward(system::Executor& executor,
                  kernels::RowMatrix<const float> in,
                  kernels::RowMatrix<const float> out,
                  kernels::RowMatrix<float> gradient,
                  kernels::RowMatrix<float> in_gradient,
                  const UpdateRule& rule);

private:
    /// All neurons with all samples; the pair's slot is its place in a matrix of this stride.
    struct Pairs {
        std::vector<std::uint32_t> ids;
        std::vector<std::uint32_t> starts;
        std::vector<kernels::Member> members;
        std::size_t samples = 0;

        void cover(std::size_t neurons, kernels::RowMatrix<const float> out);
        [[nodiscard]] kernels::GroupsView part(std::size_t begin, std::size_t end) const noexcept;
    };
    [[nodiscard]] kernels::GroupsView piece(std::size_t index) const noexcept;

    Parameters rows_;  // by neuron
    Pairs pairs_;
    PieceGradients gradients_;
    std::vector<float> zeros_;
};

}  // namespace slidekit::nn
