// Parameters: regions for weights and moments, and the update of rows through the optimiser's
// kernel.
#include <slidekit/nn/parameters.hpp>

#include <slidekit/system/random.hpp>

namespace slidekit::nn {

using kernels::AdamStep;
using kernels::RowMatrix;
using kernels::SgdStep;

Parameters::Parameters(system::Runtime& runtime,
                       const std::string& name,
                       std::uint32_t rows,
                       std::uint32_t dim,
                       Optimizer optimizer,
                       Bias bias) {
    const std::size_t stride = padded_stride(dim);
    const std::size_t matrix_bytes = rows * stride * sizeof(float);
    const bool adam = optimizer == Optimizer::adam;
    weight_region_ = runtime.allocate(matrix_bytes, name + ".weight");
    if (adam) {
        first_region_ = runtime.allocate(matrix_bytes, name + ".first_moment");
        second_region_ = runtime.allocate(matrix_bytes, name + ".second_moment");
    }
    weights_ = {weight_region_.as<float>().data(), rows, dim, stride};
    if (adam)
        adam_rows_ = {
            weights_, first_region_.as<float>().data(), second_region_.as<float>().data()};
    if (bias == Bias::none) return;

    bias_region_ = runtime.allocate(rows * sizeof(float) * (adam ? 3 : 1), name + ".bias");
    bias_ = bias_region_.as<float>().first(rows);
    if (adam) {
        adam_bias_ = {
            bias_.data(), bias_.data() + rows, bias_.data() + 2 * static_cast<std::size_t>(rows)};
    }
}

void Parameters::initialize(system::Executor& executor,
                            std::uint64_t seed,
                            std::uint64_t layer,
                            float deviation) {
    constexpr std::size_t kRowsPerTask = 1024;
    executor.for_each_piece(
        rows(), kRowsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t i = begin; i < end; ++i) {
                system::Stream stream(seed, system::Purpose::initial_weights, layer, i);
                float* row = weights_.row(i);
                for (std::size_t k = 0; k < weights_.dim; ++k) row[k] = deviation * stream.normal();
            }
        });
    for (float& bias : bias_) bias = 0;
}

void Parameters::update_groups(kernels::GroupsView groups,
                               const float* values,
                               RowMatrix<const float> vectors,
                               RowMatrix<float> back,
                               const UpdateRule& rule) noexcept {
    if (const auto* adam = std::get_if<AdamStep>(&rule)) {
        kernels::adam_groups(groups, values, vectors, back, adam_rows_, adam_bias_, *adam);
    } else {
        kernels::sgd_groups(
            groups, values, vectors, back, weights_, bias_.data(), *std::get_if<SgdStep>(&rule));
    }
}

void Parameters::update_row(std::size_t row,
                            const float* gradient,
                            float bias_gradient,
                            const UpdateRule& rule) noexcept {
    const std::size_t dim = weights_.dim;
    if (const auto* adam = std::get_if<AdamStep>(&rule)) {
        const std::size_t at = row * weights_.stride;
        kernels::adam_row(
            weights_.row(row), adam_rows_.first + at, adam_rows_.second + at, gradient, dim, *adam);
        if (bias_.empty()) return;
        AdamStep bias_step = *adam;
        bias_step.decay = 0;
        kernels::adam_row(adam_bias_.weights + row,
                          adam_bias_.first + row,
                          adam_bias_.second + row,
                          &bias_gradient,
                          1,
                          bias_step);
    } else {
        const SgdStep& sgd = *std::get_if<SgdStep>(&rule);
        kernels::sgd_row(weights_.row(row), gradient, dim, sgd);
        if (!bias_.empty()) bias_[row] -= sgd.lr * bias_gradient;
    }
}

std::size_t Parameters::bytes(std::uint64_t rows, std::uint64_t dim, Optimizer optimizer) noexcept {
    const std::size_t copies = optimizer == Optimizer::adam ? 3 : 1;
    return copies * rows * (padded_stride(dim) + 1) * sizeof(float);
}

}  // namespace slidekit::nn
