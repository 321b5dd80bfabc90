// Exact projections onto many directions at once, as one blocked dense product, and what is made of
// them: the order of a query's probes, and cross-polytope codes.
//
// Keys of SimHash come from a kernel that quantises projections; how uncertain a bit is only the
// projection itself tells, and only of queries is it asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <slidekit/kernels/views.hpp>

namespace slidekit::lsh {

inline constexpr std::uint32_t kPolytopeBits = 6;  // of a code: one of 32 coordinates, and its sign
inline constexpr std::uint32_t kPolytopeWidth = 32;

class Directions {
public:
    /// Rows that project() takes at once.
    static constexpr std::size_t kBlock = 32;
    /// Floats of the scratch past the last projection.
    static constexpr std::size_t kReadAhead = 16;

    Directions() = default;
    /// `count` directions of `dim` coordinates, all zero.
    Directions(std::uint32_t dim, std::size_t count);
    [[nodiscard]] bool empty() const noexcept { return values_.empty(); }
    /// Coordinate c of direction b.
    float& at(std::size_t c, std::size_t b) noexcept { return values_[c * stride_ + b]; }

    /// Floats of scratch for project().
    [[nodiscard]] std::size_t scratch_floats() const noexcept;
    /// Projections of up to kBlock rows, less `centre` where it is not null, in the scratch. Those
    /// of a row do not depend on its neighbours.
    [[nodiscard]] kernels::RowMatrix<float> project(kernels::RowMatrix<const float> rows,
                                                    const float* centre,
                                                    float* scratch) const noexcept;

private:
    std::uint32_t dim_ = 0;
    std::size_t count_ = 0;
    std::size_t stride_ = 0;
    std::vector<float> values_;
};

/// Where else a query looks. keys[t * probes] is the key of k bits of table t, and bit j, the first
/// being the highest, the sign of projections[j * l + t]. Writes the other keys of each table:
/// those with the sets of bits flipped whose squared projections add up to least, nearest first
/// (Lv, Josephson, Wang, Charikar and Li 2007, section 4.3). Squares are cut to 18 bits. Requires:
/// probes <= kMaxProbes, at most 2^k; Directions::kReadAhead floats that can be read past the last.
void order_probes(const float* projections,
                  std::uint32_t k,
                  std::uint32_t l,
                  std::uint32_t probes,
                  std::uint32_t* keys) noexcept;

/// Place and sign of the largest magnitude among kPolytopeWidth projections (Andoni, Indyk,
/// Laarhoven, Razenshteyn and Schmidt 2015): 2 * place + (it is above 0). Magnitudes that agree in
/// their first 18 bits of the mantissa are a tie, which the higher place wins.
[[nodiscard]] std::uint32_t polytope_code(const float* projections) noexcept;

}  // namespace slidekit::lsh
