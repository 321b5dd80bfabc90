// Densified one-permutation hashes of sets: two sets agree in a code with the probability of their
// Jaccard similarity.
//
// One permutation of the 32-bit numbers, h(id) = fmix32(id ^ seed), is cut into k * l bins of equal
// length: id falls in bin floor(h(id) * k * l / 2^32). The code of a bin is the least h of the set
// in it (Li, Owen and Zhang 2012). An empty bin borrows the code of the nearest bin that is not
// empty, in the direction that a bit of its own says, past the ends round to the other one
// (Shrivastava and Li 2014, "Improved densification of one permutation hashing"). As h tells the
// bins apart, a borrowed code needs no offset. The bit of bin b is bit b % 32 of fmix32(b / 32 ^
// ~seed), 1 for down. The one id whose h is 2^32 - 1 is as if it were not there; all codes of an
// empty set are 2^32 - 1.
//
// Neighbouring bins borrow from each other. Where code j of table t is that of bin j * l + t, they
// belong to different tables, but tables t and t + 1 are neighbours in all their codes; where codes
// stand at bins in a random order, tables collide as if they were independent.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// Densified one-permutation minhash. Key of a table: h = seed, then h = fmix32(code ^ h) for each
/// of its codes, then the highest `bits` of h.
struct DophPlan {
    std::uint32_t k = 0;     // codes a table, 1..64
    std::uint32_t l = 0;     // tables, 1..65536
    std::uint32_t bits = 0;  // of a key, 1..32
    std::uint32_t top = 0;   // values of a dense vector that make its set, at most 65536
    std::uint32_t seed = 0;
    /// Code j of table t is that of bin order[j * l + t]: a permutation; null: of bin j * l + t.
    const std::uint32_t* order = nullptr;
};

/// Floats of scratch that the functions below need; hash_doph_rows needs rows.dim more.
[[nodiscard]] constexpr std::size_t doph_scratch_floats(std::size_t k,
                                                        std::size_t l,
                                                        std::size_t top) noexcept {
    return 2 * (k * l + 80) + top;
}

/// Keys of the set of ids, in any order, repeats allowed: keys[t], t < plan.l.
///
/// scratch: doph_scratch_floats(plan.k, plan.l, plan.top) floats. Bit-equal on every level.
SLIDEKIT_API void hash_doph_set(const DophPlan& plan,
                                const std::uint32_t* ids,
                                std::size_t nnz,
                                std::uint32_t* keys,
                                float* scratch) noexcept;

/// Keys of a dense vector, taken as the set of the coordinates of its plan.top largest values.
///
/// The choice is that of select_top_k: of equal values (ReLU zeros!) the lowest coordinates are
/// taken, NaN only where there are not enough numbers. scratch: doph_scratch_floats(plan.k, plan.l,
/// plan.top) floats. Requires: dim < 2^32.
SLIDEKIT_API void hash_doph(const DophPlan& plan,
                            const float* x,
                            std::size_t dim,
                            std::uint32_t* keys,
                            float* scratch) noexcept;

/// hash_doph of all rows, each less `centre` (rows.dim elements; null: nothing taken off), in one
/// rounding per coordinate. scratch: doph_scratch_floats(plan.k, plan.l, plan.top) + rows.dim
/// floats.
SLIDEKIT_API void hash_doph_rows(const DophPlan& plan,
                                 RowMatrix<const float> rows,
                                 const float* centre,
                                 std::uint32_t* keys,
                                 KeyLayout layout,
                                 float* scratch) noexcept;

}  // namespace slidekit::kernels
