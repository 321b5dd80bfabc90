// The distinct ids that a query's buckets hold, and in how many tables each was met.
//
// Duplicates are found by epoch stamps: a 16-bit word an id, written when the id is met, so that
// nothing is cleared between queries. Where counts are wanted, a query takes a range of stamps
// instead of one, and an id's stamp says how often it was met: the price is a clear every 65535 / L
// queries, some 20 ns a query.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/kernels/dedup.hpp>
#include <slidekit/kernels/export.hpp>
#include <slidekit/lsh/tables.hpp>

namespace slidekit::lsh {

/// A set of ids below a bound that is emptied in O(1). One for each worker; confined to it.
class SLIDEKIT_API StampSet {
public:
    explicit StampSet(std::uint32_t bound);

    /// Empties the set.
    void clear() noexcept;
    /// Adds the id; true if it was not in the set.
    bool insert(std::uint32_t id) noexcept {
        const bool fresh = stamps_[id] != epoch_;
        stamps_[id] = epoch_;
        return fresh;
    }
    [[nodiscard]] bool contains(std::uint32_t id) const noexcept { return stamps_[id] == epoch_; }

private:
    std::vector<std::uint16_t> stamps_;
    std::uint16_t epoch_ = 1;  // never 0, the stamp of an id that was never in the set
};

/// Looks queries up. Holds the scratch, 2 bytes a neuron and more; the tables stay const. Confined
/// to one thread at a time.
class SLIDEKIT_API Candidates {
public:
    /// `neurons`: bound of the ids. `counting`: whether counts() is wanted.
    enum class Counting { off, on };
    Candidates(std::uint32_t neurons, Counting counting);

    /// Collects the distinct ids of the buckets of a query, in order of first meeting: keys[i] is
    /// of table i / n, where every table has n different keys. All offsets are prefetched first,
    /// then all buckets. The span is valid until the next call. Requires: n >= 1.
    std::span<const std::uint32_t> collect(const Tables& tables,
                                           std::span<const std::uint32_t> keys);

    /// In how many tables each of the collected ids was met. Requires: counting on.
    [[nodiscard]] std::span<const std::uint16_t> counts() const noexcept {
        return {counts_.data(), found_};
    }

    /// Whether the last collect() met the id.
    [[nodiscard]] bool contains(std::uint32_t id) const noexcept { return stamps_[id] > base_; }

private:
    void begin_epoch(std::uint32_t most);
    std::size_t find_buckets(const Tables& tables, std::span<const std::uint32_t> keys);

    Counting counting_;
    std::uint32_t base_ = 0;  // stamps above it are of this query...
    std::uint32_t last_ = 0;  // ...and go up to here
    std::vector<std::uint16_t> stamps_;
    std::vector<kernels::Bucket> buckets_;  // of this query
    std::vector<std::uint32_t> ids_;        // the first found_ are this query's
    std::vector<std::uint16_t> counts_;
    std::size_t found_ = 0;
};

}  // namespace slidekit::lsh
