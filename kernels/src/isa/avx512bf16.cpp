// The level of AVX-512 with BF16 and VNNI (Cooper Lake, Sapphire Rapids, Zen 4): the AVX-512 level
// with other kernels where these instructions help.
//
// A copy of that level's table, so that all the rest is the same code, and gives the same bits.
#include "dot-bf16-inl.hpp"
#include "dot-inl.hpp"
#include "i8-inl.hpp"
#include "i8-product-inl.hpp"
#include "table.hpp"

namespace slidekit::kernels::detail {
namespace {

using Level = xsimd::avx512bw;

KernelTable make_table() noexcept {
    KernelTable table = *avx512_table();
    table.dot_bf16 = &dot_bf16<Level>;
    table.dot_rows_bf16 = &dot_rows_bf16<Level>;
    table.dot_groups_bf16 = &dot_groups_bf16<Level>;
    table.dot_rows_i8 = &dot_rows_i8<Level>;
    table.dot_rows_i8_scaled = &dot_rows_i8_scaled<Level>;
    table.score_rows_i8 = &score_rows_i8<Level>;
    table.multiply_rows_i8 = &multiply_rows_i8<Level>;
    table.scan_rows_i8 = &scan_rows_i8<Level>;
    return table;
}

}  // namespace

const KernelTable* avx512bf16_table() noexcept {
    static const KernelTable table = make_table();
    return &table;
}

}  // namespace slidekit::kernels::detail
