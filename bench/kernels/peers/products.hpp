// Plain loops with the signatures of the kernels of products and sums of rows.
//
// Included once a set of flags, each in a translation unit and a namespace of its own:
// SLIDEKIT_PEER_NAMESPACE names it, so that the linker cannot take one for the other.
#pragma once

#ifndef SLIDEKIT_PEER_NAMESPACE
#error "name the namespace of this set of flags: SLIDEKIT_PEER_NAMESPACE"
#endif

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/views.hpp>

namespace slidekit::bench::SLIDEKIT_PEER_NAMESPACE {

using kernels::GroupsView;
using kernels::Member;
using kernels::RowMatrix;
using kernels::SparseView;

inline float dot(const float* x, const float* y, std::size_t dim) noexcept {
    float sum = 0;
    for (std::size_t k = 0; k < dim; ++k) sum += x[k] * y[k];
    return sum;
}

inline void dot_rows(const float* x,
                     RowMatrix<const float> rows,
                     const std::uint32_t* ids,
                     std::size_t count,
                     float* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) out[i] = dot(x, rows.row(ids[i]), rows.dim);
}

inline void dot_groups(GroupsView groups,
                       RowMatrix<const float> rows,
                       const float* bias,
                       RowMatrix<const float> vectors,
                       float* out) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::uint32_t id = groups.ids[g];
        for (std::uint32_t p = groups.starts[g]; p < groups.starts[g + 1]; ++p) {
            const Member member = groups.members[p];
            const float sum = dot(rows.row(id), vectors.row(member.vector), rows.dim);
            out[member.slot] = bias == nullptr ? sum : sum + bias[id];
        }
    }
}

inline float dot_sparse_dense(SparseView x, const float* y, std::size_t) noexcept {
    float sum = 0;
    for (std::size_t i = 0; i < x.nnz; ++i) sum += x.values[i] * y[x.ids[i]];
    return sum;
}

// The merge of the textbooks.
inline float dot_sparse_sparse(SparseView x, SparseView y) noexcept {
    float sum = 0;
    std::size_t i = 0, j = 0;
    while (i < x.nnz && j < y.nnz) {
        if (x.ids[i] < y.ids[j]) {
            ++i;
        } else if (y.ids[j] < x.ids[i]) {
            ++j;
        } else {
            sum += x.values[i++] * y.values[j++];
        }
    }
    return sum;
}

inline void dot_sparse_rows(SparseView x,
                            RowMatrix<const float> rows,
                            const std::uint32_t* ids,
                            std::size_t count,
                            float* out) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        out[i] = dot_sparse_dense(x, rows.row(ids[i]), rows.dim);
}

inline void axpy(float a, const float* x, float* y, std::size_t dim) noexcept {
    for (std::size_t k = 0; k < dim; ++k) y[k] += a * x[k];
}

inline void bag_rows(SparseView input, RowMatrix<const float> rows, float* out) noexcept {
    for (std::size_t i = 0; i < input.nnz; ++i)
        axpy(input.values[i], rows.row(input.ids[i]), out, rows.dim);
}

inline void scatter_rows(SparseView weights, const float* x, RowMatrix<float> rows) noexcept {
    for (std::size_t i = 0; i < weights.nnz; ++i)
        axpy(weights.values[i], x, rows.row(weights.ids[i]), rows.dim);
}

}  // namespace slidekit::bench::SLIDEKIT_PEER_NAMESPACE
