// Eigen's expressions with the signatures of the kernels of products and sums of rows; where Eigen
// has no expression for gathered rows, one a row.
#pragma once

#ifdef SLIDEKIT_BENCH_EIGEN

#include <cstddef>
#include <cstdint>

#include <Eigen/Core>
#include <Eigen/SparseCore>
#include <slidekit/kernels/views.hpp>

namespace slidekit::bench::eigen {

using kernels::GroupsView;
using kernels::Member;
using kernels::RowMatrix;
using kernels::SparseView;

inline Eigen::Map<const Eigen::VectorXf> vector(const float* x, std::size_t dim) {
    return {x, static_cast<Eigen::Index>(dim)};
}
inline Eigen::Map<Eigen::VectorXf> vector(float* x, std::size_t dim) {
    return {x, static_cast<Eigen::Index>(dim)};
}
// Eigen maps sparse matrices, but no sparse vector: a matrix of one column, whose start and end
// have to stay. Its ids are signed: the coordinates of the benches fit.
class Sparse {
public:
    Sparse(SparseView x, std::size_t dim)
        : ends_{0, static_cast<int>(x.nnz)},
          map_(static_cast<Eigen::Index>(dim),
               1,
               ends_[1],
               ends_,
               reinterpret_cast<const int*>(x.ids),
               x.values) {}
    Sparse(const Sparse&) = delete;
    Sparse& operator=(const Sparse&) = delete;

    [[nodiscard]] auto vector() const { return map_.col(0); }

private:
    int ends_[2];
    Eigen::Map<const Eigen::SparseMatrix<float>> map_;
};

inline float dot(const float* x, const float* y, std::size_t dim) noexcept {
    return vector(x, dim).dot(vector(y, dim));
}

inline void dot_rows(const float* x,
                     RowMatrix<const float> rows,
                     const std::uint32_t* ids,
                     std::size_t count,
                     float* out) noexcept {
    const auto mapped = vector(x, rows.dim);
    for (std::size_t i = 0; i < count; ++i) out[i] = mapped.dot(vector(rows.row(ids[i]), rows.dim));
}

inline void dot_groups(GroupsView groups,
                       RowMatrix<const float> rows,
                       const float* bias,
                       RowMatrix<const float> vectors,
                       float* out) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::uint32_t id = groups.ids[g];
        const auto row = vector(rows.row(id), rows.dim);
        for (std::uint32_t p = groups.starts[g]; p < groups.starts[g + 1]; ++p) {
            const Member member = groups.members[p];
            const float sum = row.dot(vector(vectors.row(member.vector), rows.dim));
            out[member.slot] = bias == nullptr ? sum : sum + bias[id];
        }
    }
}

inline float dot_sparse_dense(SparseView x, const float* y, std::size_t dim) noexcept {
    return Sparse(x, dim).vector().dot(vector(y, dim));
}

inline float dot_sparse_sparse(SparseView x, SparseView y) noexcept {
    constexpr std::size_t kAnyDim = (std::size_t{1} << 31) - 1;
    const Sparse other(y, kAnyDim);
    return Sparse(x, kAnyDim).vector().dot(other.vector());
}

inline void dot_sparse_rows(SparseView x,
                            RowMatrix<const float> rows,
                            const std::uint32_t* ids,
                            std::size_t count,
                            float* out) noexcept {
    const Sparse mapped(x, rows.dim);
    for (std::size_t i = 0; i < count; ++i)
        out[i] = mapped.vector().dot(vector(rows.row(ids[i]), rows.dim));
}

inline void axpy(float a, const float* x, float* y, std::size_t dim) noexcept {
    vector(y, dim) += a * vector(x, dim);
}

inline void bag_rows(SparseView input, RowMatrix<const float> rows, float* out) noexcept {
    auto sums = vector(out, rows.dim);
    for (std::size_t i = 0; i < input.nnz; ++i)
        sums += input.values[i] * vector(rows.row(input.ids[i]), rows.dim);
}

inline void scatter_rows(SparseView weights, const float* x, RowMatrix<float> rows) noexcept {
    const auto mapped = vector(x, rows.dim);
    for (std::size_t i = 0; i < weights.nnz; ++i)
        vector(rows.row(weights.ids[i]), rows.dim) += weights.values[i] * mapped;
}

}  // namespace slidekit::bench::eigen

#endif  // SLIDEKIT_BENCH_EIGEN
