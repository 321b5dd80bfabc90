// The table of kernels: one pointer a kernel, one table a level, from kernels.def.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/bf16.hpp>
#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dedup.hpp>
#include <slidekit/kernels/dense.hpp>
#include <slidekit/kernels/doph.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/hadamard.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/mix.hpp>
#include <slidekit/kernels/optimizer.hpp>
#include <slidekit/kernels/projections.hpp>
#include <slidekit/kernels/optimizer_bf16.hpp>
#include <slidekit/kernels/pstable.hpp>
#include <slidekit/kernels/sparse_dwta.hpp>
#include <slidekit/kernels/topk.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels::detail {

struct KernelTable {
#define SLIDEKIT_KERNEL(name, result, parameters, arguments, ...) result(*name) parameters noexcept;
#include "kernels.def"
#undef SLIDEKIT_KERNEL
};

// One getter a level, each the only symbol that its translation unit exports.
const KernelTable* scalar_table() noexcept;
const KernelTable* avx2_table() noexcept;
const KernelTable* avx512_table() noexcept;
const KernelTable* avx512bf16_table() noexcept;

// Puts forms into the table of the AVX-512 level that ask for more than the level does.
void use_avx512vbmi(KernelTable& table) noexcept;

}  // namespace slidekit::kernels::detail
