// Structured SimHash: random rotations by Hadamard rounds in place of drawn projections.
//
// A round flips the signs of some coordinates and then applies the Walsh-Hadamard transform: n log
// n additions for n projections, where a third of n non-zeros each takes n * n / 3. Every bit is
// the same on every level: the additions of a transform have one order, and none of them is fused.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// SimHash by pseudo-random rotations (Andoni, Indyk, Laarhoven, Razenshteyn and Schmidt 2015,
/// section 5; fast transforms: Ailon and Chazelle 2009). A vector, zeros appended up to `padded`
/// coordinates, goes through two rounds; then each block of `padded` bits has a round of its own,
/// and a coordinate that comes out > 0 is a 1 (so 0, -0 and NaN are 0s; so are infinities that
/// meet). Bits b * padded .. are those of block b in order; keys as in SimHashPlan.
///
/// Two bits of one block belong to orthogonal projections, two bits of different blocks to
/// projections as near to orthogonal as independent directions are.
struct HadamardPlan {
    static constexpr std::uint32_t kMinPadded = 16;
    static constexpr std::uint32_t kMaxPadded = 4096;
    std::uint32_t dim = 0;     // 1..4096
    std::uint32_t k = 0;       // codes a table, 1..24
    std::uint32_t l = 0;       // tables
    std::uint32_t padded = 0;  // hadamard_padded(dim)
    /// signs[r * padded + c]: 0x80000000 where round r flips coordinate c, else 0, for the two
    /// shared rounds and then one a block: hadamard_rounds(dim, k * l) in all.
    const std::uint32_t* signs = nullptr;
};

/// The least power of two that is at least dim and HadamardPlan::kMinPadded.
[[nodiscard]] constexpr std::size_t hadamard_padded(std::size_t dim) noexcept {
    std::size_t padded = HadamardPlan::kMinPadded;
    while (padded < dim && padded < HadamardPlan::kMaxPadded) padded *= 2;
    return padded;
}

/// Rounds, each with its signs, of a plan for `bits` = k * l codes.
[[nodiscard]] constexpr std::size_t hadamard_rounds(std::size_t dim, std::size_t bits) noexcept {
    const std::size_t padded = hadamard_padded(dim);
    return 2 + bits / padded + (bits % padded == 0 ? 0U : 1U);
}

/// Keys by structured SimHash of one vector.
///
/// x: plan.dim elements; keys[t], t < plan.l.
SLIDEKIT_API void hash_hadamard(const HadamardPlan& plan,
                                const float* x,
                                std::uint32_t* keys) noexcept;

/// Keys by structured SimHash of all rows, each less a centre.
///
/// centre: plan.dim elements, taken off in one rounding per coordinate; null: nothing taken off.
/// scratch: hash_scratch_floats(plan.padded) floats. Requires: rows.dim == plan.dim.
SLIDEKIT_API void hash_hadamard_rows(const HadamardPlan& plan,
                                     RowMatrix<const float> rows,
                                     const float* centre,
                                     std::uint32_t* keys,
                                     KeyLayout layout,
                                     float* scratch) noexcept;

}  // namespace slidekit::kernels
