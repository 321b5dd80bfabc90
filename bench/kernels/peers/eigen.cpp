// Eigen's expressions: of products and sums of rows in products_eigen.hpp, of blocks and vectors
// here.
#include <Eigen/Core>

#include "lists.hpp"

#include "products_eigen.hpp"

namespace slidekit::bench {
namespace eigen {
namespace {

using kernels::RowMatrix;
using kernels::StridedMatrix;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Rows = Eigen::OuterStride<>;
using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;

Eigen::Index index(std::size_t n) { return static_cast<Eigen::Index>(n); }

Eigen::Map<const Matrix, 0, Rows> block(RowMatrix<const float> m) {
    return {m.data, index(m.rows), index(m.dim), Rows(index(m.stride))};
}
Eigen::Map<Matrix, 0, Rows> block(RowMatrix<float> m) {
    return {m.data, index(m.rows), index(m.dim), Rows(index(m.stride))};
}
Eigen::Map<Eigen::ArrayXf> array(float* x, std::size_t n) { return {x, index(n)}; }
Eigen::Map<const Eigen::ArrayXf> array(const float* x, std::size_t n) { return {x, index(n)}; }

void multiply_add(StridedMatrix a, RowMatrix<const float> b, RowMatrix<float> c) noexcept {
    const auto rows = block(b).topRows(index(a.columns));
    auto sums = block(c).topRows(index(a.rows));
    if (a.column_stride == 1) {
        sums.noalias() += block({a.data, a.rows, a.columns, a.row_stride}) * rows;
    } else {
        sums.noalias() += block({a.data, a.columns, a.rows, a.column_stride}).transpose() * rows;
    }
}

void transpose(RowMatrix<const float> source, RowMatrix<float> target) noexcept {
    block(target) = block(source).transpose();
}

void relu(float* x, std::size_t dim) noexcept { array(x, dim) = array(x, dim).max(0.0F); }

float max_value(const float* x, std::size_t count) noexcept { return array(x, count).maxCoeff(); }

float exp_sum(float* x, std::size_t count, float shift) noexcept {
    auto values = array(x, count);
    values = (values - shift).exp();
    return values.sum();
}

void scale(float a, float* x, std::size_t count) noexcept { array(x, count) *= a; }

void apply_softmax_columns(RowMatrix<float> logits,
                           const float* max,
                           const float* factor) noexcept {
    for (std::size_t r = 0; r < logits.rows; ++r) {
        auto row = array(logits.row(r), logits.dim);
        row = (row - array(max, logits.dim)).exp() * array(factor, logits.dim);
    }
}

}  // namespace
}  // namespace eigen

PeerList eigen_peers() {
    static const Peer all[] = {
        SLIDEKIT_PEER(multiply_add, "eigen", eigen::multiply_add),
        SLIDEKIT_PEER(transpose, "eigen", eigen::transpose),
        SLIDEKIT_PEER(relu, "eigen", eigen::relu),
        SLIDEKIT_PEER(max_value, "eigen", eigen::max_value),
        SLIDEKIT_PEER(exp_sum, "eigen", eigen::exp_sum),
        SLIDEKIT_PEER(scale, "eigen", eigen::scale),
        SLIDEKIT_PEER(apply_softmax_columns, "eigen", eigen::apply_softmax_columns),
        SLIDEKIT_PEER(dot, "eigen", eigen::dot),
        SLIDEKIT_PEER(dot_rows, "eigen", eigen::dot_rows),
        SLIDEKIT_PEER(dot_groups, "eigen", eigen::dot_groups),
        SLIDEKIT_PEER(dot_sparse_dense, "eigen", eigen::dot_sparse_dense),
        SLIDEKIT_PEER(dot_sparse_sparse, "eigen", eigen::dot_sparse_sparse),
        SLIDEKIT_PEER(dot_sparse_rows, "eigen", eigen::dot_sparse_rows),
        SLIDEKIT_PEER(axpy, "eigen", eigen::axpy),
        SLIDEKIT_PEER(bag_rows, "eigen", eigen::bag_rows),
        SLIDEKIT_PEER(scatter_rows, "eigen", eigen::scatter_rows),
    };
    return {all, std::size(all)};
}

}  // namespace slidekit::bench
