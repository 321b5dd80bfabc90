// DWTA as textbooks have it, and as the released SLIDE runs it: permutations one after the other,
// over the whole vector, each coordinate offered to its bin.
//
// Functions of the kernels' own signatures. What the released engine holds for its lifetime, the
// place of each coordinate in each permutation, is made from the plan on the first call and kept a
// plan: making it is not part of what is measured.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/sparse_dwta.hpp>

namespace slidekit::bench::textbook {

/// Place of each coordinate in each permutation, coordinate after coordinate: 8 * bin + position.
/// Bins that do not come from permutations (WTA) are gathered into passes of distinct coordinates.
struct DwtaPlaces {
    static constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();
    std::vector<std::vector<std::uint32_t>> passes;

    explicit DwtaPlaces(const kernels::DwtaPlan& plan) {
        constexpr std::size_t kBin = kernels::DwtaPlan::kBinSize;
        for (std::uint32_t bin = 0; bin < plan.k * plan.l; ++bin) {
            for (std::size_t c = 0; c < kBin; ++c) {
                const std::size_t at = c * plan.bins + bin;
                const std::uint16_t coordinate = plan.coordinates[at];
                if (passes.empty() || passes.back()[coordinate] != kNowhere)
                    passes.emplace_back(plan.dim, kNowhere);
                passes.back()[coordinate] =
                    static_cast<std::uint32_t>(kBin * bin + plan.positions[at]);
            }
        }
    }
};

inline const DwtaPlaces& places_of(const kernels::DwtaPlan& plan) {
    static thread_local const std::uint16_t* of = nullptr;
    static thread_local DwtaPlaces places{kernels::DwtaPlan{}};
    if (of != plan.coordinates) places = DwtaPlaces(plan);
    of = plan.coordinates;
    return places;
}

template <class Plan>
void join_codes(const Plan& plan, const std::vector<std::uint32_t>& codes, std::uint32_t* keys) {
    for (std::size_t t = 0; t < plan.l; ++t) {
        std::uint32_t key = 0;
        for (std::size_t j = 0; j < plan.k; ++j) key = (key << plan.shift) + codes[t * plan.k + j];
        keys[t] = key;
    }
}

/// The first of equals stays, which is the one of the lowest coordinate.
inline void hash_dwta(const kernels::DwtaPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    const std::size_t bins = std::size_t{plan.k} * plan.l;
    std::vector<float> best(bins, -std::numeric_limits<float>::infinity());
    std::vector<std::uint32_t> codes(bins);
    for (const std::vector<std::uint32_t>& places : places_of(plan).passes) {
        for (std::size_t c = 0; c < plan.dim; ++c) {
            const std::uint32_t place = places[c];
            if (place == DwtaPlaces::kNowhere) continue;
            if (x[c] > best[place / 8]) {
                best[place / 8] = x[c];
                codes[place / 8] = place % 8;
            }
        }
    }
    join_codes(plan, codes, keys);
}

inline void hash_dwta_rows(const kernels::DwtaPlan& plan,
                           kernels::RowMatrix<const float> rows,
                           const float* centre,
                           std::uint32_t* keys,
                           kernels::KeyLayout layout,
                           float* /*scratch*/) noexcept {
    std::vector<float> x(plan.dim);
    std::vector<std::uint32_t> of_row(plan.l);
    for (std::size_t r = 0; r < rows.rows; ++r) {
        for (std::size_t c = 0; c < plan.dim; ++c)
            x[c] = rows.row(r)[c] - (centre == nullptr ? 0.0F : centre[c]);
        textbook::hash_dwta(plan, x.data(), of_row.data());
        for (std::size_t t = 0; t < plan.l; ++t)
            keys[r * layout.row_stride + t * layout.table_stride] = of_row[t];
    }
}

/// Not the released engine's: the kernel's own rules for empty bins, loop by loop, and so "plain".
/// Repeats of an id and ids out of order may end otherwise than in the kernel.
inline void hash_dwta_sparse(const kernels::SparseDwtaPlan& plan,
                             kernels::SparseView input,
                             std::uint32_t* keys,
                             std::uint64_t* /*scratch*/) noexcept {
    constexpr std::uint32_t kEmpty = std::numeric_limits<std::uint32_t>::max();
    const std::uint32_t bins = plan.k * plan.l;
    std::vector<float> best(bins, -std::numeric_limits<float>::infinity());
    std::vector<std::uint32_t> codes(bins, kEmpty);
    for (std::size_t p = 0; p < plan.permutations; ++p) {
        for (std::size_t i = 0; i < input.nnz; ++i) {
            const std::size_t at = std::size_t{input.ids[i]} * plan.permutations + p;
            const std::uint32_t place = plan.places[at];
            if (place / 8 < bins && input.values[i] > best[place / 8]) {
                best[place / 8] = input.values[i];
                codes[place / 8] = place % 8;
            }
        }
    }
    std::vector<std::uint32_t> dense = codes;
    for (std::uint32_t bin = 0; bin < bins; ++bin) {
        std::uint32_t from = bin;
        for (std::uint32_t a = 0; codes[from] == kEmpty && a < kernels::SparseDwtaPlan::kProbes;
             ++a)
            from = kernels::dwta_probe(bin, a, bins);
        if (codes[from] == kEmpty) from = bin;
        for (std::uint32_t n = 0; codes[from] == kEmpty && n < bins; ++n) from = (from + 1) % bins;
        dense[bin] = codes[from] == kEmpty ? 0 : codes[from];
    }
    join_codes(plan, dense, keys);
}

}  // namespace slidekit::bench::textbook
