// How likely hash tables are to give a neuron: the laws that estimators divide by.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace slidekit::lsh {

/// Probability that one SimHash code of two vectors agrees: 1 - angle / pi (Charikar 2002).
[[nodiscard]] inline double simhash_collision(double cosine) noexcept {
    return 1 - std::acos(std::fmax(-1, std::fmin(1, cosine))) / std::numbers::pi;
}

/// Probability that a vector at this cosine of the query is in one of its L buckets of K SimHash
/// codes: 1 - (1 - p^K)^L (SLIDE [MLSys 2020], section 2). Bucket caps are left out of account.
[[nodiscard]] inline double retrieval_probability(double cosine,
                                                  std::uint32_t k,
                                                  std::uint32_t l) noexcept {
    // In this form small probabilities keep their digits.
    return -std::expm1(l * std::log1p(-std::pow(simhash_collision(cosine), k)));
}

}  // namespace slidekit::lsh
