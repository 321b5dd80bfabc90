// The plainest statement of the bf16 kernels: the oracle of the other levels.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/bf16.hpp>

#include "random-bits-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

inline float widened(Bf16 x) noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

// The upper half of x's bits + `more` (below 2^16, so that infinity stays); a NaN becomes quiet.
inline Bf16 rounded_up_by(float x, std::uint32_t more) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t out = x == x ? bits + more : bits | 0x400000U;
    return {static_cast<std::uint16_t>(out >> 16)};
}

inline Bf16 rounded_to_even(float x) noexcept {
    return rounded_up_by(x, 0x7fff + ((std::bit_cast<std::uint32_t>(x) >> 16) & 1));
}

// Number k of a stream, 32 bits.
inline std::uint32_t random_bits(StreamKey key, std::uint32_t k) noexcept {
    std::uint32_t h = key.low + k;
    h = (h ^ (h >> 16)) * kMix1 ^ key.high;
    h = (h ^ (h >> 15)) * kMix2;
    return h ^ (h >> 15);
}

inline Bf16 rounded_at_random(float x, StreamKey key, std::size_t k) noexcept {
    return rounded_up_by(x, random_bits(key, static_cast<std::uint32_t>(k)) >> 16);
}

inline void convert_f32_to_bf16(const float* x, std::size_t count, Bf16* out) noexcept {
    for (std::size_t k = 0; k < count; ++k) out[k] = rounded_to_even(x[k]);
}

// By way of bits: a float in between could make a signalling NaN quiet.
inline void convert_bf16_to_f32(const Bf16* x, std::size_t count, float* out) noexcept {
    for (std::size_t k = 0; k < count; ++k) {
        const std::uint32_t bits = static_cast<std::uint32_t>(x[k].bits) << 16;
        __builtin_memcpy(out + k, &bits, sizeof bits);
    }
}

inline void round_bf16_stochastic(const float* x,
                                  std::size_t count,
                                  const BitStream& random,
                                  Bf16* out) noexcept {
    const StreamKey key = stream_key(random);
    for (std::size_t k = 0; k < count; ++k) out[k] = rounded_at_random(x[k], key, k);
}

inline void split_f32(const float* x, std::size_t count, Bf16* high, std::uint16_t* low) noexcept {
    for (std::size_t k = 0; k < count; ++k) {
        std::uint32_t bits = 0;
        __builtin_memcpy(&bits, x + k, sizeof bits);
        high[k].bits = static_cast<std::uint16_t>(bits >> 16);
        low[k] = static_cast<std::uint16_t>(bits);
    }
}

inline void join_f32(const Bf16* high,
                     const std::uint16_t* low,
                     std::size_t count,
                     float* out) noexcept {
    for (std::size_t k = 0; k < count; ++k) {
        const std::uint32_t bits = static_cast<std::uint32_t>(high[k].bits) << 16 | low[k];
        __builtin_memcpy(out + k, &bits, sizeof bits);
    }
}

inline float as_float(float x) noexcept { return x; }
inline float as_float(Bf16 x) noexcept { return widened(x); }

template <class X>
float sum_of_products(const X* x, const Bf16* y, std::size_t dim) noexcept {
    float sum = 0;
    for (std::size_t k = 0; k < dim; ++k) sum += as_float(x[k]) * widened(y[k]);
    return sum;
}

template <class X>
void dot_each_row(const X* x,
                  RowMatrix<const Bf16> rows,
                  const std::uint32_t* ids,
                  std::size_t count,
                  float* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) out[i] = sum_of_products(x, rows.row(ids[i]), rows.dim);
}

template <class X>
void dot_each_pair(GroupsView groups,
                   RowMatrix<const Bf16> rows,
                   const float* bias,
                   RowMatrix<const X> vectors,
                   float* out) noexcept {
    for (std::size_t g = 0; g < groups.count; ++g) {
        const std::uint32_t id = groups.ids[g];
        for (std::uint32_t p = groups.starts[g]; p < groups.starts[g + 1]; ++p) {
            const Member member = groups.members[p];
            const float sum = sum_of_products(vectors.row(member.vector), rows.row(id), rows.dim);
            out[member.slot] = bias == nullptr ? sum : sum + bias[id];
        }
    }
}

inline float dot_bf16(const Bf16* x, const Bf16* y, std::size_t dim) noexcept {
    return sum_of_products(x, y, dim);
}

inline void dot_rows_bf16(const Bf16* x,
                          RowMatrix<const Bf16> rows,
                          const std::uint32_t* ids,
                          std::size_t count,
                          float* out) noexcept {
    dot_each_row(x, rows, ids, count, out);
}

inline void dot_rows_mixed(const float* x,
                           RowMatrix<const Bf16> rows,
                           const std::uint32_t* ids,
                           std::size_t count,
                           float* out) noexcept {
    dot_each_row(x, rows, ids, count, out);
}

inline void dot_groups_bf16(GroupsView groups,
                            RowMatrix<const Bf16> rows,
                            const float* bias,
                            RowMatrix<const Bf16> vectors,
                            float* out) noexcept {
    dot_each_pair(groups, rows, bias, vectors, out);
}

inline void dot_groups_mixed(GroupsView groups,
                             RowMatrix<const Bf16> rows,
                             const float* bias,
                             RowMatrix<const float> vectors,
                             float* out) noexcept {
    dot_each_pair(groups, rows, bias, vectors, out);
}

inline void bag_rows_bf16(SparseView input, RowMatrix<const Bf16> rows, float* out) noexcept {
    for (std::size_t i = 0; i < input.nnz; ++i) {
        const Bf16* row = rows.row(input.ids[i]);
        for (std::size_t k = 0; k < rows.dim; ++k) out[k] += input.values[i] * widened(row[k]);
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
