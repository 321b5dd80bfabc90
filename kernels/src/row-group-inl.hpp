// Groups of rows for the hashes that give each row a lane: brought in by transposition, keys put
// out.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/hash.hpp>

#include "lanes-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

inline float* aligned_scratch(float* scratch) noexcept {
    const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(scratch);
    return scratch + ((64 - at % 64) % 64) / sizeof(float);
}

// Hands coordinate c of the group of rows from `first` on, less the centre, to store(c, lanes).
// Lanes past the last row repeat it.
template <class Arch, class Store>
void transpose_group(RowMatrix<const float> rows,
                     std::size_t first,
                     const float* centre,
                     Store store) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    const float* row[kCount];
    for (std::size_t i = 0; i < kCount; ++i) {
        row[i] = rows.row(first + i < rows.rows ? first + i : rows.rows - 1);
    }
    // The next group, which may come from DRAM, arrives while this one is hashed: 80 ns a row for
    // DWTA, as from L2, where the processor's own prefetch gives 160.
    const std::size_t to_next = first + 2 * kCount <= rows.rows ? kCount * rows.stride : 0;
    for (std::size_t c = 0; c < rows.dim; c += kCount) {
        const std::size_t n = rows.dim - c < kCount ? rows.dim - c : kCount;
        typename Floats<Arch>::register_type lanes[kCount];
        for (std::size_t i = 0; i < kCount; ++i) lanes[i] = Lanes<Arch>::load_first(row[i] + c, n);
        for (std::size_t i = 0; i < kCount; ++i) __builtin_prefetch(row[i] + to_next + c);
        if (centre != nullptr) {
            const Floats<Arch> shift = Lanes<Arch>::load_first(centre + c, n);
            for (std::size_t i = 0; i < kCount; ++i) lanes[i] = Floats<Arch>(lanes[i]) - shift;
        }
        Lanes<Arch>::transpose(lanes);
        for (std::size_t j = 0; j < n; ++j) store(c + j, Floats<Arch>(lanes[j]));
    }
}

// Where the keys of a group of rows go, one table after the other.
template <class Arch>
struct GroupKeys {
    std::uint32_t* keys;  // of the group's first row
    KeyLayout layout;
    std::size_t rows;

    void store(std::size_t table, Ints<Arch> key) const noexcept {
        constexpr std::size_t kCount = Lanes<Arch>::kCount;
        alignas(64) std::int32_t lanes[kCount];
        std::uint32_t* out = keys + table * layout.table_stride;
        key.store_aligned(lanes);
        if (layout.row_stride == 1 && rows == kCount) {
            __builtin_memcpy(out, lanes, sizeof(lanes));
        } else {
            for (std::size_t i = 0; i < rows; ++i) {
                out[i * layout.row_stride] = static_cast<std::uint32_t>(lanes[i]);
            }
        }
    }
};

template <class Arch>
GroupKeys<Arch> group_keys(std::uint32_t* keys,
                           KeyLayout layout,
                           std::size_t first,
                           std::size_t rows) noexcept {
    const std::size_t left = rows - first;
    return {keys + first * layout.row_stride,
            layout,
            left < Lanes<Arch>::kCount ? left : Lanes<Arch>::kCount};
}

}  // namespace
}  // namespace slidekit::kernels::detail
