// DWTA of sparse vectors: only the coordinates that a vector lists take part, and bins that none of
// them falls into borrow their codes.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// DWTA (Chen and Shrivastava 2018) of sparse vectors: code = position within its bin of the
/// largest value listed there. Ties, NaN and keys as in DwtaPlan; a value that is listed counts,
/// whatever it is, zero included. Ids may come in any order; of an id's repeats the largest value
/// counts. So a vector with all its coordinates listed has the keys that hash_dwta gives it under
/// the same functions.
///
/// A bin without a listed coordinate (densification, section 3 of the paper) takes the code of the
/// first bin that has one among dwta_probe(bin, a, k * l), a = 0 .. kProbes - 1, and, if none of
/// these has, among bin + 1, bin + 2, .. around. Without any coordinate all codes are 0.
struct SparseDwtaPlan {
    static constexpr std::uint32_t kProbes = 16;
    static constexpr std::uint32_t kMaxDim = (std::uint32_t{1} << 29) - 1;
    std::uint32_t dim = 0;
    std::uint32_t k = 0;  // codes a table
    std::uint32_t l = 0;  // tables
    std::uint32_t shift = 3;
    std::uint32_t permutations = 0;
    /// places[c * permutations + p]: where permutation p puts coordinate c, as 8 * bin + position;
    /// from 8 * k * l on: nowhere. Several coordinates may share a place.
    const std::uint32_t* places = nullptr;
};

/// The finaliser of MurmurHash3 (Appleby 2011): every bit of the input reaches every bit of the
/// result.
[[nodiscard]] constexpr std::uint32_t dwta_mix(std::uint32_t h) noexcept {
    h = (h ^ h >> 16) * 0x85ebca6bU;
    h = (h ^ h >> 13) * 0xc2b2ae35U;
    return h ^ h >> 16;
}

/// The bin, below `bins`, that an empty bin asks in its attempt. By a product, not a mask: all bins
/// can be met, whatever their number.
[[nodiscard]] constexpr std::uint32_t dwta_probe(std::uint32_t bin,
                                                 std::uint32_t attempt,
                                                 std::uint32_t bins) noexcept {
    return static_cast<std::uint32_t>(
        (std::uint64_t{dwta_mix(bin + attempt * 0x9e3779b9U)} * bins) >> 32);
}

/// Keys of one sparse vector, by its listed coordinates alone: keys[t], t < plan.l. scratch: a
/// number a bin, plan.k * plan.l. Requires: ids below plan.dim.
SLIDEKIT_API void hash_dwta_sparse(const SparseDwtaPlan& plan,
                                   SparseView input,
                                   std::uint32_t* keys,
                                   std::uint64_t* scratch) noexcept;

}  // namespace slidekit::kernels
