// Groups the pairs (sample, id) of a batch by id: the radix sort between selection and the
// row-major step.
//
// Two passes, both parallel and both stable, so that the result is the one sorted order whatever
// the number of threads: samples are cut into fixed chunks that scatter into buckets of
// neighbouring ids; each bucket is then sorted by counting, in L1.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/kernels/views.hpp>
#include <slidekit/system/executor.hpp>

namespace slidekit::nn {

/// The ids of one sample: ids[first] .. ids[first + count - 1]; the index into ids is the pair's
/// slot.
struct SlotRun {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};

class Grouping {
public:
    /// Groups ids[slot] of all runs; run s belongs to sample s. Ids are from `first` to `bound`
    /// - 1.
    void build(system::Executor& executor,
               std::span<const std::uint32_t> ids,
               std::span<const SlotRun> runs,
               std::uint32_t bound,
               std::uint32_t first = 0);

    /// What the groups of ids in [begin, end) cost, in pairs.
    [[nodiscard]] std::uint64_t work(std::size_t begin, std::size_t end) const noexcept;

    /// All groups, ids ascending; members of a group by ascending sample. Valid until the next
    /// build.
    [[nodiscard]] kernels::GroupsView view() const noexcept;
    [[nodiscard]] std::size_t pairs() const noexcept { return members_.size(); }

    /// The groups cut into runs of about equal work, whatever the number of threads: kPieces of
    /// all by build(), until cut() begins anew.
    static constexpr std::size_t kPieces = 32;
    [[nodiscard]] std::size_t pieces() const noexcept { return pieces_.size(); }
    [[nodiscard]] kernels::GroupsView piece(std::size_t index) const noexcept;
    /// No pieces.
    void uncut() noexcept { pieces_.clear(); }
    /// Adds `count` pieces: of the groups of ids in [begin, end).
    void cut(std::size_t begin, std::size_t end, std::size_t count);

private:
    static constexpr std::size_t kChunks = 16;
    static constexpr unsigned kBucketBits = 10;
    static constexpr std::size_t kBuckets = std::size_t{1} << kBucketBits;
    struct Entry {
        std::uint32_t id;
        kernels::Member member;
    };

    struct Piece {
        std::uint32_t begin;
        std::uint32_t end;
    };

    void scatter(system::Executor& executor,
                 std::span<const std::uint32_t> ids,
                 std::span<const SlotRun> runs,
                 unsigned shift);
    void sort_bucket(std::size_t bucket, unsigned shift);
    void compact(system::Executor& executor);
    [[nodiscard]] std::size_t first_group(std::size_t id) const noexcept;
    [[nodiscard]] std::uint64_t cost_before(std::size_t group) const noexcept;

    std::array<std::array<std::uint32_t, kBuckets>, kChunks> chunk_counts_;
    std::array<std::uint32_t, kBuckets + 1> bucket_starts_;
    std::array<std::uint32_t, kBuckets + 1> bucket_groups_;  // groups before each bucket
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> loose_ids_;  // groups of a bucket, from its first pair's place on
    std::vector<std::uint32_t> loose_starts_;
    std::vector<kernels::Member> members_;
    std::vector<std::uint32_t> ids_;
    std::vector<std::uint32_t> starts_;
    std::vector<Piece> pieces_;  // of groups
    std::size_t slots_ = 0;
    std::uint32_t first_ = 0;  // least id
};

}  // namespace slidekit::nn
