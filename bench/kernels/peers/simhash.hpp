// SimHash as the textbook has it, with the signatures of the kernels.
//
// Structured SimHash has two rivals: its own rounds in plain loops, here, and the drawn projections
// that it stands in for, which are hash_simhash's.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <slidekit/kernels/hadamard.hpp>
#include <slidekit/kernels/hash.hpp>

namespace slidekit::bench::textbook {

using kernels::HadamardPlan;
using kernels::KeyLayout;
using kernels::RowMatrix;
using kernels::SimHashPlan;

// One projection after the other, the sign looked up beside the coordinate, as in the released
// SLIDE.
inline void project_simhash(const SimHashPlan& plan, const float* x, float* projections) noexcept {
    for (std::size_t bit = 0; bit < std::size_t{plan.k} * plan.l; ++bit) {
        float sum = 0;
        for (std::size_t j = 0; j < plan.nonzeros; ++j) {
            const std::size_t term = plan.terms[bit * plan.nonzeros + j];
            if (term < plan.dim) {
                sum += x[term];
            } else {
                sum -= x[term - plan.dim];
            }
        }
        projections[bit] = sum;
    }
}

inline void hash_projections(const float* projections,
                             const float* centre,
                             std::uint32_t k,
                             std::uint32_t l,
                             std::uint32_t* keys) noexcept {
    for (std::size_t t = 0; t < l; ++t) {
        std::uint32_t key = 0;
        for (std::size_t bit = t * k; bit < (t + 1) * k; ++bit) {
            const float zero = centre == nullptr ? 0 : centre[bit];
            key = key << 1 | (projections[bit] > zero ? 1U : 0U);
        }
        keys[t] = key;
    }
}

inline void hash_simhash(const SimHashPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    std::vector<float> projections(std::size_t{plan.k} * plan.l);
    textbook::project_simhash(plan, x, projections.data());
    textbook::hash_projections(projections.data(), nullptr, plan.k, plan.l, keys);
}

// The fast Walsh-Hadamard transform in three loops.
inline void hadamard_round(const std::uint32_t* signs, std::vector<float>& y) noexcept {
    for (std::size_t c = 0; c < y.size(); ++c) {
        y[c] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(y[c]) ^ signs[c]);
    }
    for (std::size_t step = 1; step < y.size(); step *= 2) {
        for (std::size_t pair = 0; pair < y.size(); pair += 2 * step) {
            for (std::size_t c = pair; c < pair + step; ++c) {
                const float a = y[c];
                const float b = y[c + step];
                y[c] = a + b;
                y[c + step] = a - b;
            }
        }
    }
}

inline void hash_hadamard(const HadamardPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    std::vector<float> shared(x, x + plan.dim);
    shared.resize(plan.padded);
    hadamard_round(plan.signs, shared);
    hadamard_round(plan.signs + plan.padded, shared);
    std::vector<float> projections;
    for (std::size_t bit = 0; bit < std::size_t{plan.k} * plan.l; bit += plan.padded) {
        std::vector<float> block = shared;
        hadamard_round(plan.signs + 2 * std::size_t{plan.padded} + bit, block);
        projections.insert(projections.end(), block.begin(), block.end());
    }
    textbook::hash_projections(projections.data(), nullptr, plan.k, plan.l, keys);
}

// The batches: row by row.
template <class Plan, class One>
void hash_each_row(const Plan& plan,
                   RowMatrix<const float> rows,
                   const float* centre,
                   std::uint32_t* keys,
                   KeyLayout layout,
                   One one) {
    std::vector<float> x(rows.dim);
    std::vector<std::uint32_t> of_row(plan.l);
    for (std::size_t r = 0; r < rows.rows; ++r) {
        for (std::size_t c = 0; c < rows.dim; ++c) {
            x[c] = rows.row(r)[c] - (centre == nullptr ? 0 : centre[c]);
        }
        one(plan, x.data(), of_row.data());
        for (std::size_t t = 0; t < plan.l; ++t) {
            keys[r * layout.row_stride + t * layout.table_stride] = of_row[t];
        }
    }
}

inline void hash_simhash_rows(const SimHashPlan& plan,
                              RowMatrix<const float> rows,
                              const float* centre,
                              std::uint32_t* keys,
                              KeyLayout layout,
                              float* /*scratch*/) noexcept {
    hash_each_row(plan, rows, centre, keys, layout, textbook::hash_simhash);
}

inline void hash_hadamard_rows(const HadamardPlan& plan,
                               RowMatrix<const float> rows,
                               const float* centre,
                               std::uint32_t* keys,
                               KeyLayout layout,
                               float* /*scratch*/) noexcept {
    hash_each_row(plan, rows, centre, keys, layout, textbook::hash_hadamard);
}

}  // namespace slidekit::bench::textbook
