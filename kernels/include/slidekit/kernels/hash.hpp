// Locality-sensitive hashes of dense vectors: SimHash and DWTA, one vector or a batch of rows.
//
// A plan describes L tables of K codes; hashing a vector gives one bucket key a table. Both forms,
// and all levels, agree bit for bit with the scalar oracle: sums run in the plan's order, without
// FMA.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// Where the key of (row, table) goes: keys[row * row_stride + table * table_stride].
struct KeyLayout {
    std::size_t row_stride = 0;
    std::size_t table_stride = 1;
};

/// SimHash (Charikar 2002) with sparse projections of entries {+1, 0, -1}, about dim/3 non-zeros
/// each (Achlioptas 2003; SLIDE section 4.2): code = 1 if the projection is > 0, else 0 (so 0, -0
/// and NaN give 0). Key of a table: its K codes, the first one most significant.
struct SimHashPlan {
    std::uint32_t dim = 0;
    std::uint32_t k = 0;         // codes a table, 1..24
    std::uint32_t l = 0;         // tables
    std::uint32_t nonzeros = 0;  // of each projection
    /// terms[bit * nonzeros + j]: coordinate c of the j-th non-zero, as c for +1 and dim + c for
    /// -1.
    const std::uint16_t* terms = nullptr;
    /// Optional: the terms again, as expand_simhash writes them, simhash_coefficients(dim, k * l)
    /// of them. hash_simhash is several times as fast with them, for up to 127 non-zeros and 512
    /// coordinates.
    ///
    /// By 16 projections, and within these by 4 coordinates: the coefficient (+1, 0, -1) of
    /// coordinate c in projection b stands at ((b / 16 * quads + c / 4) * 16 + b % 16) * 4 + c % 4.
    /// The last of the quads, dim / 4 rounded up and one more, begins with minus the sum of the
    /// others. The rest is 0.
    const std::int8_t* coefficients = nullptr;
};

/// Bytes that SimHashPlan::coefficients takes.
[[nodiscard]] constexpr std::size_t simhash_coefficients(std::size_t dim,
                                                         std::size_t bits) noexcept {
    const std::size_t quads = dim / 4 + (dim % 4 == 0 ? 1U : 2U);
    return (bits / 16 + (bits % 16 == 0 ? 0U : 1U)) * quads * 64;
}

/// DWTA (Chen and Shrivastava 2018), dense input, bins of 8: code = position within its bin of the
/// largest value; of equal values (ReLU zeros!) that of the lowest coordinate wins; NaN loses to
/// all. Key of a table: sum over its codes of code << (shift * (K - 1 - j)); shift 3 concatenates,
/// shift 2 is the overlapping packing of the released SLIDE.
///
/// DWTA cuts permutations into bins: ceil(8 K L / dim) of them serve all codes. A plan whose bins
/// are the first 8 coordinates of a permutation each makes the same kernels compute WTA (Yagnik,
/// Strelow, Ross and Lin 2011, with a window of 8).
struct DwtaPlan {
    static constexpr std::uint32_t kBinSize = 8;
    std::uint32_t dim = 0;
    std::uint32_t k = 0;
    std::uint32_t l = 0;
    std::uint32_t shift = 3;
    /// For bin b (= table * k + j) its 8 candidates by ascending coordinate, candidate-major:
    /// coordinates[c * bins + b] and positions[c * bins + b], bins = k * l rounded up to a multiple
    /// of 16.
    std::uint32_t bins = 0;
    const std::uint16_t* coordinates = nullptr;
    const std::uint8_t* positions = nullptr;
};

/// Floats of scratch that hash_*_rows need for vectors of this dim.
[[nodiscard]] constexpr std::size_t hash_scratch_floats(std::size_t dim) noexcept {
    return 2 * dim * 16 + 16;
}

/// Keys of one vector of plan.dim elements: keys[t], t < plan.l.
SLIDEKIT_API void hash_simhash(const SimHashPlan& plan,
                               const float* x,
                               std::uint32_t* keys) noexcept;
SLIDEKIT_API void hash_dwta(const DwtaPlan& plan, const float* x, std::uint32_t* keys) noexcept;

/// Keys of all rows, each less `centre` (plan.dim elements; null: nothing taken off), in one
/// rounding per coordinate. scratch: hash_scratch_floats(plan.dim) floats. Requires: rows.dim ==
/// plan.dim.
SLIDEKIT_API void hash_simhash_rows(const SimHashPlan& plan,
                                    RowMatrix<const float> rows,
                                    const float* centre,
                                    std::uint32_t* keys,
                                    KeyLayout layout,
                                    float* scratch) noexcept;
SLIDEKIT_API void hash_dwta_rows(const DwtaPlan& plan,
                                 RowMatrix<const float> rows,
                                 const float* centre,
                                 std::uint32_t* keys,
                                 KeyLayout layout,
                                 float* scratch) noexcept;

}  // namespace slidekit::kernels
