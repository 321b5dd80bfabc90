// What both kinds of softmax share: the arguments of a step, and the gradient that they hand back.
#pragma once

#include <cstdint>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/nn/parameters.hpp>
#include <slidekit/system/executor.hpp>

#include "nn/grouping.hpp"

namespace slidekit::nn {

/// One step of the output layer. hidden and hidden_gradient are batch.points x dim; the gradient's
/// old contents are overwritten.
struct OutputStep {
    const data::PointsView& batch;
    kernels::RowMatrix<const float> hidden;
    kernels::RowMatrix<float> hidden_gradient;
    const UpdateRule& rule;
    std::uint64_t step = 0;
    float label_smoothing = 0;
    Loss loss = Loss::softmax;
};

/// Gradients of the hidden activations, one buffer for each of the fixed pieces of work, added in
/// order: that keeps the sum's bits independent of which thread ran which piece.
class PieceGradients {
public:
    void resize(std::size_t pieces, std::size_t samples, std::size_t dim);
    /// The buffer of a piece, zeroed. Pieces may be taken by different threads at once.
    [[nodiscard]] kernels::RowMatrix<float> zeroed(std::size_t piece);
    /// Adds up the buffers of pieces [first, end), in order; zeros where there are none.
    void sum_into(system::Executor& executor,
                  std::size_t first,
                  std::size_t end,
                  kernels::RowMatrix<float> out) const;

private:
    std::size_t samples_ = 0;
    std::size_t dim_ = 0;
    std::size_t stride_ = 0;
    std::vector<float> buffers_;
};

/// Scales a vector down to this length where it is longer.
void shorten(float* vector, std::size_t dim, float longest) noexcept;

/// Seconds since the last call (or the making) of a stage clock.
class StageClock {
public:
    StageClock();
    [[nodiscard]] double lap();

private:
    double last_;
};

}  // namespace slidekit::nn
