// Hashes of p-stable projections (Datar, Immorlica, Indyk and Mirrokni 2004): floor((a.x + b) / w).
//
// With normal variables in `a` near in L2 distance means equal codes, with Cauchy variables in L1.
// Sums run over the coordinates in ascending order, each product rounded, without FMA, and the
// quotient is a division: all levels agree bit for bit.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// K projections for each of L tables, code = floor((a.x + b) / width), b uniform in [0, width);
/// below -2^31 and NaN: -2^31, above 2^31 - 128: that. Key of a table: h = seed, then h =
/// fmix32(code ^ h) for each of its codes as a 32-bit number, then the highest `bits` of h.
struct PStablePlan {
    std::uint32_t dim = 0;
    std::uint32_t k = 0;     // codes a table, 1..64
    std::uint32_t l = 0;     // tables, 1..65536
    std::uint32_t bits = 0;  // of a key, 1..32
    std::uint32_t seed = 0;
    float width = 1;
    /// Sixteen tables side by side: coordinate c of code j of table t at projections[((t / 16 * k +
    /// j) * dim + c) * 16 + t % 16], its b at offsets[(t / 16 * k + j) * 16 + t % 16]. Tables past
    /// l are there, and unused.
    const float* projections = nullptr;
    const float* offsets = nullptr;
};

/// Keys of one vector of plan.dim elements: keys[t], t < plan.l.
SLIDEKIT_API void hash_pstable(const PStablePlan& plan,
                               const float* x,
                               std::uint32_t* keys) noexcept;

/// Keys of all rows, each less `centre` (plan.dim elements; null: nothing taken off), in one
/// rounding per coordinate. scratch: hash_scratch_floats(plan.dim) floats. Requires: rows.dim ==
/// plan.dim.
SLIDEKIT_API void hash_pstable_rows(const PStablePlan& plan,
                                    RowMatrix<const float> rows,
                                    const float* centre,
                                    std::uint32_t* keys,
                                    KeyLayout layout,
                                    float* scratch) noexcept;

}  // namespace slidekit::kernels
