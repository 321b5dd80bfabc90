// Piece gradients and the stage clock.
#include "nn/output_step.hpp"

#include <algorithm>
#include <cmath>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>

#include "system/clock.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;
using system::now;

void PieceGradients::resize(std::size_t pieces, std::size_t samples, std::size_t dim) {
    samples_ = samples;
    dim_ = dim;
    stride_ = padded_stride(dim);
    buffers_.resize(pieces * samples_ * stride_);
}

RowMatrix<float> PieceGradients::zeroed(std::size_t piece) {
    float* begin = buffers_.data() + piece * samples_ * stride_;
    std::fill_n(begin, samples_ * stride_, 0.0F);
    return {begin, samples_, dim_, stride_};
}

void PieceGradients::sum_into(system::Executor& executor,
                              std::size_t first,
                              std::size_t end,
                              RowMatrix<float> out) const {
    constexpr std::size_t kSamplesPerTask = 16;
    executor.for_each_piece(
        samples_, kSamplesPerTask, [&](std::size_t from, std::size_t to, system::Worker) {
            for (std::size_t s = from; s < to; ++s) {
                std::fill_n(out.row(s), dim_, 0.0F);
                for (std::size_t piece = first; piece < end; ++piece) {
                    const float* const row = buffers_.data() + (piece * samples_ + s) * stride_;
                    kernels::axpy(1, row, out.row(s), dim_);
                }
            }
        });
}

void shorten(float* vector, std::size_t dim, float longest) noexcept {
    const float length = std::sqrt(kernels::dot(vector, vector, dim));
    if (length > longest) kernels::scale(longest / length, vector, dim);
}

StageClock::StageClock() : last_(now()) {}

double StageClock::lap() {
    const double time = now();
    const double passed = time - last_;
    last_ = time;
    return passed;
}

}  // namespace slidekit::nn
