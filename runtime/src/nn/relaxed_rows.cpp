// Copies of rows, the kernels on them, and the way back.
#include "nn/relaxed_rows.hpp"

#include <algorithm>
#include <array>

#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr std::size_t kRows = RowCopies::kRows;

// Row i of the copies belongs to group i, whose one member is vector 0 with slot i.
struct Singles {
    std::array<std::uint32_t, kRows> ids{};
    std::array<std::uint32_t, kRows + 1> starts{};
    std::array<kernels::Member, kRows> members{};
};
constexpr Singles kSingles = [] {
    Singles singles;
    for (std::uint32_t i = 0; i < kRows; ++i) {
        singles.ids[i] = i;
        singles.starts[i + 1] = i + 1;
        singles.members[i] = {0, i};
    }
    return singles;
}();

float load_one(float& value) noexcept {
    return std::atomic_ref(value).load(std::memory_order_relaxed);
}
void store_one(float value, float& to) noexcept {
    std::atomic_ref(to).store(value, std::memory_order_relaxed);
}

// Of one row, what there is `stride` floats of: nothing, one, or as many as weights.
void load_state(float* from, std::size_t stride, std::size_t id, std::size_t dim, float* to) {
    if (stride == 1) to[0] = load_one(from[id]);
    if (stride > 1) load_relaxed(from + id * stride, dim, to);
}
void store_state(
    const float* from, std::size_t stride, std::size_t id, std::size_t dim, float* to) {
    if (stride == 1) store_one(from[0], to[id]);
    if (stride > 1) store_relaxed(from, dim, to + id * stride);
}

}  // namespace

RowCopies::RowCopies(std::size_t dim)
    : lines_(3 * kRows * detail::lines_of(dim)), biases_(3 * kRows) {
    const std::size_t stride = padded_stride(dim);
    auto* const floats = reinterpret_cast<float*>(lines_.data());
    rows_ = {.weights = {floats, kRows, dim, stride},
             .first = floats + kRows * stride,
             .first_stride = stride,
             .second = floats + 2 * kRows * stride,
             .second_stride = stride,
             .bias = biases_.data(),
             .bias_first = biases_.data() + kRows,
             .bias_second = biases_.data() + 2 * kRows};
}

RelaxedRows::RelaxedRows(Parameters& parameters)
    : parameters_(parameters), rows_(parameters.state()) {}

void RelaxedRows::dot_rows(const float* x,
                           std::span<const std::uint32_t> ids,
                           float* out,
                           RowCopies& copies) const noexcept {
    const RowMatrix<float> copy = copies.rows().weights;
    detail::for_runs(
        ids,
        [&](std::uint32_t id) { parameters_.prefetch_weights(id); },
        [&](std::size_t i, std::uint32_t id) {
            load_relaxed(rows_.weights.row(id), copy.dim, copy.row(i));
        },
        [&](std::size_t begin, std::size_t count) {
            kernels::dot_rows(x, copy, kSingles.ids.data(), count, out + begin);
            if (rows_.bias == nullptr) return;
            for (std::size_t i = begin; i < begin + count; ++i)
                out[i] += load_one(rows_.bias[ids[i]]);
        });
}

void RelaxedRows::bag_rows(kernels::SparseView input,
                           float* out,
                           RowCopies& copies) const noexcept {
    const RowMatrix<float> copy = copies.rows().weights;
    detail::for_runs(
        {input.ids, input.nnz},
        [&](std::uint32_t id) { parameters_.prefetch_weights(id); },
        [&](std::size_t i, std::uint32_t id) {
            load_relaxed(rows_.weights.row(id), copy.dim, copy.row(i));
        },
        [&](std::size_t begin, std::size_t count) {
            kernels::bag_rows({kSingles.ids.data(), input.values + begin, count}, copy, out);
        });
}

void RelaxedRows::update_rows(kernels::SparseView pairs,
                              const float* vector,
                              float* back,
                              const UpdateRule& rule,
                              RowCopies& copies) noexcept {
    RowState copy = copies.rows();
    copy.first_stride = rows_.first_stride;
    if (rows_.bias == nullptr) copy.bias = nullptr;
    const std::size_t dim = copy.weights.dim;
    const std::size_t stride = copy.weights.stride;
    // What there is one of a row: {shared, copy}, null where there is none.
    const std::array<std::array<float*, 2>, 3> singles = {{{rows_.bias, copy.bias},
                                                           {rows_.bias_first, copy.bias_first},
                                                           {rows_.bias_second, copy.bias_second}}};
    detail::for_runs(
        {pairs.ids, pairs.nnz},
        [&](std::uint32_t id) {
            parameters_.prefetch_weights(id);
            parameters_.prefetch_state(id);
        },
        [&](std::size_t i, std::uint32_t id) {
            load_relaxed(rows_.weights.row(id), dim, copy.weights.row(i));
            load_state(
                rows_.first, rows_.first_stride, id, dim, copy.first + i * rows_.first_stride);
            load_state(rows_.second, rows_.second_stride, id, dim, copy.second + i * stride);
            for (const auto& [shared, own] : singles)
                if (shared != nullptr) own[i] = load_one(shared[id]);
        },
        [&](std::size_t begin, std::size_t count) {
            nn::update_groups(copy,
                              {kSingles.ids.data(),
                               kSingles.starts.data(),
                               kSingles.members.data(),
                               count,
                               count},
                              pairs.values + begin,
                              {vector, 1, dim, stride},
                              {back, 1, dim, stride},
                              rule);
            for (std::size_t i = 0; i < count; ++i) {
                const std::size_t id = pairs.ids[begin + i];
                store_relaxed(copy.weights.row(i), dim, rows_.weights.row(id));
                store_state(
                    copy.first + i * rows_.first_stride, rows_.first_stride, id, dim, rows_.first);
                store_state(copy.second + i * stride, rows_.second_stride, id, dim, rows_.second);
                for (const auto& [shared, own] : singles)
                    if (shared != nullptr) store_one(own[i], shared[id]);
            }
        });
}

}  // namespace slidekit::nn
