// The AVX-512 level: 512 bits and masks, with what Skylake-SP and Zen 4 have in common (F, CD, DQ,
// BW, VL).
#include "all-inl.hpp"
#include "table.hpp"

namespace slidekit::kernels::detail {
namespace {

using Level = xsimd::avx512bw;

constexpr KernelTable kTable{
#define SLIDEKIT_KERNEL(name, result, parameters, arguments, ...) &name<Level>,
#include "kernels.def"
#undef SLIDEKIT_KERNEL
};

}  // namespace

const KernelTable* avx512_table() noexcept { return &kTable; }

}  // namespace slidekit::kernels::detail
