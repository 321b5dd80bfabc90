// What a kernel's arguments must be: the words that the generated check_<kernel> functions are made
// of.
//
// The C functions return what these find; debug builds assert it in the C++ functions too. Sizes
// are computed with saturation: a product that overflows is larger than any array can be, and
// refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <slidekit/kernels/all.hpp>

namespace slidekit::kernels::detail {

/// The values are those of slidekit_status.
enum class Status {
    ok,
    null_pointer,
    invalid_size,
    out_of_range,
    not_ascending,
    invalid_plan,
    invalid_value,
    unsupported,
};

/// Sizes and pointers, in constant time; or what ids, groups and plans hold as well.
enum class Depth { sizes, contents };

namespace {

enum class Null { refused, allowed };
enum class Order { any, ascending };

inline constexpr std::size_t kTooLarge = std::numeric_limits<std::size_t>::max();

inline std::size_t sum(std::size_t a, std::size_t b) noexcept {
    return a > kTooLarge - b ? kTooLarge : a + b;
}
inline std::size_t product(std::size_t a, std::size_t b) noexcept {
    return b != 0 && a > kTooLarge / b ? kTooLarge : a * b;
}
inline std::size_t less(std::size_t a, std::size_t b) noexcept { return a > b ? a - b : 0; }
inline std::size_t quotient(std::size_t a, std::size_t b) noexcept { return b == 0 ? 0 : a / b; }
inline std::size_t least(std::size_t a, std::size_t b) noexcept { return a < b ? a : b; }
inline std::size_t most(std::size_t a, std::size_t b) noexcept { return a > b ? a : b; }

// No object is larger than half the address space.
inline Status fits(std::size_t count, std::size_t element_bytes) noexcept {
    return product(count, element_bytes) > kTooLarge / 2 ? Status::invalid_size : Status::ok;
}

inline Status in_range(std::size_t value, std::size_t lowest, std::size_t highest) noexcept {
    return value < lowest || value > highest ? Status::invalid_size : Status::ok;
}

inline Status relation(bool holds) noexcept { return holds ? Status::ok : Status::invalid_size; }

template <class T>
Status array(const T* data, std::size_t count, Null null = Null::refused) noexcept {
    if (const Status s = fits(count, sizeof(T)); s != Status::ok) return s;
    return data == nullptr && count > 0 && null == Null::refused ? Status::null_pointer
                                                                 : Status::ok;
}

// An array laid out like a matrix.
template <class T, class M>
Status beside(const T* data, const RowMatrix<M>& m) noexcept {
    return array(data, product(m.rows, m.stride));
}

template <class T>
Status matrix(const RowMatrix<T>& m, Null null = Null::refused) noexcept {
    if (m.data == nullptr && null == Null::allowed) return Status::ok;
    if (m.stride < m.dim) return Status::invalid_size;
    if (const Status s = fits(product(m.rows, m.stride), sizeof(T)); s != Status::ok) return s;
    // Where there are rows, their places are computed, and an offset of null is undefined.
    return m.data == nullptr && m.rows > 0 && m.stride > 0 ? Status::null_pointer : Status::ok;
}

inline Status strided(const StridedMatrix& m) noexcept {
    const std::size_t last =
        sum(product(less(m.rows, 1), m.row_stride), product(less(m.columns, 1), m.column_stride));
    if (const Status s = fits(sum(last, 1), sizeof(float)); s != Status::ok) return s;
    return m.data == nullptr && m.rows > 0 && m.columns > 0 ? Status::null_pointer : Status::ok;
}

inline Status laid_out(const std::uint32_t* keys,
                       KeyLayout layout,
                       std::size_t rows,
                       std::size_t tables) noexcept {
    const std::size_t last = sum(product(less(rows, 1), layout.row_stride),
                                 product(less(tables, 1), layout.table_stride));
    if (const Status s = fits(sum(last, 1), sizeof(std::uint32_t)); s != Status::ok) return s;
    return keys == nullptr && rows > 0 && tables > 0 ? Status::null_pointer : Status::ok;
}

inline Status sparse(const SparseView& v) noexcept {
    if (const Status s = array(v.ids, v.nnz); s != Status::ok) return s;
    return array(v.values, v.nnz);
}

template <class T>
Status elements_below(const T* values, std::size_t count, std::size_t bound, Order order) noexcept {
    if (values == nullptr) return Status::ok;
    for (std::size_t i = 0; i < count; ++i) {
        if (values[i] >= bound) return Status::out_of_range;
        if (order == Order::ascending && i > 0 && values[i] <= values[i - 1])
            return Status::not_ascending;
    }
    return Status::ok;
}

inline Status buckets_shape(const BucketsView& view) noexcept {
    if (const Status s = array(view.buckets, view.count); s != Status::ok) return s;
    std::size_t total = 0;
    for (std::size_t b = 0; b < view.count; ++b) {
        if (const Status s = array(view.buckets[b].ids, view.buckets[b].size); s != Status::ok)
            return s;
        total = sum(total, view.buckets[b].size);
    }
    return relation(total == view.total);
}

inline Status buckets_content(const BucketsView& view, std::size_t bound) noexcept {
    for (std::size_t b = 0; b < view.count; ++b) {
        const Bucket& bucket = view.buckets[b];
        if (const Status s = elements_below(bucket.ids, bucket.size, bound, Order::any);
            s != Status::ok)
            return s;
    }
    return Status::ok;
}

inline Status groups_shape(const GroupsView& groups) noexcept {
    if (groups.count == 0) return Status::ok;
    if (const Status s = array(groups.ids, groups.count); s != Status::ok) return s;
    if (const Status s = array(groups.starts, sum(groups.count, 1)); s != Status::ok) return s;
    if (groups.members == nullptr && groups.starts[groups.count] > groups.starts[0])
        return Status::null_pointer;
    return Status::ok;
}

inline Status groups_content(const GroupsView& groups,
                             std::size_t rows,
                             std::size_t vectors) noexcept {
    if (groups.count == 0) return Status::ok;
    if (const Status s = elements_below(groups.ids, groups.count, rows, Order::ascending);
        s != Status::ok)
        return s;
    for (std::size_t g = 0; g < groups.count; ++g) {
        if (groups.starts[g + 1] < groups.starts[g]) return Status::not_ascending;
    }
    for (std::size_t p = groups.starts[0]; p < groups.starts[groups.count]; ++p) {
        const Member member = groups.members[p];
        if (member.vector >= vectors || member.slot >= groups.slots) return Status::out_of_range;
    }
    return Status::ok;
}

// Structs of options and of several arrays; those that may hold anything need no overload.
template <class Options>
Status is_valid(const Options&) noexcept {
    return Status::ok;
}

inline Status is_valid(const AdamRows& rows) noexcept {
    if (const Status s = matrix(rows.weights); s != Status::ok) return s;
    if (const Status s = beside(rows.first, rows.weights); s != Status::ok) return s;
    return beside(rows.second, rows.weights);
}

inline Status is_valid(const SplitRows& rows) noexcept {
    if (const Status s = matrix(rows.high); s != Status::ok) return s;
    return beside(rows.low, rows.high);
}

inline Status is_valid(const AdamSplitRows& rows) noexcept {
    if (const Status s = is_valid(SplitRows{rows.high, rows.low}); s != Status::ok) return s;
    if (const Status s = beside(rows.first, rows.high); s != Status::ok) return s;
    return beside(rows.second, rows.high);
}

inline Status is_valid(const MomentumRows& rows) noexcept {
    if (const Status s = matrix(rows.weights); s != Status::ok) return s;
    return beside(rows.velocity, rows.weights);
}

inline Status is_valid(const AdagradRows& rows) noexcept {
    if (const Status s = matrix(rows.weights); s != Status::ok) return s;
    return array(rows.state, rows.weights.rows);
}

inline Status is_valid(const MomentumSplitRows& rows) noexcept {
    if (const Status s = is_valid(SplitRows{rows.high, rows.low}); s != Status::ok) return s;
    return beside(rows.velocity, rows.high);
}

inline Status is_valid(const AdagradSplitRows& rows) noexcept {
    if (const Status s = is_valid(SplitRows{rows.high, rows.low}); s != Status::ok) return s;
    return array(rows.state, rows.high.rows);
}

inline Status array(const MomentumBias& bias, std::size_t count) noexcept {
    return bias.weights == nullptr ? Status::ok : array(bias.velocity, count);
}

inline Status array(const AdagradBias& bias, std::size_t count) noexcept {
    return bias.weights == nullptr ? Status::ok : array(bias.state, count);
}

inline Status array(const AdamBias& bias, std::size_t count) noexcept {
    if (bias.weights == nullptr) return Status::ok;
    if (const Status s = array(bias.first, count); s != Status::ok) return s;
    return array(bias.second, count);
}

// Plans. Sizes first: what they bound is read only where they are right.

inline Status plan_is_valid(const SimHashPlan& plan, Depth depth) noexcept {
    if (plan.dim == 0 || plan.dim > 32768 || plan.k == 0 || plan.k > 24 || plan.l == 0 ||
        plan.nonzeros > plan.dim)
        return Status::invalid_size;
    const std::size_t terms = product(product(plan.k, plan.l), plan.nonzeros);
    if (const Status s = array(plan.terms, terms); s != Status::ok) return s;
    const std::size_t coefficients = simhash_coefficients(plan.dim, product(plan.k, plan.l));
    if (const Status s = array(plan.coefficients, coefficients, Null::allowed); s != Status::ok)
        return s;
    if (depth == Depth::sizes) return Status::ok;
    const Status s = elements_below(plan.terms, terms, std::size_t{2} * plan.dim, Order::any);
    return s == Status::ok ? Status::ok : Status::invalid_plan;
}

inline Status plan_is_valid(const ProjectionPlan& plan, Depth /*depth*/) noexcept {
    if (plan.dim == 0 || plan.dim > 32768 || plan.k == 0 || plan.k > 24 || plan.l == 0)
        return Status::invalid_size;
    return array(plan.coefficients, simhash_coefficients(plan.dim, product(plan.k, plan.l)));
}

inline Status plan_is_valid(const HadamardPlan& plan, Depth /*depth*/) noexcept {
    if (plan.dim == 0 || plan.dim > HadamardPlan::kMaxPadded || plan.k == 0 || plan.k > 24 ||
        plan.l == 0 || plan.padded != hadamard_padded(plan.dim))
        return Status::invalid_size;
    const std::size_t rounds = hadamard_rounds(plan.dim, product(plan.k, plan.l));
    return array(plan.signs, product(rounds, plan.padded));
}

inline Status plan_is_valid(const SparseDwtaPlan& plan, Depth /*depth*/) noexcept {
    // 8 * bin + position is a number of 32 bits; places from 8 * k * l on are nowhere.
    if (plan.dim == 0 || plan.dim > SparseDwtaPlan::kMaxDim || plan.k == 0 || plan.l == 0 ||
        plan.shift > 3 || product(plan.k, plan.l) > (std::size_t{1} << 29) - 1)
        return Status::invalid_size;
    return array(plan.places, product(plan.dim, plan.permutations));
}

inline Status plan_is_valid(const DwtaPlan& plan, Depth depth) noexcept {
    constexpr std::uint32_t kMultiple = 16;
    const std::size_t codes = product(plan.k, plan.l);
    if (plan.dim == 0 || plan.dim > 65535 || plan.k == 0 || plan.k > 64 || plan.l == 0 ||
        plan.shift > 3 || plan.bins < codes || plan.bins % kMultiple != 0)
        return Status::invalid_size;
    const std::size_t entries = product(plan.bins, DwtaPlan::kBinSize);
    if (const Status s = array(plan.coordinates, entries); s != Status::ok) return s;
    if (const Status s = array(plan.positions, entries); s != Status::ok) return s;
    if (depth == Depth::sizes) return Status::ok;
    for (std::size_t c = 0; c < DwtaPlan::kBinSize; ++c) {
        for (std::size_t bin = 0; bin < codes; ++bin) {
            const std::size_t at = c * plan.bins + bin;
            if (plan.coordinates[at] >= plan.dim || plan.positions[at] >= DwtaPlan::kBinSize)
                return Status::invalid_plan;
        }
    }
    return Status::ok;
}

inline Status plan_is_valid(const DophPlan& plan, Depth depth) noexcept {
    const bool is_right = plan.k >= 1 && plan.k <= 64 && plan.l >= 1 && plan.l <= 65536 &&
                          plan.bits >= 1 && plan.bits <= 32 && plan.top <= 65536;
    if (!is_right) return Status::invalid_size;
    if (plan.order == nullptr || depth == Depth::sizes) return Status::ok;
    const std::size_t bins = product(plan.k, plan.l);
    const Status s = elements_below(plan.order, bins, bins, Order::any);
    return s == Status::ok ? Status::ok : Status::invalid_plan;
}

inline Status plan_is_valid(const PStablePlan& plan, Depth) noexcept {
    if (plan.dim == 0 || plan.k == 0 || plan.k > 64 || plan.l == 0 || plan.l > 65536 ||
        plan.bits == 0 || plan.bits > 32)
        return Status::invalid_size;
    const std::size_t codes = product(quotient(sum(plan.l, 15), 16), product(plan.k, 16));
    if (const Status s = array(plan.projections, product(codes, plan.dim)); s != Status::ok)
        return s;
    return array(plan.offsets, codes);
}

}  // namespace
}  // namespace slidekit::kernels::detail
