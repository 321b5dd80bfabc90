// The AVX2 level: 256 bits and FMA, every x86 server since 2015.
#include "activation-inl.hpp"
#include "adagrad-inl.hpp"
#include "axpy-inl.hpp"
#include "bf16-inl.hpp"
#include "convert-inl.hpp"
#include "dedup-inl.hpp"
#include "dense-inl.hpp"
#include "dot-bf16-inl.hpp"
#include "doph-inl.hpp"
#include "dot-inl.hpp"
#include "hadamard-inl.hpp"
#include "dot-sparse-inl.hpp"
#include "hash-inl.hpp"
#include "i8-inl.hpp"
#include "optimizer-bf16-inl.hpp"
#include "momentum-inl.hpp"
#include "optimizer-inl.hpp"
#include "simhash-one-inl.hpp"
#include "pstable-inl.hpp"
#include "sigmoid-inl.hpp"
#include "sparse-dwta-inl.hpp"
#include "table.hpp"
#include "topk-inl.hpp"

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
