// Grouping: see the header for the idea. All buffers keep their capacity from batch to batch.
#include "nn/grouping.hpp"

#include <algorithm>
#include <bit>

namespace slidekit::nn {

using kernels::GroupsView;
using kernels::Member;

void Grouping::build(system::Executor& executor,
                     std::span<const std::uint32_t> ids,
                     std::span<const SlotRun> runs,
                     std::uint32_t bound,
                     std::uint32_t first) {
    slots_ = ids.size();
    first_ = first;
    const auto id_bits =
        static_cast<unsigned>(std::bit_width(bound > first ? bound - first - 1 : 0U));
    const unsigned shift = id_bits > kBucketBits ? id_bits - kBucketBits : 0;
    scatter(executor, ids, runs, shift);
    executor.for_each(kBuckets,
                      [&](std::size_t bucket, system::Worker) { sort_bucket(bucket, shift); });
    compact(executor);
    uncut();
    cut(first, bound, kPieces);
}

void Grouping::scatter(system::Executor& executor,
                       std::span<const std::uint32_t> ids,
                       std::span<const SlotRun> runs,
                       unsigned shift) {
    const std::size_t per_chunk = (runs.size() + kChunks - 1) / kChunks;
    const auto for_chunk = [&](std::size_t chunk, auto&& visit) {
        const std::size_t end = std::min(runs.size(), (chunk + 1) * per_chunk);
        for (std::size_t sample = chunk * per_chunk; sample < end; ++sample) {
            const SlotRun run = runs[sample];
            for (std::uint32_t slot = run.first; slot < run.first + run.count; ++slot) {
                visit(ids[slot], Member{static_cast<std::uint32_t>(sample), slot});
            }
        }
    };

    executor.for_each(kChunks, [&](std::size_t chunk, system::Worker) {
        auto& counts = chunk_counts_[chunk];
        counts.fill(0);
        for_chunk(chunk, [&](std::uint32_t id, Member) { ++counts[(id - first_) >> shift]; });
    });

    std::uint32_t total = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
        bucket_starts_[bucket] = total;
        for (auto& counts : chunk_counts_) {
            const std::uint32_t count = counts[bucket];
            counts[bucket] = total;
            total += count;
        }
    }
    bucket_starts_[kBuckets] = total;
    entries_.resize(total);
    members_.resize(total);
    loose_ids_.resize(total);
    loose_starts_.resize(total);

    executor.for_each(kChunks, [&](std::size_t chunk, system::Worker) {
        auto& next = chunk_counts_[chunk];
        for_chunk(chunk, [&](std::uint32_t id, Member member) {
            entries_[next[(id - first_) >> shift]++] = {id, member};
        });
    });
}

void Grouping::sort_bucket(std::size_t bucket, unsigned shift) {
    const std::uint32_t begin = bucket_starts_[bucket];
    const std::uint32_t end = bucket_starts_[bucket + 1];
    std::uint32_t groups = 0;
    // Ids of a bucket differ in `shift` low bits; 4,096 counters cover layers of 4 million neurons.
    // Wider layers fall back to a comparison sort of the bucket, which is stable by the slot's
    // order.
    constexpr unsigned kMaxShift = 12;
    if (begin != end && shift <= kMaxShift) {
        std::array<std::uint32_t, (1U << kMaxShift)> next;
        const std::uint32_t width = 1U << shift;
        const std::uint32_t mask = width - 1;
        std::fill_n(next.begin(), width, 0U);
        for (std::uint32_t i = begin; i < end; ++i) ++next[(entries_[i].id - first_) & mask];
        const std::uint32_t base = first_ + (static_cast<std::uint32_t>(bucket) << shift);
        std::uint32_t at = begin;
        for (std::uint32_t low = 0; low < width; ++low) {
            const std::uint32_t count = next[low];
            next[low] = at;
            if (count == 0) continue;
            loose_ids_[begin + groups] = base + low;
            loose_starts_[begin + groups] = at;
            ++groups;
            at += count;
        }
        for (std::uint32_t i = begin; i < end; ++i)
            members_[next[(entries_[i].id - first_) & mask]++] = entries_[i].member;
    } else if (begin != end) {
        std::stable_sort(entries_.begin() + begin,
                         entries_.begin() + end,
                         [](const Entry& a, const Entry& b) { return a.id < b.id; });
        for (std::uint32_t i = begin; i < end; ++i) {
            members_[i] = entries_[i].member;
            if (i == begin || entries_[i].id != entries_[i - 1].id) {
                loose_ids_[begin + groups] = entries_[i].id;
                loose_starts_[begin + groups] = i;
                ++groups;
            }
        }
    }
    bucket_groups_[bucket] = groups;
}

void Grouping::compact(system::Executor& executor) {
    std::uint32_t total = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
        const std::uint32_t groups = bucket_groups_[bucket];
        bucket_groups_[bucket] = total;
        total += groups;
    }
    bucket_groups_[kBuckets] = total;
    ids_.resize(total);
    starts_.resize(total + 1);
    starts_[total] = static_cast<std::uint32_t>(members_.size());
    constexpr std::size_t kBucketsPerTask = 64;
    executor.for_each_piece(
        kBuckets, kBucketsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t bucket = begin; bucket < end; ++bucket) {
                const std::uint32_t from = bucket_starts_[bucket];
                const std::uint32_t to = bucket_groups_[bucket];
                const std::uint32_t groups = bucket_groups_[bucket + 1] - to;
                std::copy_n(loose_ids_.begin() + from, groups, ids_.begin() + to);
                std::copy_n(loose_starts_.begin() + from, groups, starts_.begin() + to);
            }
        });
}

// A row costs about as much as eight of its pairs: three cache-cold lines of state against one hot
// vector.
std::uint64_t Grouping::cost_before(std::size_t group) const noexcept {
    constexpr std::uint64_t kPairsPerRow = 8;
    return starts_[group] + kPairsPerRow * group;
}

std::size_t Grouping::first_group(std::size_t id) const noexcept {
    return static_cast<std::size_t>(std::lower_bound(ids_.begin(), ids_.end(), id) - ids_.begin());
}

std::uint64_t Grouping::work(std::size_t begin, std::size_t end) const noexcept {
    return cost_before(first_group(end)) - cost_before(first_group(begin));
}

void Grouping::cut(std::size_t begin, std::size_t end, std::size_t count) {
    std::size_t group = first_group(begin);
    const std::size_t last = first_group(end);
    const std::uint64_t start = cost_before(group);
    const std::uint64_t whole = cost_before(last) - start;
    for (std::size_t piece = 0; piece < count; ++piece) {
        const std::uint64_t target = start + whole * (piece + 1) / count;
        const std::size_t from = group;
        std::size_t high = last;
        while (group < high) {
            const std::size_t middle = group + (high - group) / 2;
            if (cost_before(middle) < target) {
                group = middle + 1;
            } else {
                high = middle;
            }
        }
        pieces_.push_back({static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(group)});
    }
}

GroupsView Grouping::view() const noexcept {
    return {ids_.data(), starts_.data(), members_.data(), ids_.size(), slots_};
}

GroupsView Grouping::piece(std::size_t index) const noexcept {
    const Piece piece = pieces_[index];
    return {ids_.data() + piece.begin,
            starts_.data() + piece.begin,
            members_.data(),
            piece.end - piece.begin,
            slots_};
}

}  // namespace slidekit::nn
