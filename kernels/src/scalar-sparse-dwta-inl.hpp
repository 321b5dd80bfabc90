// DWTA of a sparse vector, by the letter of its definition.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/sparse_dwta.hpp>

#include "order-image-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// What wins a bin, as one number whose largest is the winner: by value, then by the lowest id, then
// by the lowest position, which is what remains in the end. Never 0, which is an empty bin: no id
// reaches kMaxDim.
inline std::uint64_t dwta_bid(float value, std::uint32_t id, std::uint32_t position) noexcept {
    return std::uint64_t{order_image(value)} << 32 |
           std::uint64_t{SparseDwtaPlan::kMaxDim - id} << 3 | (7U - position);
}
inline std::uint32_t dwta_code(std::uint64_t bid) noexcept {
    return 7U - static_cast<std::uint32_t>(bid & 7);
}

inline std::uint64_t borrowed_bid(const std::uint64_t* bids,
                                  std::uint32_t bin,
                                  std::uint32_t bins) noexcept {
    for (std::uint32_t a = 0; a < SparseDwtaPlan::kProbes; ++a) {
        const std::uint64_t bid = bids[dwta_probe(bin, a, bins)];
        if (bid != 0) return bid;
    }
    std::uint32_t next = bin;
    do {
        next = next + 1 < bins ? next + 1 : 0;
    } while (bids[next] == 0 && next != bin);
    return bids[next];
}

inline void hash_dwta_sparse(const SparseDwtaPlan& plan,
                             SparseView input,
                             std::uint32_t* keys,
                             std::uint64_t* scratch) noexcept {
    const std::uint32_t bins = plan.k * plan.l;
    for (std::uint32_t b = 0; b < bins; ++b) scratch[b] = 0;
    for (std::size_t i = 0; i < input.nnz; ++i) {
        for (std::size_t p = 0; p < plan.permutations; ++p) {
            const std::uint32_t place =
                plan.places[std::size_t{input.ids[i]} * plan.permutations + p];
            if (place / 8 >= bins) continue;
            const std::uint64_t bid = dwta_bid(input.values[i], input.ids[i], place % 8);
            if (bid > scratch[place / 8]) scratch[place / 8] = bid;
        }
    }
    for (std::uint32_t t = 0; t < plan.l; ++t) {
        std::uint32_t key = 0;
        for (std::uint32_t bin = t * plan.k; bin < (t + 1) * plan.k; ++bin) {
            const std::uint64_t bid =
                scratch[bin] != 0 ? scratch[bin] : borrowed_bid(scratch, bin, bins);
            key = (key << plan.shift) + (bid == 0 ? 0 : dwta_code(bid));
        }
        keys[t] = key;
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
