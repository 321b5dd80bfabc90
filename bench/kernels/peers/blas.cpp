// OpenBLAS, on one thread.
#include <cblas.h>

#include "lists.hpp"

#include "products_blas.hpp"

namespace slidekit::bench {
namespace blas {
namespace {

using kernels::RowMatrix;
using kernels::StridedMatrix;

int integer(std::size_t n) { return static_cast<int>(n); }

void multiply_add(StridedMatrix a, RowMatrix<const float> b, RowMatrix<float> c) noexcept {
    const bool plain = a.column_stride == 1;
    cblas_sgemm(CblasRowMajor,
                plain ? CblasNoTrans : CblasTrans,
                CblasNoTrans,
                integer(a.rows),
                integer(c.dim),
                integer(a.columns),
                1.0F,
                a.data,
                integer(plain ? a.row_stride : a.column_stride),
                b.data,
                integer(b.stride),
                1.0F,
                c.data,
                integer(c.stride));
}

void transpose(RowMatrix<const float> source, RowMatrix<float> target) noexcept {
    cblas_somatcopy(CblasRowMajor,
                    CblasTrans,
                    integer(source.rows),
                    integer(source.dim),
                    1.0F,
                    source.data,
                    integer(source.stride),
                    target.data,
                    integer(target.stride));
}

void scale(float a, float* x, std::size_t count) noexcept { cblas_sscal(integer(count), a, x, 1); }

}  // namespace
}  // namespace blas

PeerList blas_peers() {
    openblas_set_num_threads(1);
    static const Peer all[] = {
        SLIDEKIT_PEER(multiply_add, "openblas", blas::multiply_add),
        SLIDEKIT_PEER(transpose, "openblas", blas::transpose),
        SLIDEKIT_PEER(scale, "openblas", blas::scale),
        SLIDEKIT_PEER(dot, "openblas", blas::dot),
        SLIDEKIT_PEER(dot_rows, "openblas", blas::dot_rows),
        SLIDEKIT_PEER(dot_rows, "copy+sgemv", blas::dot_rows_copied),
        SLIDEKIT_PEER(dot_groups, "openblas", blas::dot_groups),
        SLIDEKIT_PEER(axpy, "openblas", blas::axpy),
        SLIDEKIT_PEER(bag_rows, "openblas", blas::bag_rows),
        SLIDEKIT_PEER(scatter_rows, "openblas", blas::scatter_rows),
    };
    return {all, std::size(all)};
}

std::string describe_blas() {
    return std::string(openblas_get_config()) + ", core type " + openblas_get_corename();
}

}  // namespace slidekit::bench
