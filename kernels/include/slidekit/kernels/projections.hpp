// Projections of SimHash kept from one hash to the next.
//
// Most neurons change in few coordinates between two rebuilds of their tables, and a projection is
// linear: what was kept is brought up to date by the change alone (SLIDE section 4.2), and the keys
// follow from the signs.
//
// Each update rounds once: after n of them a projection is off by at most about n / 2^24 of the
// largest sum of magnitudes that it went through. Codes differ from those of fresh projections only
// where a projection is that near to zero; project anew every few hundred updates.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// The matrix of sparse projections written out; see SimHashPlan::coefficients.
struct ProjectionPlan {
    std::uint32_t dim = 0;
    std::uint32_t k = 0;
    std::uint32_t l = 0;
    /// simhash_coefficients(dim, k * l) of them.
    const std::int8_t* coefficients = nullptr;
};

/// Writes the projections of plan.terms out as SimHashPlan::coefficients.
SLIDEKIT_API void expand_simhash(const SimHashPlan& plan, std::int8_t* coefficients) noexcept;

/// All k * l projections of a vector of plan.dim elements.
///
/// Sums run in the order of the terms, the same on every level.
SLIDEKIT_API void project_simhash(const SimHashPlan& plan,
                                  const float* x,
                                  float* projections) noexcept;

/// Adds the projections of a change to those that are kept.
///
/// One coordinate after the other, each with one rounding, the same on every level. For a change of
/// all coordinates it takes as long as project_simhash, and of a quarter as long as hash_simhash of
/// the changed vector (dim 128).
SLIDEKIT_API void update_projections(const ProjectionPlan& plan,
                                     SparseView change,
                                     float* projections) noexcept;

/// Keys of projections that are kept, less those of a centre.
///
/// keys[t]: codes of projections t * k .. t * k + k - 1, the first one most significant; a code is
/// 1 where the projection is larger than the centre's (k * l projections; null: zeros).
SLIDEKIT_API void hash_projections(const float* projections,
                                   const float* centre,
                                   std::uint32_t k,
                                   std::uint32_t l,
                                   std::uint32_t* keys) noexcept;

}  // namespace slidekit::kernels
