// DWTA of a sparse vector, the plain body that all levels with SIMD share.
//
// Places lie at random and two of a vector may meet, so that lanes would have to test for conflicts
// at every bid; what takes the time is loads and guesses. Hence no branch on who wins, places asked
// for ahead, and bins joined from the last to the first: the next one that has a code is then known
// without a walk, which would be long where most are empty.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/sparse_dwta.hpp>

#include "scalar-sparse-dwta-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Lays the bids of all coordinates.
inline void lay_bids(const SparseDwtaPlan& plan, SparseView input, std::uint64_t* bids) noexcept {
    constexpr std::size_t kAhead = 16;
    const std::uint32_t bins = plan.k * plan.l;
    const std::size_t permutations = plan.permutations;
    const std::uint32_t* places = plan.places;
    for (std::size_t i = 0; i < input.nnz; ++i) {
        if (i + kAhead < input.nnz)
            __builtin_prefetch(places + std::size_t{input.ids[i + kAhead]} * permutations);
        const std::uint32_t* of_id = places + std::size_t{input.ids[i]} * permutations;
        const std::uint64_t bid = dwta_bid(input.values[i], input.ids[i], 7);
        for (std::size_t p = 0; p < permutations; ++p) {
            const std::uint32_t bin = of_id[p] / 8;
            if (bin >= bins) continue;
            const std::uint64_t here = bid + (7 - of_id[p] % 8);
            const std::uint64_t best = bids[bin];
            bids[bin] = here > best ? here : best;
        }
    }
}

template <class Arch>
void hash_dwta_sparse(const SparseDwtaPlan& plan,
                      SparseView input,
                      std::uint32_t* keys,
                      std::uint64_t* scratch) noexcept {
    const std::uint32_t bins = plan.k * plan.l;
    for (std::uint32_t b = 0; b < bins; ++b) scratch[b] = 0;
    lay_bids(plan, input, scratch);
    // The first bin that has a code follows the last one.
    std::uint64_t next = 0;
    for (std::uint32_t b = 0; b < bins && next == 0; ++b) next = scratch[b];
    if (next == 0) {
        for (std::uint32_t t = 0; t < plan.l; ++t) keys[t] = 0;
        return;
    }
    for (std::uint32_t t = plan.l; t-- > 0;) {
        std::uint32_t key = 0;
        for (std::uint32_t j = plan.k; j-- > 0;) {
            const std::uint32_t bin = t * plan.k + j;
            std::uint64_t bid = scratch[bin];
            if (bid != 0) next = bid;
            for (std::uint32_t a = 0; bid == 0 && a < SparseDwtaPlan::kProbes; ++a)
                bid = scratch[dwta_probe(bin, a, bins)];
            const std::uint32_t code = dwta_code(bid != 0 ? bid : next);
            const std::uint32_t places_up = plan.shift * (plan.k - 1 - j);
            key += places_up < 32 ? code << places_up : 0;
        }
        keys[t] = key;
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
