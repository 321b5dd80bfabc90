// The plainest statement of the kernels that hash, select and quantise: the oracle that every other
// level agrees with bit for bit, and the fallback where there is no SIMD.
//
// Nothing here depends on an order that a wider machine could not keep: sums run term by term, ties
// go to what comes first, and NaN has a place of its own below -infinity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/topk.hpp>

#include "order-image-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// A row as the hashes see it: less the centre, in one rounding.
struct CentredRow {
    const float* x;
    const float* centre;
    float operator[](std::size_t c) const noexcept {
        return centre == nullptr ? x[c] : x[c] - centre[c];
    }
};

inline std::uint32_t simhash_key(const SimHashPlan& plan,
                                 CentredRow x,
                                 std::size_t table) noexcept {
    std::uint32_t key = 0;
    for (std::size_t bit = table * plan.k; bit < (table + 1) * plan.k; ++bit) {
        float sum = 0;
        for (std::size_t j = 0; j < plan.nonzeros; ++j) {
            const std::size_t c = plan.terms[bit * plan.nonzeros + j];
            sum += c < plan.dim ? x[c] : -x[c - plan.dim];
        }
        key = key << 1 | (sum > 0 ? 1U : 0U);
    }
    return key;
}

// NaN loses to all, so a number replaces it; of equals the earlier one stays.
inline bool beats(float x, float best) noexcept { return x > best || (best != best && x == x); }

inline std::uint32_t dwta_key(const DwtaPlan& plan, CentredRow x, std::size_t table) noexcept {
    std::uint32_t key = 0;
    for (std::size_t bin = table * plan.k; bin < (table + 1) * plan.k; ++bin) {
        float best = x[plan.coordinates[bin]];
        std::uint32_t code = plan.positions[bin];
        for (std::size_t c = 1; c < DwtaPlan::kBinSize; ++c) {
            const std::size_t candidate = c * plan.bins + bin;
            const float value = x[plan.coordinates[candidate]];
            if (!beats(value, best)) continue;
            best = value;
            code = plan.positions[candidate];
        }
        // The codes may overlap (shift 2): a sum, not an or.
        key = (key << plan.shift) + code;
    }
    return key;
}

inline void hash_simhash(const SimHashPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    for (std::size_t t = 0; t < plan.l; ++t) keys[t] = simhash_key(plan, {x, nullptr}, t);
}

inline void hash_dwta(const DwtaPlan& plan, const float* x, std::uint32_t* keys) noexcept {
    for (std::size_t t = 0; t < plan.l; ++t) keys[t] = dwta_key(plan, {x, nullptr}, t);
}

inline void hash_simhash_rows(const SimHashPlan& plan,
                              RowMatrix<const float> rows,
                              const float* centre,
                              std::uint32_t* keys,
                              KeyLayout layout,
                              float* /*scratch*/) noexcept {
    for (std::size_t r = 0; r < rows.rows; ++r) {
        for (std::size_t t = 0; t < plan.l; ++t) {
            keys[r * layout.row_stride + t * layout.table_stride] =
                simhash_key(plan, {rows.row(r), centre}, t);
        }
    }
}

inline void hash_dwta_rows(const DwtaPlan& plan,
                           RowMatrix<const float> rows,
                           const float* centre,
                           std::uint32_t* keys,
                           KeyLayout layout,
                           float* /*scratch*/) noexcept {
    for (std::size_t r = 0; r < rows.rows; ++r) {
        for (std::size_t t = 0; t < plan.l; ++t) {
            keys[r * layout.row_stride + t * layout.table_stride] =
                dwta_key(plan, {rows.row(r), centre}, t);
        }
    }
}

inline std::size_t select_top_k(const float* scores,
                                std::size_t count,
                                std::size_t k,
                                std::uint32_t* positions) noexcept {
    if (k > count) k = count;
    if (k == 0) return 0;
    const auto count_from = [&](std::uint32_t least) {
        std::size_t n = 0;
        for (std::size_t i = 0; i < count; ++i) n += order_image(scores[i]) >= least ? 1U : 0U;
        return n;
    };
    // The k-th largest image, bit by bit: the largest value that k images reach.
    std::uint32_t kth = 0;
    for (std::uint32_t bit = 0x80000000U; bit != 0; bit >>= 1) {
        if (count_from(kth | bit) >= k) kth |= bit;
    }
    const std::size_t above =
        kth == std::numeric_limits<std::uint32_t>::max() ? 0 : count_from(kth + 1);
    std::size_t ties = k - above;
    std::size_t taken = 0;
    for (std::size_t i = 0; taken < k; ++i) {
        const std::uint32_t image = order_image(scores[i]);
        if (image < kth || (image == kth && ties == 0)) continue;
        if (image == kth) --ties;
        positions[taken++] = static_cast<std::uint32_t>(i);
    }
    return k;
}

inline std::size_t find_above_columns(RowMatrix<const float> block,
                                      const float* threshold,
                                      Hit* hits) noexcept {
    std::size_t found = 0;
    for (std::size_t r = 0; r < block.rows; ++r) {
        const float* row = block.row(r);
        for (std::size_t c = 0; c < block.dim; ++c) {
            if (!(row[c] > threshold[c])) continue;
            hits[found++] = {static_cast<std::uint32_t>(r), static_cast<std::uint32_t>(c), row[c]};
        }
    }
    return found;
}

// round(x / s) to nearest even, by way of 1.5 * 2^23: floats of that size are whole numbers. A
// division, not a product with 1 / s, which would round twice and overflow where s is subnormal.
// The clamp is for such s too: it is then far from max / 127. What no int32 holds, NaN too, becomes
// the lowest, which is what x86 converts it to.
inline std::int32_t quantized(float x, float s, std::int32_t lowest) noexcept {
    constexpr float kWhole = 12582912.0F;
    const float whole = (x / s + kWhole) - kWhole;
    if (!(whole >= -0x1p31F && whole < 0x1p31F)) return lowest;
    const std::int32_t q = static_cast<std::int32_t>(whole);
    return q < lowest ? lowest : (q > 127 ? 127 : q);
}

inline float quantize_i8(const float* x, std::size_t dim, std::int8_t* out) noexcept {
    float largest = 0;
    for (std::size_t i = 0; i < dim; ++i) {
        const float magnitude = x[i] < 0 ? -x[i] : x[i];
        if (magnitude > largest) largest = magnitude;
    }
    const float s = largest / 127;
    for (std::size_t i = 0; i < dim; ++i) {
        out[i] = s == 0 ? std::int8_t{0} : static_cast<std::int8_t>(quantized(x[i], s, -127));
    }
    return s;
}

inline float quantize_u7(const float* x, std::size_t dim, std::uint8_t* out) noexcept {
    float largest = 0;
    for (std::size_t i = 0; i < dim; ++i) {
        if (x[i] > largest) largest = x[i];
    }
    const float s = largest / 127;
    for (std::size_t i = 0; i < dim; ++i) {
        out[i] = s == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(quantized(x[i], s, 0));
    }
    return s;
}

}  // namespace
}  // namespace slidekit::kernels::detail
