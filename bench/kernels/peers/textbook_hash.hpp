// Hashes as the textbook has them (and the released SLIDE). DWTA: every permutation runs over the
// vector and keeps the best of each bin. SimHash: one projection after the other, with a list of
// coordinates and one of signs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <slidekit/kernels/hash.hpp>

namespace slidekit::bench::textbook {

/// The permutations of a plan, in the form of that loop: place of each coordinate in each of them.
/// Kept from call to call, as an engine keeps it.
class DwtaPlaces {
public:
    void update(const kernels::DwtaPlan& plan) {
        if (plan.coordinates == of_ && bins_ == std::size_t{plan.k} * plan.l) return;
        of_ = plan.coordinates;
        bins_ = std::size_t{plan.k} * plan.l;
        constexpr std::size_t kBin = kernels::DwtaPlan::kBinSize;
        const std::size_t permutations = (bins_ * kBin + plan.dim - 1) / plan.dim;
        places_.assign(permutations * plan.dim, kNowhere);
        for (std::size_t bin = 0; bin < bins_; ++bin) {
            for (std::size_t c = 0; c < kBin; ++c) {
                const std::size_t coordinate = plan.coordinates[c * plan.bins + bin];
                const std::size_t place = bin * kBin + plan.positions[c * plan.bins + bin];
                places_[place / plan.dim * plan.dim + coordinate] =
                    static_cast<std::uint32_t>(place);
            }
        }
        best_.resize(bins_);
        codes_.resize(bins_);
    }

    void hash(const kernels::DwtaPlan& plan,
              const float* x,
              std::uint32_t* keys,
              std::size_t step) {
        std::fill(best_.begin(), best_.end(), -std::numeric_limits<float>::infinity());
        std::fill(codes_.begin(), codes_.end(), 0U);
        for (std::size_t first = 0; first < places_.size(); first += plan.dim) {
            for (std::size_t c = 0; c < plan.dim; ++c) {
                const std::uint32_t place = places_[first + c];
                if (place == kNowhere) continue;
                const std::uint32_t bin = place / kernels::DwtaPlan::kBinSize;
                if (x[c] > best_[bin]) {
                    best_[bin] = x[c];
                    codes_[bin] = place % kernels::DwtaPlan::kBinSize;
                }
            }
        }
        for (std::size_t t = 0; t < plan.l; ++t) {
            std::uint32_t key = 0;
            for (std::size_t j = 0; j < plan.k; ++j)
                key = (key << plan.shift) + codes_[t * plan.k + j];
            keys[t * step] = key;
        }
    }

private:
    static constexpr std::uint32_t kNowhere =
        0xffffffffU;  // what the last permutation has too much

    const std::uint16_t* of_ = nullptr;
    std::size_t bins_ = 0;
    std::vector<std::uint32_t> places_;
    std::vector<float> best_;
    std::vector<std::uint32_t> codes_;
};

inline DwtaPlaces& dwta_places(const kernels::DwtaPlan& plan) {
    static DwtaPlaces places;
    places.update(plan);
    return places;
}

inline void hash_dwta(const kernels::DwtaPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    dwta_places(plan).hash(plan, x, keys, 1);
}

class SimHashSigns {
public:
    void update(const kernels::SimHashPlan& plan) {
        const std::size_t terms = std::size_t{plan.k} * plan.l * plan.nonzeros;
        if (plan.terms == of_ && indices_.size() == terms) return;
        of_ = plan.terms;
        indices_.resize(terms);
        signs_.resize(terms);
        for (std::size_t i = 0; i < terms; ++i) {
            const bool plus = plan.terms[i] < plan.dim;
            indices_[i] = static_cast<int>(plus ? plan.terms[i] : plan.terms[i] - plan.dim);
            signs_[i] = static_cast<std::int16_t>(plus ? 1 : -1);
        }
    }

    void hash(const kernels::SimHashPlan& plan,
              const float* x,
              std::uint32_t* keys,
              std::size_t step) const {
        for (std::size_t t = 0; t < plan.l; ++t) {
            std::uint32_t key = 0;
            for (std::size_t bit = t * plan.k; bit < (t + 1) * plan.k; ++bit) {
                float sum = 0;
                for (std::size_t j = bit * plan.nonzeros; j < (bit + 1) * plan.nonzeros; ++j) {
                    const float value = x[static_cast<std::size_t>(indices_[j])];
                    sum = signs_[j] >= 0 ? sum + value : sum - value;
                }
                key = key << 1 | (sum > 0 ? 1U : 0U);
            }
            keys[t * step] = key;
        }
    }

private:
    const std::uint16_t* of_ = nullptr;
    std::vector<int> indices_;
    std::vector<std::int16_t> signs_;
};

inline const SimHashSigns& simhash_signs(const kernels::SimHashPlan& plan) {
    static SimHashSigns signs;
    signs.update(plan);
    return signs;
}

inline void hash_simhash(const kernels::SimHashPlan& plan,
                         const float* x,
                         std::uint32_t* keys) noexcept {
    simhash_signs(plan).hash(plan, x, keys, 1);
}

/// What both families do with a batch.
template <class Plan, class Functions>
void hash_rows(Functions& functions,
               const Plan& plan,
               kernels::RowMatrix<const float> rows,
               const float* centre,
               std::uint32_t* keys,
               kernels::KeyLayout layout,
               float* scratch) {
    for (std::size_t r = 0; r < rows.rows; ++r) {
        const float* row = rows.row(r);
        for (std::size_t c = 0; c < rows.dim; ++c)
            scratch[c] = centre == nullptr ? row[c] : row[c] - centre[c];
        functions.hash(plan, scratch, keys + r * layout.row_stride, layout.table_stride);
    }
}

inline void hash_simhash_rows(const kernels::SimHashPlan& plan,
                              kernels::RowMatrix<const float> rows,
                              const float* centre,
                              std::uint32_t* keys,
                              kernels::KeyLayout layout,
                              float* scratch) noexcept {
    hash_rows(simhash_signs(plan), plan, rows, centre, keys, layout, scratch);
}

inline void hash_dwta_rows(const kernels::DwtaPlan& plan,
                           kernels::RowMatrix<const float> rows,
                           const float* centre,
                           std::uint32_t* keys,
                           kernels::KeyLayout layout,
                           float* scratch) noexcept {
    hash_rows(dwta_places(plan), plan, rows, centre, keys, layout, scratch);
}

}  // namespace slidekit::bench::textbook
