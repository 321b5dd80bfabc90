// The scalar level: plain code for any processor.
#include "scalar-bf16-inl.hpp"
#include "scalar-i8-inl.hpp"
#include "scalar-inl.hpp"
#include "scalar-optimizer-bf16-inl.hpp"
#include "scalar-set-hash-inl.hpp"
#include "table.hpp"

namespace slidekit::kernels::detail {
namespace {

constexpr KernelTable kTable{
#define SLIDEKIT_KERNEL(name, result, parameters, arguments, ...) &name,
#include "kernels.def"
#undef SLIDEKIT_KERNEL
};

}  // namespace

const KernelTable* scalar_table() noexcept { return &kTable; }

}  // namespace slidekit::kernels::detail
