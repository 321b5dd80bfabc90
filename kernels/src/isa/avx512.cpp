// The AVX-512 level: 512 bits and masks, with what Skylake-SP and Zen 4 have in common (F, CD, DQ,
// BW, VL).
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

using Level = xsimd::avx512bw;

constexpr KernelTable kTable{
#define SLIDEKIT_KERNEL(name, result, parameters, arguments, ...) &name<Level>,
#include "kernels.def"
#undef SLIDEKIT_KERNEL
};

}  // namespace

const KernelTable* avx512_table() noexcept { return &kTable; }

}  // namespace slidekit::kernels::detail
