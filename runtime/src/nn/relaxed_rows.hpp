// Rows that several threads read and update at once, without locks: HOGWILD (Niu et al. [NIPS
// 2011]).
//
// Memory that threads share is touched by relaxed atomics alone: a row by pairs of floats (single
// instructions where rows start on cache lines), what there is one of a row by floats. The vector
// kernels work on a thread's own copies of a few rows, so that their many loads need not be atomic.
// What another thread stores between copy and store is lost, and a copy may mix two versions of a
// row: that is the algorithm, not an accident.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <slidekit/nn/parameters.hpp>

namespace slidekit::nn {

namespace detail {

struct alignas(8) FloatPair {
    float values[2];
};
static_assert(std::atomic_ref<FloatPair>::is_always_lock_free);

struct alignas(64) CacheLine {
    static constexpr std::size_t kPairs = 8;
    FloatPair pairs[kPairs];
};

[[nodiscard]] inline std::size_t lines_of(std::size_t dim) noexcept {
    return padded_stride(dim) * sizeof(float) / sizeof(CacheLine);
}

}  // namespace detail

namespace detail {

// Written out: GCC leaves a loop of eight atomic accesses a loop, at twice the time.
template <std::size_t... k>
inline void load_line(CacheLine& from, CacheLine& to, std::index_sequence<k...>) noexcept {
    ((to.pairs[k] = std::atomic_ref(from.pairs[k]).load(std::memory_order_relaxed)), ...);
}
template <std::size_t... k>
inline void store_line(const CacheLine& from, CacheLine& to, std::index_sequence<k...>) noexcept {
    (std::atomic_ref(to.pairs[k]).store(from.pairs[k], std::memory_order_relaxed), ...);
}
using Pairs = std::make_index_sequence<CacheLine::kPairs>;

}  // namespace detail

/// to = the row that others may be writing. Requires: both start on cache lines, padded to whole
/// ones.
inline void load_relaxed(float* row, std::size_t dim, float* to) noexcept {
    auto* const from = reinterpret_cast<detail::CacheLine*>(row);
    auto* const copy = reinterpret_cast<detail::CacheLine*>(to);
    for (std::size_t i = 0; i < detail::lines_of(dim); ++i)
        detail::load_line(from[i], copy[i], detail::Pairs{});
}

/// row = from, where others may be reading and writing. Requires: as load_relaxed.
inline void store_relaxed(const float* from, std::size_t dim, float* row) noexcept {
    const auto* const copy = reinterpret_cast<const detail::CacheLine*>(from);
    auto* const to = reinterpret_cast<detail::CacheLine*>(row);
    for (std::size_t i = 0; i < detail::lines_of(dim); ++i)
        detail::store_line(copy[i], to[i], detail::Pairs{});
}

/// Room for a thread's copies of a few rows and their state. Confined to one thread.
class RowCopies {
public:
    static constexpr std::size_t kRows = 8;  // with two moments 12 KB of 128 floats: in L1

    explicit RowCopies(std::size_t dim);
    RowCopies(RowCopies&&) = default;  // heap memory stays where it is
    RowCopies& operator=(RowCopies&&) = default;

    /// kRows rows, and as much state as any optimiser has.
    [[nodiscard]] const RowState& rows() const noexcept { return rows_; }

private:
    std::vector<detail::CacheLine> lines_;
    std::vector<float> biases_;
    RowState rows_;
};

namespace detail {

// Calls copy(i, id) for each id of a run of at most RowCopies::kRows, i its place in the run, then
// body(begin, count). Of the rows ahead one is asked for with each that is copied: asked for run by
// run they wait for each other, and a step takes a third longer.
template <class Prefetch, class Copy, class Body>
void for_runs(std::span<const std::uint32_t> ids,
              const Prefetch& prefetch,
              const Copy& copy,
              const Body& body) {
    constexpr std::size_t kAhead = 4;
    for (std::size_t i = 0; i < std::min(kAhead, ids.size()); ++i) prefetch(ids[i]);
    for (std::size_t begin = 0; begin < ids.size(); begin += RowCopies::kRows) {
        const std::size_t end = std::min(begin + RowCopies::kRows, ids.size());
        for (std::size_t i = begin; i < end; ++i) {
            if (i + kAhead < ids.size()) prefetch(ids[i + kAhead]);
            copy(i - begin, ids[i]);
        }
        body(begin, end - begin);
    }
}

}  // namespace detail

/// A layer's rows in fp32. Thread-safe, as far as a race may be.
class RelaxedRows {
public:
    explicit RelaxedRows(Parameters& parameters);

    /// out[i] = x . row ids[i] + its bias.
    void dot_rows(const float* x,
                  std::span<const std::uint32_t> ids,
                  float* out,
                  RowCopies& copies) const noexcept;
    /// out += sum of value * row.
    void bag_rows(kernels::SparseView input, float* out, RowCopies& copies) const noexcept;
    /// Updates each row by the gradient value * vector (its bias by value), and adds value * row,
    /// as it was, to `back` unless that is null. Requires: ids are distinct.
    void update_rows(kernels::SparseView pairs,
                     const float* vector,
                     float* back,
                     const UpdateRule& rule,
                     RowCopies& copies) noexcept;

private:
    Parameters& parameters_;
    RowState rows_;
};

}  // namespace slidekit::nn
