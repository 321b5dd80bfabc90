// The table of kernels: one pointer a kernel, one table a level, from kernels.def.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/all.hpp>

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
// The same for the level with VNNI. Requires: the system lets this process use tiles.
void use_amxint8(KernelTable& table) noexcept;

}  // namespace slidekit::kernels::detail
