// Selection sampling (Fan, Muller and Rezucha 1962; Knuth, TAOCP 2, Algorithm 3.4.2S): `keep` of
// `of` items, every subset equally likely, in one pass that keeps their order.
//
// Where the number of items is known beforehand this gives what a reservoir (Vitter 1985, Algorithm
// R) gives, without mixing the order up and without a reservoir.
#pragma once

#include <cstdint>

#include <slidekit/system/random.hpp>

namespace slidekit::lsh {

class Selection {
public:
    /// Requires: keep <= of.
    constexpr Selection(std::uint32_t keep, std::uint32_t of) noexcept : keep_(keep), left_(of) {}

    /// Whether to keep the next item. Requires: fewer than `of` calls before.
    constexpr bool take(system::Stream& stream) noexcept {
        const bool taken = stream.below(left_--) < keep_;
        keep_ -= taken ? 1U : 0U;
        return taken;
    }

private:
    std::uint32_t keep_;
    std::uint32_t left_;
};

}  // namespace slidekit::lsh
