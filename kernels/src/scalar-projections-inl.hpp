// The plainest statement of what keeps projections up to date.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/projections.hpp>

#include "simhash-coefficients-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

inline void expand_simhash(const SimHashPlan& plan, std::int8_t* coefficients) noexcept {
    expand_terms(plan, coefficients);
}

inline void project_simhash(const SimHashPlan& plan, const float* x, float* projections) noexcept {
    for (std::size_t bit = 0; bit < std::size_t{plan.k} * plan.l; ++bit) {
        float sum = 0;
        for (std::size_t j = 0; j < plan.nonzeros; ++j) {
            const std::size_t c = plan.terms[bit * plan.nonzeros + j];
            sum += c < plan.dim ? x[c] : -x[c - plan.dim];
        }
        projections[bit] = sum;
    }
}

inline void update_projections(const ProjectionPlan& plan,
                               SparseView change,
                               float* projections) noexcept {
    for (std::size_t i = 0; i < change.nnz; ++i) {
        for (std::size_t bit = 0; bit < std::size_t{plan.k} * plan.l; ++bit) {
            const std::int8_t sign =
                plan.coefficients[coefficient_at(plan.dim, change.ids[i], bit)];
            projections[bit] += static_cast<float>(sign) * change.values[i];
        }
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

}  // namespace
}  // namespace slidekit::kernels::detail
