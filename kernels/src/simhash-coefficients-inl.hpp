// The coefficients of sparse projections, written out: one plain body for all levels, since it runs
// once a plan.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/hash.hpp>

namespace slidekit::kernels::detail {
namespace {

inline std::size_t coefficient_at(std::size_t dim, std::size_t c, std::size_t bit) noexcept {
    const std::size_t quads = (dim + 3) / 4 + 1;
    return ((bit / 16 * quads + c / 4) * 16 + bit % 16) * 4 + c % 4;
}

inline void expand_terms(const SimHashPlan& plan, std::int8_t* coefficients) noexcept {
    const std::size_t bits = std::size_t{plan.k} * plan.l;
    const std::size_t minus_sum = (std::size_t{plan.dim} + 3) / 4 * 4;
    __builtin_memset(coefficients, 0, simhash_coefficients(plan.dim, bits));
    const auto add = [&](std::size_t c, std::size_t bit, int sign) {
        std::int8_t& to = coefficients[coefficient_at(plan.dim, c, bit)];
        to = static_cast<std::int8_t>(to + sign);
    };
    for (std::size_t bit = 0; bit < bits; ++bit) {
        for (std::size_t j = 0; j < plan.nonzeros; ++j) {
            const std::size_t c = plan.terms[bit * plan.nonzeros + j];
            const bool negative = c >= plan.dim;
            add(negative ? c - plan.dim : c, bit, negative ? -1 : 1);
            add(minus_sum, bit, negative ? 1 : -1);
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
