// Hash families: L tables of K codes drawn from a seed, applied to vectors of one width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::lsh {

/// simhash: signs of sparse random projections; hadamard: of pseudo-random rotations; dwta, wta:
/// places of the largest of 8 coordinates; doph: minhash of the set of the largest coordinates;
/// pstable: cells of normal projections; crosspolytope: the largest of 32 rotated coordinates;
/// sparse_dwta: DWTA of the coordinates that a query lists, for inputs of any width.
enum class HashFamily { simhash, hadamard, dwta, wta, doph, pstable, crosspolytope, sparse_dwta };

/// How DWTA's 3-bit codes make a key: one after the other, or 2 bits apart as in the released
/// SLIDE.
enum class Packing { concat, slide_compat };

struct HashConfig {
    HashFamily family = HashFamily::simhash;
    std::uint32_t k = 12;      // codes a table
    std::uint32_t l = 50;      // tables
    std::uint32_t probes = 1;  // buckets that a query looks at in each; simhash and hadamard
    Packing packing = Packing::concat;
    std::uint32_t bits = 12;  // of the keys of doph and pstable, whose codes are mixed into them
    float width = 1;          // of pstable's cells, in the unit of the vectors
    std::uint64_t seed = 1;
};

inline constexpr std::uint32_t kMaxKeyBits = 24;
inline constexpr std::uint32_t kMaxTables = 4096;
inline constexpr std::uint32_t kMaxProbes = 16;

/// Bits of a bucket key: K codes of 1 bit (SimHash, Hadamard) or 3 (DWTA, WTA); slide_compat's
/// codes overlap, and their sum takes 2 K + 2 bits (3 for K = 1); 6 K for cross-polytope;
/// config.bits for DOPH and p-stable. Throws Error (usage) for k or l of 0, too many tables, codes
/// or probes, keys too wide, and a width of cells that is not positive.
[[nodiscard]] SLIDEKIT_API std::uint32_t key_bits(const HashConfig& config);

/// The drawn functions. Immutable; hashing is const and safe from many threads.
class SLIDEKIT_API Family {
public:
    /// Functions for vectors of `dim` coordinates (at most 32768; Hadamard and cross-polytope:
    /// 4096; sparse DWTA: 2^29). Depends on config.seed only. SimHash: each projection has max(1,
    /// round(dim/3)) non-zeros at distinct random coordinates, ascending, signs fair. DWTA: ceil(K
    /// L 8 / dim) random permutations laid end to end and cut into bins of 8. WTA: the first 8
    /// coordinates of a permutation for each code. Sparse DWTA: at least 4 permutations, folded
    /// onto the bins where they are longer than these (kernels::SparseDwtaPlan). DOPH: sets of the
    /// max(1, dim / 8) largest coordinates.
    Family(const HashConfig& config, std::uint32_t dim);
    Family(Family&&) noexcept;
    Family& operator=(Family&&) noexcept;
    ~Family();

    [[nodiscard]] const HashConfig& config() const noexcept;
    [[nodiscard]] std::uint32_t dim() const noexcept;

    /// Floats of scratch that hash_rows and hash_queries need.
    [[nodiscard]] std::size_t scratch_floats() const noexcept;

    /// Keys of all rows, less `centre` where it is not null; see kernels::hash_simhash_rows.
    /// scratch: scratch_floats() floats.
    void hash_rows(kernels::RowMatrix<const float> rows,
                   const float* centre,
                   std::uint32_t* keys,
                   kernels::KeyLayout layout,
                   float* scratch) const noexcept;

    /// Keys of queries: keys[(query * l + table) * probes + p], of which p = 0 is hash_rows' key
    /// and the others have the bits flipped that are least certain, nearest first (order_probes).
    /// Of sparse DWTA: the keys of the coordinates that are not zero, without a centre.
    void hash_queries(kernels::RowMatrix<const float> queries,
                      const float* centre,
                      std::uint32_t* keys,
                      float* scratch) const noexcept;

    /// Keys of a sparse query: keys[table], from the coordinates that it lists alone. Requires: the
    /// family sparse_dwta. scratch grows as needed.
    void hash_sparse(kernels::SparseView query,
                     std::uint32_t* keys,
                     std::vector<std::uint64_t>& scratch) const;

private:
    void hash_nonzeros(kernels::RowMatrix<const float> queries, std::uint32_t* keys) const;

    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace slidekit::lsh
