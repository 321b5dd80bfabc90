// SimHash and DWTA of batches of rows.
//
// Lane = row: as many rows as there are lanes are transposed into the scratch table, so that one
// load fetches a coordinate of all of them, every step of the scalar oracle happens in all lanes at
// once and in the oracle's order, and keys need no horizontal step. What decides the speed is loads
// from L1: the table of 128 coordinates takes 8 KB of it, or 16 KB with both signs.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/hash.hpp>

#include "hash-one-inl.hpp"
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

// Sums of kAtOnce projections, each in the order of its terms. One sum alone would wait for every
// addition.
template <class Arch, std::size_t kAtOnce>
[[gnu::always_inline]] inline void project(const float* table,
                                           const std::uint16_t* terms,
                                           std::size_t nonzeros,
                                           Floats<Arch> (&sums)[kAtOnce]) noexcept {
    constexpr unsigned kShift = std::countr_zero(Lanes<Arch>::kCount * sizeof(float));
    constexpr std::uint64_t kOffset = std::uint64_t{0xffff} << kShift;
    const char* const bytes = reinterpret_cast<const char*>(table);
    const auto at = [=](std::uint64_t offset) {
        return Floats<Arch>::load_aligned(reinterpret_cast<const float*>(bytes + (offset & kOffset)));
    };
    for (Floats<Arch>& sum : sums) sum = Floats<Arch>(0.0F);
    std::size_t j = 0;
    for (; j + 4 <= nonzeros; j += 4) {
        for (std::size_t p = 0; p < kAtOnce; ++p) {
            std::uint64_t four = 0;
            __builtin_memcpy(&four, terms + p * nonzeros + j, sizeof(four));
            sums[p] += at(four << kShift);
            sums[p] += at(four >> (16 - kShift));
            sums[p] += at(four >> (32 - kShift));
            sums[p] += at(four >> (48 - kShift));
        }
    }
    for (; j < nonzeros; ++j) {
        for (std::size_t p = 0; p < kAtOnce; ++p) {
            const std::size_t c = terms[p * nonzeros + j];
            sums[p] += Floats<Arch>::load_aligned(table + c * Lanes<Arch>::kCount);
        }
    }
}

template <class Arch>
void hash_simhash_rows(const SimHashPlan& plan,
                       RowMatrix<const float> rows,
                       const float* centre,
                       std::uint32_t* keys,
                       KeyLayout layout,
                       float* scratch) noexcept {
    using Floats = Floats<Arch>;
    using Ints = Ints<Arch>;
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    constexpr std::size_t kAtOnce = 8;
    // Both signs side by side: a term is one addition wherever it points.
    float* table = aligned_scratch(scratch);
    float* negated = table + plan.dim * kCount;
    const std::size_t bits = std::size_t{plan.k} * plan.l;

    for (std::size_t first = 0; first < rows.rows; first += kCount) {
        transpose_group<Arch>(rows, first, centre, [=](std::size_t c, Floats x) {
            x.store_aligned(table + c * kCount);
            (-x).store_aligned(negated + c * kCount);
        });
        const GroupKeys<Arch> out = group_keys<Arch>(keys, layout, first, rows.rows);
        Ints key(0);
        std::size_t code = 0;
        std::size_t t = 0;
        const auto append = [&](Floats sum) {
            // The bit of a 1 where the sum is positive, moved as a float and added as a whole
            // number.
            const Floats one = xsimd::bitwise_cast<Floats>(Ints(1));
            key = (key + key) +
                  xsimd::bitwise_cast<Ints>(xsimd::select(sum > Floats(0.0F), one, Floats(0.0F)));
            if (++code < plan.k) return;
            out.store(t++, key);
            key = Ints(0);
            code = 0;
        };
        std::size_t bit = 0;
        for (; bit + kAtOnce <= bits; bit += kAtOnce) {
            Floats sums[kAtOnce];
            project<Arch>(table, plan.terms + bit * plan.nonzeros, plan.nonzeros, sums);
            for (const Floats& sum : sums) append(sum);
        }
        for (; bit < bits; ++bit) {
            Floats sum[1];
            project<Arch>(table, plan.terms + bit * plan.nonzeros, plan.nonzeros, sum);
            append(sum[0]);
        }
    }
}

template <class Arch>
void hash_dwta_rows(const DwtaPlan& plan,
                    RowMatrix<const float> rows,
                    const float* centre,
                    std::uint32_t* keys,
                    KeyLayout layout,
                    float* scratch) noexcept {
    using Floats = Floats<Arch>;
    using Ints = Ints<Arch>;
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    constexpr std::size_t kBlock = 16;  // plan.bins is a multiple of it
    constexpr std::size_t kCandidates = DwtaPlan::kBinSize;
    std::int32_t* table = reinterpret_cast<std::int32_t*>(aligned_scratch(scratch));
    const std::size_t bins = std::size_t{plan.k} * plan.l;

    for (std::size_t first = 0; first < rows.rows; first += kCount) {
        transpose_group<Arch>(rows, first, centre, [=](std::size_t c, Floats x) {
            order_image<Arch>(x).store_aligned(table + c * kCount);
        });
        const GroupKeys<Arch> out = group_keys<Arch>(keys, layout, first, rows.rows);
        Ints key(0);
        std::size_t code_of_key = 0;
        std::size_t t = 0;
        for (std::size_t block = 0; block < bins; block += kBlock) {
            // Positions as 32-bit numbers, which a masked move can broadcast as it loads.
            alignas(64) std::int32_t positions[kCandidates][kBlock];
            for (std::size_t c = 0; c < kCandidates; ++c) {
                for (std::size_t b = 0; b < kBlock; b += kCount) {
                    const Ints wide =
                        Lanes<Arch>::widen(plan.positions + c * plan.bins + block + b);
                    wide.store_aligned(positions[c] + b);
                }
            }
            const std::uint16_t* coordinates = plan.coordinates + block;
            const std::size_t in_block = bins - block < kBlock ? bins - block : kBlock;
            for (std::size_t b = 0; b < in_block; ++b) {
                Ints best = Ints::load_aligned(table + coordinates[b] * kCount);
                Ints code(positions[0][b]);
                for (std::size_t c = 1; c < kCandidates; ++c) {
                    const Ints x =
                        Ints::load_aligned(table + coordinates[c * plan.bins + b] * kCount);
                    code = xsimd::select(x > best, Ints(positions[c][b]), code);
                    best = xsimd::max(best, x);
                }
                key = (key << static_cast<std::int32_t>(plan.shift)) + code;
                if (++code_of_key < plan.k) continue;
                out.store(t++, key);
                key = Ints(0);
                code_of_key = 0;
            }
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
