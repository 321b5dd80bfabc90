// Plans of every hash from sizes alone, for callers that know a kernel only by its entry.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hash_functions.hpp"

namespace slidekit::test {

/// FunctionsOf<Plan>::draw(draw, sizes...) owns what a plan of these sizes points to.
template <class Plan>
struct FunctionsOf;

inline std::uint32_t u32(std::size_t n) { return static_cast<std::uint32_t>(n); }

template <>
struct FunctionsOf<kernels::SimHashPlan> {
    static SimHashFunctions draw(Draw& draw, std::size_t dim, std::size_t k, std::size_t l) {
        return {u32(dim), u32(k), u32(l), u32((dim + 2) / 3), draw.bits()};
    }
};

template <>
struct FunctionsOf<kernels::DwtaPlan> {
    static DwtaFunctions draw(Draw& draw, std::size_t dim, std::size_t k, std::size_t l) {
        const std::uint32_t shift = draw.below(2) == 0 ? 2 : 3;
        return {u32(dim), u32(k), u32(l), shift, draw.bits()};
    }
};

}  // namespace slidekit::test
