// Parameters: regions for weights and state, and the kernels that fit optimiser and precision.
#include <slidekit/nn/parameters.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/system/random.hpp>

#include "nn/finite.hpp"

namespace slidekit::nn {

using kernels::AdagradStep;
using kernels::AdamStep;
using kernels::MomentumStep;
using kernels::RowMatrix;
using kernels::SgdStep;

namespace {

template <class T>
void prefetch_row(const T* row, std::size_t dim) noexcept {
    constexpr std::size_t kPerLine = 64 / sizeof(T);
    for (std::size_t i = 0; i < dim; i += kPerLine) __builtin_prefetch(row + i);
}

bool is_adam(Optimizer optimizer) {
    return optimizer == Optimizer::adam || optimizer == Optimizer::adam_dense;
}

// Floats of state that a bias has.
std::size_t states_of(Optimizer optimizer) {
    if (is_adam(optimizer)) return 2;
    return optimizer == Optimizer::sgd ? 0 : 1;
}

// Floats of first moments, velocities or accumulators that a row has.
std::size_t first_floats(Optimizer optimizer, std::size_t dim) {
    if (optimizer == Optimizer::sgd) return 0;
    return optimizer == Optimizer::adagrad_row ? 1 : padded_stride(dim);
}

template <class Step>
Step without_decay(Step step) {
    step.decay = 0;
    return step;
}

}  // namespace

system::Placement placement(const system::Runtime& runtime,
                            const RowHomes& homes,
                            std::size_t bytes_per_row) {
    if (homes.ends.empty()) return runtime.interleaved();
    std::vector<std::size_t> ends;
    for (const std::uint32_t end : homes.ends) ends.push_back(end * bytes_per_row);
    return runtime.split(std::move(ends));
}

Parameters::Parameters(system::Runtime& runtime,
                       const std::string& name,
                       std::uint32_t rows,
                       std::uint32_t dim,
                       Optimizer optimizer,
                       Bias bias,
                       Precision precision,
                       const RowHomes& homes)
    : optimizer_(optimizer), precision_(precision), zeros_(dim) {
    const std::size_t stride = padded_stride(dim);
    const auto allocate = [&](std::size_t bytes_per_row, const char* what) {
        return runtime.allocate(
            rows * bytes_per_row, name + what, placement(runtime, homes, bytes_per_row));
    };
    const std::size_t row_bytes = stride * sizeof(float);
    weights_ = {nullptr, rows, dim, stride};
    if (precision == Precision::fp32) {
        weight_region_ = allocate(row_bytes, ".weight");
        weights_.data = weight_region_.as<float>().data();
    } else {
        weight_region_ = allocate(stride * sizeof(kernels::Bf16), ".weight_high");
        low_region_ = allocate(stride * sizeof(std::uint16_t), ".weight_low");
        halves_ = {{weight_region_.as<kernels::Bf16>().data(), rows, dim, stride},
                   low_region_.as<std::uint16_t>().data()};
    }
    if (const std::size_t floats = first_floats(optimizer, dim); floats > 0) {
        first_region_ = allocate(floats * sizeof(float), ".first_moment");
        first_ = first_region_.as<float>().data();
    }
    if (is_adam(optimizer)) {
        second_region_ = allocate(row_bytes, ".second_moment");
        second_ = second_region_.as<float>().data();
    }
    if (bias == Bias::none) return;

    const std::size_t states = states_of(optimizer);
    bias_region_ = allocate(sizeof(float), ".bias");
    bias_ = bias_region_.as<float>();
    if (states > 0) {
        bias_first_region_ = allocate(sizeof(float), ".bias_first_moment");
        bias_first_ = bias_first_region_.as<float>().data();
    }
    if (states > 1) {
        bias_second_region_ = allocate(sizeof(float), ".bias_second_moment");
        bias_second_ = bias_second_region_.as<float>().data();
    }
}

void Parameters::initialize(system::Executor& executor,
                            std::uint64_t seed,
                            std::uint64_t layer,
                            float deviation) {
    constexpr std::size_t kRowsPerTask = 1024;
    executor.for_each_piece(
        rows(), kRowsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            std::vector<float> drawn(weights_.dim);
            for (std::size_t i = begin; i < end; ++i) {
                system::Stream stream(seed, system::Purpose::initial_weights, layer, i);
                for (float& weight : drawn) weight = deviation * stream.normal();
                set_row(i, drawn.data());
            }
        });
    for (float& bias : bias_) bias = 0;
}

// ---- reading ----

const float* Parameters::row(std::size_t id, float* scratch) const noexcept {
    if (precision_ == Precision::fp32) return weights_.row(id);
    copy_row(id, scratch);
    return scratch;
}

void Parameters::copy_row(std::size_t id, float* out) const noexcept {
    if (precision_ == Precision::fp32) {
        std::copy_n(weights_.row(id), weights_.dim, out);
    } else {
        kernels::join_f32(
            halves_.high.row(id), halves_.low + id * weights_.stride, weights_.dim, out);
    }
}

void Parameters::set_row(std::size_t id, const float* values) noexcept {
    if (precision_ == Precision::fp32) {
        std::copy_n(values, weights_.dim, weights_.row(id));
    } else {
        kernels::split_f32(
            values, weights_.dim, halves_.high.row(id), halves_.low + id * weights_.stride);
    }
}

RowMatrix<const float> Parameters::block(std::size_t begin,
                                         std::size_t count,
                                         std::vector<float>& scratch) const {
    const std::size_t stride = weights_.stride;
    if (precision_ == Precision::fp32) return {weights_.row(begin), count, weights_.dim, stride};
    if (scratch.size() < count * stride) scratch.resize(count * stride);
    for (std::size_t i = 0; i < count; ++i) copy_row(begin + i, scratch.data() + i * stride);
    return {scratch.data(), count, weights_.dim, stride};
}

void Parameters::dot_groups(kernels::GroupsView groups,
                            RowMatrix<const float> vectors,
                            float* out) const noexcept {
    if (precision_ == Precision::fp32) {
        kernels::dot_groups(groups, weights_, bias_.data(), vectors, out);
    } else {
        kernels::dot_groups_mixed(groups, halves_.high, bias_.data(), vectors, out);
    }
}

void Parameters::dot_rows(const float* x,
                          const std::uint32_t* ids,
                          std::size_t count,
                          float* out) const noexcept {
    if (precision_ == Precision::fp32) {
        kernels::dot_rows(x, weights_, ids, count, out);
    } else {
        kernels::dot_rows_mixed(x, halves_.high, ids, count, out);
    }
}

void Parameters::bag_rows(kernels::SparseView input, float* out) const noexcept {
    if (precision_ == Precision::fp32) {
        kernels::bag_rows(input, weights_, out);
    } else {
        kernels::bag_rows_bf16(input, halves_.high, out);
    }
}

// ---- updates ----

RowState Parameters::state() noexcept {
    return {.weights = weights_,
            .first = first_,
            .first_stride = first_floats(optimizer_, weights_.dim),
            .second = second_,
            .second_stride = second_ == nullptr ? 0 : weights_.stride,
            .bias = bias_.data(),
            .bias_first = bias_first_,
            .bias_second = bias_second_};
}

void update_groups(const RowState& rows,
                   kernels::GroupsView groups,
                   const float* values,
                   RowMatrix<const float> vectors,
                   RowMatrix<float> back,
                   const UpdateRule& rule) noexcept {
    if (const auto* adam = std::get_if<AdamStep>(&rule)) {
        const kernels::AdamBias bias{rows.bias, rows.bias_first, rows.bias_second};
        kernels::adam_groups(
            groups, values, vectors, back, {rows.weights, rows.first, rows.second}, bias, *adam);
    } else if (const auto* adagrad = std::get_if<AdagradStep>(&rule)) {
        kernels::adagrad_groups(groups,
                                values,
                                vectors,
                                back,
                                {rows.weights, rows.first},
                                {rows.bias, rows.bias_first},
                                *adagrad);
    } else if (const auto* momentum = std::get_if<MomentumStep>(&rule)) {
        kernels::momentum_groups(groups,
                                 values,
                                 vectors,
                                 back,
                                 {rows.weights, rows.first},
                                 {rows.bias, rows.bias_first},
                                 *momentum);
    } else {
        const SgdStep& sgd = *std::get_if<SgdStep>(&rule);
        kernels::sgd_groups(groups, values, vectors, back, rows.weights, rows.bias, sgd);
    }
}

void Parameters::update_groups(kernels::GroupsView groups,
                               const float* values,
                               RowMatrix<const float> vectors,
                               RowMatrix<float> back,
                               const UpdateRule& rule) noexcept {
    if (precision_ == Precision::fp32)
        return nn::update_groups(state(), groups, values, vectors, back, rule);
    const RowMatrix<kernels::Bf16> high = halves_.high;
    std::uint16_t* const low = halves_.low;
    if (const auto* adam = std::get_if<AdamStep>(&rule)) {
        const kernels::AdamBias bias{bias_.data(), bias_first_, bias_second_};
        kernels::adam_groups_split(
            groups, values, vectors, back, {high, low, first_, second_}, bias, *adam);
    } else if (const auto* adagrad = std::get_if<AdagradStep>(&rule)) {
        const kernels::AdagradBias bias{bias_.data(), bias_first_};
        kernels::adagrad_groups_split(
            groups, values, vectors, back, {high, low, first_}, bias, *adagrad);
    } else if (const auto* momentum = std::get_if<MomentumStep>(&rule)) {
        const kernels::MomentumBias bias{bias_.data(), bias_first_};
        kernels::momentum_groups_split(
            groups, values, vectors, back, {high, low, first_}, bias, *momentum);
    } else {
        const SgdStep& sgd = *std::get_if<SgdStep>(&rule);
        kernels::sgd_groups_split(groups, values, vectors, back, halves_, bias_.data(), sgd);
    }
}

void Parameters::prefetch_weights(std::size_t id) const noexcept {
    if (precision_ == Precision::fp32) {
        prefetch_row(weights_.row(id), weights_.dim);
    } else {
        prefetch_row(halves_.high.row(id), weights_.dim);
        prefetch_row(halves_.low + id * weights_.stride, weights_.dim);
    }
}

void Parameters::prefetch_state(std::size_t id) const noexcept {
    const bool whole_rows = optimizer_ == Optimizer::adam || optimizer_ == Optimizer::adam_dense ||
                            optimizer_ == Optimizer::momentum;
    if (!whole_rows) return;
    prefetch_row(first_ + id * weights_.stride, weights_.dim);
    if (second_ != nullptr) prefetch_row(second_ + id * weights_.stride, weights_.dim);
}

void Parameters::update_row(std::size_t row,
                            const float* gradient,
                            float bias_gradient,
                            const UpdateRule& rule) noexcept {
    const std::size_t dim = weights_.dim;
    const std::size_t at = row * weights_.stride;
    const bool split = precision_ == Precision::bf16;
    float* const w = split ? nullptr : weights_.row(row);
    kernels::Bf16* const high = split ? halves_.high.row(row) : nullptr;
    std::uint16_t* const low = split ? halves_.low + at : nullptr;
    if (const auto* adam = std::get_if<AdamStep>(&rule)) {
        float* const m = first_ + at;
        float* const v = second_ + at;
        split ? kernels::adam_row_split(high, low, m, v, gradient, dim, *adam)
              : kernels::adam_row(w, m, v, gradient, dim, *adam);
    } else if (const auto* adagrad = std::get_if<AdagradStep>(&rule)) {
        split ? kernels::adagrad_row_split(high, low, first_ + row, gradient, dim, *adagrad)
              : kernels::adagrad_row(w, first_ + row, gradient, dim, *adagrad);
    } else if (const auto* momentum = std::get_if<MomentumStep>(&rule)) {
        split ? kernels::momentum_row_split(high, low, first_ + at, gradient, dim, *momentum)
              : kernels::momentum_row(w, first_ + at, gradient, dim, *momentum);
    } else {
        const SgdStep& sgd = *std::get_if<SgdStep>(&rule);
        split ? kernels::sgd_row_split(high, low, gradient, dim, sgd)
              : kernels::sgd_row(w, gradient, dim, sgd);
    }
    update_bias(row, bias_gradient, rule);
}

void Parameters::update_bias(std::size_t row, float gradient, const UpdateRule& rule) noexcept {
    if (bias_.empty()) return;
    float* const bias = bias_.data() + row;
    if (const auto* adam = std::get_if<AdamStep>(&rule)) {
        kernels::adam_row(
            bias, bias_first_ + row, bias_second_ + row, &gradient, 1, without_decay(*adam));
    } else if (const auto* adagrad = std::get_if<AdagradStep>(&rule)) {
        kernels::adagrad_row(bias, bias_first_ + row, &gradient, 1, without_decay(*adagrad));
    } else if (const auto* momentum = std::get_if<MomentumStep>(&rule)) {
        kernels::momentum_row(bias, bias_first_ + row, &gradient, 1, without_decay(*momentum));
    } else {
        *bias -= std::get_if<SgdStep>(&rule)->lr * gradient;
    }
}

void Parameters::update_coordinates(std::size_t row,
                                    std::span<const std::uint32_t> coordinates,
                                    const float* gradient,
                                    float bias_gradient,
                                    const UpdateRule& rule,
                                    Gathered& scratch) {
    const std::size_t count = coordinates.size();
    const auto gather = [&](const float* from, std::vector<float>& to) {
        if (to.size() < count) to.resize(count);
        for (std::size_t i = 0; i < count; ++i) to[i] = from[coordinates[i]];
        return to.data();
    };
    const auto scatter = [&](const std::vector<float>& from, float* to) {
        for (std::size_t i = 0; i < count; ++i) to[coordinates[i]] = from[i];
    };
    float* const weights = weights_.row(row);
    float* const w = gather(weights, scratch.weights);
    float* const first = first_ == nullptr ? nullptr : first_ + row * weights_.stride;
    if (const auto* adam = std::get_if<AdamStep>(&rule)) {
        float* const second = second_ + row * weights_.stride;
        float* const m = gather(first, scratch.first);
        float* const v = gather(second, scratch.second);
        kernels::adam_row(w, m, v, gradient, count, *adam);
        scatter(scratch.first, first);
        scatter(scratch.second, second);
    } else if (const auto* adagrad = std::get_if<AdagradStep>(&rule)) {
        kernels::adagrad_row(w, first_ + row, gradient, count, *adagrad);
    } else if (const auto* momentum = std::get_if<MomentumStep>(&rule)) {
        kernels::momentum_row(w, gather(first, scratch.first), gradient, count, *momentum);
        scatter(scratch.first, first);
    } else {
        kernels::sgd_row(w, gradient, count, *std::get_if<SgdStep>(&rule));
    }
    scatter(scratch.weights, weights);
    update_bias(row, bias_gradient, rule);
}

void Parameters::update_others(system::Executor& executor,
                               kernels::GroupsView groups,
                               const UpdateRule& rule,
                               std::size_t first,
                               std::size_t end) {
    constexpr std::size_t kRowsPerTask = 1024;
    if (optimizer_ != Optimizer::adam_dense) return;
    executor.for_each_piece(
        end - first, kRowsPerTask, [&](std::size_t from, std::size_t to, system::Worker) {
            const std::uint32_t* const last = groups.ids + groups.count;
            const std::uint32_t* next = std::lower_bound(groups.ids, last, first + from);
            for (std::size_t i = first + from; i < first + to; ++i) {
                if (next != last && *next == i) {
                    ++next;
                } else {
                    update_row(i, zeros_.data(), 0, rule);
                }
            }
        });
}

// ---- checks ----

std::optional<std::uint32_t> Parameters::first_nonfinite(system::Executor& executor) const {
    constexpr std::size_t kRowsPerTask = 4096;
    constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
    std::vector<std::uint32_t> found((rows() + kRowsPerTask - 1) / kRowsPerTask, kNone);
    executor.for_each_piece(
        rows(), kRowsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            std::vector<float> scratch(weights_.dim);
            for (std::size_t i = end; i-- > begin;) {
                const float* const weights = row(i, scratch.data());
                if (all_finite(weights, zeros_.data(), weights_.dim) &&
                    (bias_.empty() || std::isfinite(bias_[i])))
                    continue;
                found[begin / kRowsPerTask] = static_cast<std::uint32_t>(i);
            }
        });
    const auto first = std::find_if(found.begin(), found.end(), [](auto i) { return i != kNone; });
    return first == found.end() ? std::nullopt : std::optional(*first);
}

// ---- state ----

void Parameters::visit_state(StateVisitor& state, const std::string& name) {
    const auto like_weights = [&]<class T>(T* values) {
        return RowMatrix<T>{values, weights_.rows, weights_.dim, weights_.stride};
    };
    if (precision_ == Precision::fp32) {
        state.rows(name + ".weight", weights_);
    } else {
        state.rows(name + ".weight_high", halves_.high);
        state.rows(name + ".weight_low", like_weights(halves_.low));
    }
    if (optimizer_ == Optimizer::adagrad_row) {
        state.values(name + ".accumulator", first_region_.as<float>());
    } else if (first_ != nullptr) {
        state.rows(name + ".first_moment", like_weights(first_));
    }
    if (second_ != nullptr) state.rows(name + ".second_moment", like_weights(second_));
    if (bias_.empty()) return;
    state.values(name + ".bias", bias_);
    if (bias_first_ != nullptr)
        state.values(name + ".bias_first_moment", bias_first_region_.as<float>());
    if (bias_second_ != nullptr)
        state.values(name + ".bias_second_moment", bias_second_region_.as<float>());
}

std::size_t Parameters::bytes(std::uint64_t rows, std::uint64_t dim, Optimizer optimizer) noexcept {
    const std::size_t matrix = rows * padded_stride(dim);
    const std::size_t second = is_adam(optimizer) ? matrix : 0;
    const std::size_t biases = rows * (1 + states_of(optimizer));
    return sizeof(float) * (matrix + rows * first_floats(optimizer, dim) + second + biases);
}

}  // namespace slidekit::nn
