// OpenBLAS with the signatures of the kernels of products and sums of rows: a call a row, and for
// gathered rows also a copy of them and one sgemv.
#pragma once

#ifdef SLIDEKIT_BENCH_CBLAS

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <cblas.h>
#include <slidekit/kernels/views.hpp>

namespace slidekit::bench::blas {

using kernels::GroupsView;
using kernels::Member;
using kernels::RowMatrix;
using kernels::SparseView;

inline int size(std::size_t n) { return static_cast<int>(n); }

inline float dot(const float* x, const float* y, std::size_t dim) noexcept {
    return cblas_sdot(size(dim), x, 1, y, 1);
}

inline void dot_rows(const float* x,
                     RowMatrix<const float> rows,
                     const std::uint32_t* ids,
                     std::size_t count,
                     float* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) out[i] = dot(x, rows.row(ids[i]), rows.dim);
}

inline void dot_rows_copied(const float* x,
                            RowMatrix<const float> rows,
                            const std::uint32_t* ids,
                            std::size_t count,
                            float* out) noexcept {
    static thread_local std::vector<float> copy;
    copy.resize(count * rows.dim);
    for (std::size_t i = 0; i < count; ++i)
        std::memcpy(copy.data() + i * rows.dim, rows.row(ids[i]), rows.dim * sizeof(float));
    cblas_sgemv(CblasRowMajor,
                CblasNoTrans,
                size(count),
                size(rows.dim),
                1.0F,
                copy.data(),
                size(rows.dim),
                x,
                1,
                0.0F,
                out,
                1);
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

inline void axpy(float a, const float* x, float* y, std::size_t dim) noexcept {
    cblas_saxpy(size(dim), a, x, 1, y, 1);
}

inline void bag_rows(SparseView input, RowMatrix<const float> rows, float* out) noexcept {
    for (std::size_t i = 0; i < input.nnz; ++i)
        axpy(input.values[i], rows.row(input.ids[i]), out, rows.dim);
}

inline void scatter_rows(SparseView weights, const float* x, RowMatrix<float> rows) noexcept {
    for (std::size_t i = 0; i < weights.nnz; ++i)
        axpy(weights.values[i], x, rows.row(weights.ids[i]), rows.dim);
}

}  // namespace slidekit::bench::blas

#endif  // SLIDEKIT_BENCH_CBLAS
