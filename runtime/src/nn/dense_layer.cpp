// The dense hidden layer's passes.
#include "nn/dense_layer.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>

#include <slidekit/kernels/activation.hpp>

#include "nn/finite.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

DenseLayer::DenseLayer(system::Runtime& runtime,
                       const std::string& name,
                       std::uint32_t inputs,
                       std::uint32_t width,
                       Optimizer optimizer,
                       Precision precision)
    : rows_(runtime, name, width, inputs, optimizer, Bias::per_row, precision), zeros_(width) {}

void DenseLayer::Pairs::cover(std::size_t neurons, RowMatrix<const float> out) {
    if (samples == out.rows) return;
    samples = out.rows;
    ids.resize(neurons);
    starts.resize(neurons + 1);
    members.resize(neurons * samples);
    std::iota(ids.begin(), ids.end(), 0U);
    for (std::size_t n = 0; n <= neurons; ++n) starts[n] = static_cast<std::uint32_t>(n * samples);
    for (std::size_t n = 0; n < neurons; ++n)
        for (std::size_t s = 0; s < samples; ++s)
            members[n * samples + s] = {static_cast<std::uint32_t>(s),
                                        static_cast<std::uint32_t>(s * out.stride + n)};
}

kernels::GroupsView DenseLayer::Pairs::part(std::size_t begin, std::size_t end) const noexcept {
    const std::size_t slots = members.empty() ? 0 : members.back().slot + std::size_t{1};
    return {ids.data() + begin, starts.data() + begin, members.data(), end - begin, slots};
}

kernels::GroupsView DenseLayer::piece(std::size_t index) const noexcept {
    return pairs_.part(rows_.rows() * index / Grouping::kPieces,
                       rows_.rows() * (index + 1) / Grouping::kPieces);
}

bool DenseLayer::forward(system::Executor& executor,
                         RowMatrix<const float> in,
                         RowMatrix<float> out) {
    pairs_.cover(rows_.rows(), out);
    executor.for_each(Grouping::kPieces, [&](std::size_t index, system::Worker) {
        rows_.dot_groups(piece(index), in, out.data);
    });
    std::atomic<bool> finite = true;
    constexpr std::size_t kSamplesPerTask = 16;
    executor.for_each_piece(
        out.rows, kSamplesPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t s = begin; s < end; ++s) {
                if (!all_finite(out.row(s), zeros_.data(), out.dim)) finite = false;
                kernels::relu(out.row(s), out.dim);
            }
        });
    return finite;
}

void DenseLayer::predict(RowMatrix<const float> in, RowMatrix<float> out) const {
    Pairs pairs;
    pairs.cover(rows_.rows(), out);
    rows_.dot_groups(pairs.part(0, rows_.rows()), in, out.data);
    for (std::size_t s = 0; s < out.rows; ++s) kernels::relu(out.row(s), out.dim);
}

void DenseLayer::backward(system::Executor& executor,
                          RowMatrix<const float> in,
                          RowMatrix<const float> out,
                          RowMatrix<float> gradient,
                          RowMatrix<float> in_gradient,
                          const UpdateRule& rule) {
    for (std::size_t s = 0; s < out.rows; ++s)
        kernels::relu_gradient(out.row(s), gradient.row(s), out.dim);
    gradients_.resize(Grouping::kPieces, in.rows, in.dim);
    executor.for_each(Grouping::kPieces, [&](std::size_t index, system::Worker) {
        rows_.update_groups(piece(index), gradient.data, in, gradients_.zeroed(index), rule);
    });
    gradients_.sum_into(executor, 0, Grouping::kPieces, in_gradient);
}

}  // namespace slidekit::nn
