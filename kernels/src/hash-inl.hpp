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

#include "dwta-rows-inl.hpp"
#include "hash-one-inl.hpp"
#include "lanes-inl.hpp"
#include "row-group-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

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
        return Floats<Arch>::load_aligned(
            reinterpret_cast<const float*>(bytes + (offset & kOffset)));
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

// By whole values, for the rows from `first` on, `count` of them: whatever they are.
template <class Arch>
void hash_dwta_exactly(const DwtaPlan& plan,
                       RowMatrix<const float> all,
                       std::size_t from,
                       std::size_t count,
                       const float* centre,
                       std::uint32_t* keys,
                       KeyLayout layout,
                       std::int32_t* table) noexcept {
    using Floats = Floats<Arch>;
    using Ints = Ints<Arch>;
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    constexpr std::size_t kBlock = 16;  // plan.bins is a multiple of it
    constexpr std::size_t kCandidates = DwtaPlan::kBinSize;
    const RowMatrix<const float> rows{all.data, from + count, all.dim, all.stride};
    const std::size_t bins = std::size_t{plan.k} * plan.l;

    for (std::size_t first = from; first < rows.rows; first += kCount) {
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

template <class Arch>
void hash_dwta_rows(const DwtaPlan& plan,
                    RowMatrix<const float> rows,
                    const float* centre,
                    std::uint32_t* keys,
                    KeyLayout layout,
                    float* scratch) noexcept {
    void* table = aligned_scratch(scratch);
#ifdef __AVX2__
    constexpr std::size_t kRows = WordLanes<Arch>::kCount;
    for (std::size_t first = 0; first < rows.rows; first += kRows) {
        const std::size_t count = rows.rows - first < kRows ? rows.rows - first : kRows;
        auto* quanta = static_cast<std::uint16_t*>(table);
        if (hash_dwta_quantised<Arch>(plan, rows, first, count, centre, keys, layout, quanta))
            continue;
        auto* values = static_cast<std::int32_t*>(table);
        hash_dwta_exactly<Arch>(plan, rows, first, count, centre, keys, layout, values);
    }
#else
    auto* values = static_cast<std::int32_t*>(table);
    hash_dwta_exactly<Arch>(plan, rows, 0, rows.rows, centre, keys, layout, values);
#endif
}

}  // namespace
}  // namespace slidekit::kernels::detail
