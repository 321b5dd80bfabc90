// The AVX2 level: 256 bits and FMA, every x86 server since 2015.
#include "all-inl.hpp"
#include "table.hpp"

namespace slidekit::kernels::detail {
namespace {

using Level = xsimd::fma3<xsimd::avx2>;

constexpr KernelTable kTable{
#define SLIDEKIT_KERNEL(name, result, parameters, arguments, ...) &name<Level>,
#include "kernels.def"
#undef SLIDEKIT_KERNEL
};

}  // namespace

const KernelTable* avx2_table() noexcept { return &kTable; }

}  // namespace slidekit::kernels::detail
