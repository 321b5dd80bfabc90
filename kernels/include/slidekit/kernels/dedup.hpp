// Candidate ids without repeats, and the choice among them by how often each was met.
//
// Duplicates are found by epoch stamps: 16 bits an id, written when the id is met, so that nothing
// is cleared between queries. The caller keeps the stamps (all 0 at first), gives each query an
// epoch of its own, and clears them when the epochs are used up.
#pragma once

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::kernels {

/// Ids of one bucket of a hash table.
struct Bucket {
    const std::uint32_t* ids = nullptr;
    std::size_t size = 0;
};

/// The buckets of one query, one a table.
struct BucketsView {
    const Bucket* buckets = nullptr;
    std::size_t count = 0;
    std::size_t total = 0;  // the sizes of all buckets added up
};

/// Writes each of the ids once, in order of first appearance, and returns how many there are.
///
/// An id is new if stamps[id] is not `stamp`, and is stamped then. Elements of out from the result
/// on may be overwritten. Requires: ids below bound. About a nanosecond an id where the stamps are
/// in cache: nothing branches on what was met.
[[nodiscard]] SLIDEKIT_API std::size_t dedup_ids(const std::uint32_t* ids,
                                                 std::size_t count,
                                                 std::uint16_t stamp,
                                                 std::uint16_t* stamps,
                                                 std::size_t bound,
                                                 std::uint32_t* out) noexcept;

/// The same of all buckets in turn, as if they were one list; out has room for buckets.total ids.
[[nodiscard]] SLIDEKIT_API std::size_t dedup_buckets(BucketsView buckets,
                                                     std::uint16_t stamp,
                                                     std::uint16_t* stamps,
                                                     std::size_t bound,
                                                     std::uint32_t* out) noexcept;

/// As dedup_ids, and counts[i] = how often out[i] was met.
///
/// The stamp of an id met m times becomes base + m: one above base is of this query. Requires: no
/// stamp above base at first, and base plus the largest count is at most 65535.
[[nodiscard]] SLIDEKIT_API std::size_t count_ids(const std::uint32_t* ids,
                                                 std::size_t count,
                                                 std::uint16_t base,
                                                 std::uint16_t* stamps,
                                                 std::size_t bound,
                                                 std::uint32_t* out,
                                                 std::uint16_t* counts) noexcept;

/// The same of all buckets in turn; out and counts have room for buckets.total elements.
[[nodiscard]] SLIDEKIT_API std::size_t count_buckets(BucketsView buckets,
                                                     std::uint16_t base,
                                                     std::uint16_t* stamps,
                                                     std::size_t bound,
                                                     std::uint32_t* out,
                                                     std::uint16_t* counts) noexcept;

/// Writes the positions with counts[i] >= least, ascending, and returns how many: SLIDE's hard
/// threshold. Nothing is written past them.
[[nodiscard]] SLIDEKIT_API std::size_t select_counted(const std::uint16_t* counts,
                                                      std::size_t count,
                                                      std::uint16_t least,
                                                      std::uint32_t* positions) noexcept;

/// Writes the positions of the k largest counts in ascending order of position; returns min(k,
/// count). Of equal counts the lower positions are taken: select_top_k for small whole numbers,
/// with one pass over the counts for each bit of the largest, and two more.
[[nodiscard]] SLIDEKIT_API std::size_t select_top_counts(const std::uint16_t* counts,
                                                         std::size_t count,
                                                         std::size_t k,
                                                         std::uint32_t* positions) noexcept;

}  // namespace slidekit::kernels
