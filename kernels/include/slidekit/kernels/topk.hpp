// Selection: the k best of a list, and the few of a block that pass a threshold.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// Writes the positions of the k largest scores in ascending order of position; returns min(k,
/// count).
///
/// Of equal scores the lower positions are taken. NaN ranks below everything, -0 equals 0.
/// Requires: positions has room for min(k, count) entries. O(count) with a small factor.
SLIDEKIT_API std::size_t select_top_k(const float* scores,
                                      std::size_t count,
                                      std::size_t k,
                                      std::uint32_t* positions) noexcept;

/// An element of a block that passed its column's threshold.
struct Hit {
    std::uint32_t row = 0;
    std::uint32_t column = 0;
    float value = 0;
};

/// Lists the elements with block[r][c] > threshold[c], by ascending r then c; returns how many.
///
/// Requires: hits has room for block.rows * block.dim entries.
SLIDEKIT_API std::size_t find_above_columns(RowMatrix<const float> block,
                                            const float* threshold,
                                            Hit* hits) noexcept;

}  // namespace slidekit::kernels
