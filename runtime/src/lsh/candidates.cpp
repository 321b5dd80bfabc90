// The walk over a query's buckets: three loops, so that cache misses overlap.
//
// Appending has no branch: an id is always written behind the others, and the end moves up only if
// it was fresh. Half the ids of a query may be repeats, and which ones no predictor can know.
//
// Tried for the stamps and lost to 16 bits: a bitmap (1.4 times the time: a word is read and
// written for each of its ids), 32 bits (1.1). 8 bits gain 5 % and have to be cleared every 255
// queries.
#include <slidekit/lsh/candidates.hpp>

#include <algorithm>
#include <cassert>
#include <limits>

namespace slidekit::lsh {

namespace {

constexpr std::uint32_t kMaxStamp = std::numeric_limits<std::uint16_t>::max();

}  // namespace

StampSet::StampSet(std::uint32_t bound) : stamps_(bound) {}

void StampSet::clear() noexcept {
    if (epoch_ == kMaxStamp) {
        std::fill(stamps_.begin(), stamps_.end(), std::uint16_t{0});
        epoch_ = 0;
    }
    ++epoch_;
}

Candidates::Candidates(std::uint32_t neurons, Counting counting)
    : counting_(counting), stamps_(neurons) {}

// After it no stamp is above base_, and `most` can be added to base_.
void Candidates::begin_epoch(std::uint32_t most) {
    assert(most <= kMaxStamp);
    if (last_ + most > kMaxStamp) {
        std::fill(stamps_.begin(), stamps_.end(), std::uint16_t{0});
        last_ = 0;
    }
    base_ = last_;
    last_ += most;
}

// Reads the offsets, which are on their way to the cache by then, and sends for every line of the
// buckets: with the first two lines only, the walk took twice as long.
std::size_t Candidates::find_buckets(const Tables& tables, std::span<const std::uint32_t> keys) {
    constexpr std::size_t kIdsPerLine = 16;
    for (std::size_t t = 0; t < keys.size(); ++t) __builtin_prefetch(tables.offset(t, keys[t]));
    buckets_.resize(keys.size());
    std::size_t total = 0;
    for (std::size_t t = 0; t < keys.size(); ++t) {
        buckets_[t] = tables.bucket(static_cast<std::uint32_t>(t), keys[t]);
        for (std::size_t i = 0; i < buckets_[t].size(); i += kIdsPerLine)
            __builtin_prefetch(buckets_[t].data() + i);
        total += buckets_[t].size();
    }
    return total;
}

std::span<const std::uint32_t> Candidates::collect(const Tables& tables,
                                                   std::span<const std::uint32_t> keys) {
    assert(keys.size() == tables.config().tables);
    const bool counting = counting_ == Counting::on;
    begin_epoch(counting ? static_cast<std::uint32_t>(keys.size()) : 1);
    const std::size_t total = find_buckets(tables, keys);
    if (ids_.size() < total) ids_.resize(total);
    found_ = counting ? walk_counting() : walk();
    return {ids_.data(), found_};
}

std::size_t Candidates::walk() noexcept {
    std::uint16_t* const stamps = stamps_.data();
    std::uint32_t* const out = ids_.data();
    const auto met = static_cast<std::uint16_t>(last_);
    std::size_t n = 0;
    for (const std::span<const std::uint32_t> bucket : buckets_) {
        for (const std::uint32_t id : bucket) {
            out[n] = id;
            n += stamps[id] != met ? 1U : 0U;
            stamps[id] = met;
        }
    }
    return n;
}

// The stamp of an id met m times is base_ + m.
std::size_t Candidates::walk_counting() {
    std::uint16_t* const stamps = stamps_.data();
    std::uint32_t* const out = ids_.data();
    const std::uint32_t base = base_;
    std::size_t n = 0;
    for (const std::span<const std::uint32_t> bucket : buckets_) {
        for (const std::uint32_t id : bucket) {
            const std::uint32_t stamp = stamps[id];
            const std::uint32_t known = stamp > base ? 1 : 0;
            const std::uint32_t met =
                (stamp - base) & (0 - known);  // a mask: compilers branch on a maximum
            out[n] = id;
            n += 1 - known;
            stamps[id] = static_cast<std::uint16_t>(base + met + 1);
        }
    }
    if (counts_.size() < n) counts_.resize(ids_.size());
    for (std::size_t i = 0; i < n; ++i) {
        counts_[i] = static_cast<float>(static_cast<std::int32_t>(stamps[out[i]] - base));
    }
    return n;
}

}  // namespace slidekit::lsh
