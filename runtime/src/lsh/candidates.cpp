// The walk over a query's buckets: three loops, so that cache misses overlap. The last, which takes
// the repeats out, is a kernel; the epochs of its stamps are kept here.
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
    const std::size_t probes = keys.size() / tables.config().tables;
    const auto each = [&](const auto& visit) {
        const std::uint32_t* key = keys.data();
        for (std::uint32_t t = 0; t < tables.config().tables; ++t)
            for (std::size_t p = 0; p < probes; ++p, ++key) visit(t, *key);
    };
    each([&](std::uint32_t t, std::uint32_t key) { __builtin_prefetch(tables.offset(t, key)); });
    buckets_.clear();
    std::size_t total = 0;
    each([&](std::uint32_t t, std::uint32_t key) {
        const auto bucket = tables.bucket(t, key);
        buckets_.push_back({bucket.data(), bucket.size()});
        for (std::size_t i = 0; i < bucket.size(); i += kIdsPerLine)
            __builtin_prefetch(bucket.data() + i);
        total += bucket.size();
    });
    return total;
}

std::span<const std::uint32_t> Candidates::collect(const Tables& tables,
                                                   std::span<const std::uint32_t> keys) {
    assert(!keys.empty() && keys.size() % tables.config().tables == 0);
    const bool counting = counting_ == Counting::on;
    begin_epoch(counting ? tables.config().tables : 1);  // an id is in one bucket a table
    const std::size_t total = find_buckets(tables, keys);
    const kernels::BucketsView buckets{buckets_.data(), buckets_.size(), total};
    std::uint16_t* const stamps = stamps_.data();
    if (ids_.size() < total) ids_.resize(total);
    if (counting) {
        if (counts_.size() < total) counts_.resize(ids_.size());
        // The stamp of an id met m times is base_ + m.
        found_ = kernels::count_buckets(buckets,
                                        static_cast<std::uint16_t>(base_),
                                        stamps,
                                        stamps_.size(),
                                        ids_.data(),
                                        counts_.data());
    } else {
        found_ = kernels::dedup_buckets(
            buckets, static_cast<std::uint16_t>(last_), stamps, stamps_.size(), ids_.data());
    }
    return {ids_.data(), found_};
}

}  // namespace slidekit::lsh
