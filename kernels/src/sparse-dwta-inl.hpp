// DWTA of a sparse vector on a level with SIMD: the plain body.
//
// Places lie at random and two of a vector may meet, so that lanes would have to test for conflicts
// at every bid; what takes the time is loads, which need no lanes.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/sparse_dwta.hpp>

#include "scalar-sparse-dwta-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

template <class Arch>
void hash_dwta_sparse(const SparseDwtaPlan& plan,
                      SparseView input,
                      std::uint32_t* keys,
                      std::uint64_t* scratch) noexcept {
    sparse_dwta_keys(plan, input, keys, scratch);
}

}  // namespace
}  // namespace slidekit::kernels::detail
