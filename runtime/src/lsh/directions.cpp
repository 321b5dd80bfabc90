// Projections, probes and cross-polytope codes: see the header.
#include "lsh/directions.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <limits>

#include <slidekit/kernels/dense.hpp>
#include <slidekit/lsh/family.hpp>

namespace slidekit::lsh {

using kernels::RowMatrix;

namespace {

constexpr std::size_t padded(std::size_t floats) { return (floats + 15) / 16 * 16; }

constexpr std::size_t kTablesAtOnce = Directions::kReadAhead;
constexpr std::int32_t kSquare = ~31;  // the bits of a word that are of the square

struct Flips {
    float cost = 0;
    std::uint32_t mask = 0;
};

// Writes the `most` cheapest of sets, and of sets with the bit, both in order.
std::uint32_t merge(
    const Flips* sets, std::uint32_t count, Flips bit, std::uint32_t most, Flips* out) noexcept {
    const std::uint32_t total = std::min(most, 2 * count);
    std::uint32_t without = 0;
    std::uint32_t with = 0;
    for (std::uint32_t i = 0; i < total; ++i) {
        const Flips flipped{sets[with].cost + bit.cost, sets[with].mask | bit.mask};
        const bool take = without == count || (with < count && flipped.cost < sets[without].cost);
        out[i] = take ? flipped : sets[without];
        (take ? with : without) += 1;
    }
    return total;
}

// The cheapest sets are found bit by bit, the least certain bit first. No set among the `probes`
// cheapest holds a bit that has probes - 1 others before it: each of them alone is cheaper, and so
// is the empty set.
void flip(const std::int32_t* words,
          std::uint32_t count,
          std::uint32_t k,
          std::uint32_t probes,
          std::uint32_t* keys) noexcept {
    Flips buffers[2][kMaxProbes];
    Flips* sets = buffers[0];
    std::uint32_t found = 1;
    for (std::uint32_t b = 0; b < count; ++b) {
        const std::int32_t word = words[b * kTablesAtOnce];
        const Flips bit{std::bit_cast<float>(word & kSquare), 1U << (k - 1 - (word & ~kSquare))};
        if (found == probes && !(bit.cost < sets[found - 1].cost)) break;
        Flips* const next = sets == buffers[0] ? buffers[1] : buffers[0];
        found = merge(sets, found, bit, probes, next);
        sets = next;
    }
    for (std::uint32_t p = 1; p < probes; ++p) keys[p] = keys[0] ^ sets[p].mask;
}

}  // namespace

Directions::Directions(std::uint32_t dim, std::size_t count)
    : dim_(dim), count_(count), stride_(padded(count)), values_(dim * stride_) {}

std::size_t Directions::scratch_floats() const noexcept {
    return empty() ? 0 : kBlock * (padded(dim_) + stride_) + kReadAhead;
}

RowMatrix<float> Directions::project(RowMatrix<const float> rows,
                                     const float* centre,
                                     float* scratch) const noexcept {
    assert(rows.rows <= kBlock && rows.dim == dim_);
    const std::size_t stride = padded(dim_);
    for (std::size_t r = 0; r < rows.rows; ++r) {
        float* const out = scratch + r * stride;
        for (std::size_t c = 0; c < dim_; ++c)
            out[c] = rows.row(r)[c] - (centre == nullptr ? 0 : centre[c]);
    }
    const RowMatrix<float> projections{scratch + kBlock * stride, rows.rows, count_, stride_};
    std::fill_n(projections.data, rows.rows * stride_, 0.0F);
    kernels::multiply_add({scratch, rows.rows, dim_, stride, 1},
                          RowMatrix<const float>{values_.data(), dim_, count_, stride_},
                          projections);
    return projections;
}

// The least certain bits of each table in a block of tables, ascending, by a network of minima that
// the compiler puts in vectors: of each, the square's word with the bit's number in its low bits.
// As integers, which order as the floats do, NaN last.
void order_probes(const float* projections,
                  std::uint32_t k,
                  std::uint32_t l,
                  std::uint32_t probes,
                  std::uint32_t* keys) noexcept {
    assert(probes <= kMaxProbes && probes <= std::uint64_t{1} << k);
    const std::uint32_t kept = std::min(k, probes - 1);
    for (std::size_t first = 0; first < l; first += kTablesAtOnce) {
        std::int32_t words[kMaxProbes][kTablesAtOnce];
        std::fill_n(words[0], kept * kTablesAtOnce, std::numeric_limits<std::int32_t>::max());
        for (std::uint32_t j = 0; j < k; ++j) {
            const float* const bit = projections + std::size_t{j} * l + first;
            std::int32_t word[kTablesAtOnce];
            for (std::size_t i = 0; i < kTablesAtOnce; ++i)
                word[i] = (std::bit_cast<std::int32_t>(bit[i] * bit[i]) & kSquare) |
                          static_cast<std::int32_t>(j);
            for (std::uint32_t slot = 0; slot < kept; ++slot) {
                for (std::size_t i = 0; i < kTablesAtOnce; ++i) {
                    const std::int32_t less = std::min(words[slot][i], word[i]);
                    word[i] = std::max(words[slot][i], word[i]);
                    words[slot][i] = less;
                }
            }
        }
        for (std::size_t i = 0; i < std::min(kTablesAtOnce, l - first); ++i)
            flip(words[0] + i, kept, k, probes, keys + (first + i) * probes);
    }
}

// The place stands in the low bits of the magnitude, so that a maximum of integers, which the
// compiler finds in vectors, gives both.
std::uint32_t polytope_code(const float* projections) noexcept {
    constexpr std::int32_t kPlace = kPolytopeWidth - 1;
    std::int32_t words[kPolytopeWidth];
    std::memcpy(words, projections, sizeof(words));
    std::int32_t best = 0;
    for (std::int32_t c = 0; c <= kPlace; ++c)
        best = std::max(best, (words[c] & 0x7fffffff & ~kPlace) | c);
    const auto place = static_cast<std::uint32_t>(best & kPlace);
    return 2 * place + (projections[place] > 0 ? 1U : 0U);
}

}  // namespace slidekit::lsh
