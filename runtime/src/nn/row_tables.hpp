// Hash tables over the rows of a layer, a part of them in each shard, and their rebuild while
// training goes on.
//
// A rebuild is cut into slices, one a step: the centre, then rows to hash, then tables to fill in
// the second buffer. A step runs its slice beside its selection, when nobody writes weights: a
// row's key is of a defined step whatever the threads and shards, without a thread or a copy of
// rows of its own. What shards have to know of each other, row sums for the centre and bucket
// counts for the caps, they exchange in the middle of a slice.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <slidekit/lsh/family.hpp>
#include <slidekit/lsh/tables.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/blocks.hpp"
#include "nn/exchange.hpp"

namespace slidekit::nn {

class RowTables {
public:
    /// `met`: rows that the tables hold, ascending. What is referred to must outlive this.
    RowTables(system::Runtime& runtime,
              const Parameters& parameters,
              const LshOutput& config,
              std::vector<std::uint32_t> met,
              std::uint64_t seed,
              const Blocks& blocks,
              Exchange& exchange);

    /// Begins a rebuild. Requires: none is under way.
    void begin(const RebuildPlan& plan);
    /// A slice has two rounds. Independent pieces of work that a shard has in one; 0: none.
    enum class Round { first, second };
    [[nodiscard]] std::size_t pieces(std::size_t shard, Round round) const noexcept;
    /// Does one of them. Different pieces may be done by different threads at once.
    void run_piece(std::size_t shard, Round round, std::size_t piece, system::Worker worker);
    /// To be called when all pieces of a round are done in all shards. The second ends the slice.
    void end_round(Round round);
    /// All pieces of a round, and its end.
    void run_round(Round round);
    /// Does what is left at once, and swaps the buffers.
    RebuildReport finish();

    /// Tells of a row that has changed. Distinct rows may be touched by different threads at once.
    void touch(std::uint32_t id) noexcept { touched_[id] = 1; }

    /// Share of the keys of a fixed sample of rows that have changed since the last rebuild.
    /// Requires: no rebuild is under way.
    [[nodiscard]] double drift() const;

    /// Both buffers, the rows' keys and where a rebuild stands. Throws Error (input) for what
    /// contradicts itself.
    void visit_state(StateVisitor& state, const std::string& name);

    /// The functions of the tables that are looked up.
    [[nodiscard]] const lsh::Family& family() const noexcept { return family_; }
    [[nodiscard]] const lsh::Tables& tables(std::size_t shard) const noexcept {
        return parts_[shard].tables;
    }
    /// What the rows in the tables are centred on; zero without centring.
    [[nodiscard]] std::span<const float> centre() const noexcept { return centre_; }
    /// All rows that the tables hold, and those of a shard.
    [[nodiscard]] std::span<const std::uint32_t> met() const noexcept { return met_; }
    [[nodiscard]] std::span<const std::uint32_t> met(std::size_t shard) const noexcept {
        const Range places = parts_[shard].places;
        return met().subspan(places.begin, places.size());
    }

private:
    enum class Phase { none, centre, hash, fill };
    struct Slice {
        Phase phase = Phase::none;
        Range pieces;  // of the phase, over all shards: row sums, blocks of rows, tables
    };
    struct Part {
        Range places;   // in met_
        Range centred;  // of the sample that the centre is the mean of
        lsh::Tables tables;
        system::Region row_keys;         // tables x places
        std::vector<std::int64_t> sums;  // of rows, by piece
    };
    /// A worker's own, a cache line apart from the next one's.
    struct alignas(64) Scratch {
        std::vector<float> block;           // rows to hash, then the kernel's scratch
        std::vector<std::uint32_t> keys;    // table x row of the block
        std::vector<std::uint32_t> places;  // of the block's rows within met_
        std::vector<std::uint32_t> before;  // by key of a table: what other shards hold
        std::vector<std::uint32_t> total;
        std::uint64_t rows = 0;
        double seconds = 0;
    };

    Part make_part(system::Runtime& runtime, std::size_t shard, std::uint64_t seed) const;
    [[nodiscard]] Slice slice() const noexcept;
    [[nodiscard]] Range pieces_of(const Part& part, const Slice& slice) const noexcept;
    [[nodiscard]] std::size_t centre_rows() const noexcept;
    [[nodiscard]] std::uint32_t centre_row(std::size_t i) const noexcept;
    // Queries of sparse DWTA list what they have, and no centre can be taken off the rest.
    [[nodiscard]] bool centred() const noexcept {
        return config_.centre == Centre::on && config_.hash.family != lsh::HashFamily::sparse_dwta;
    }
    [[nodiscard]] bool counts_needed() const noexcept {
        return blocks_.shards() > 1 && config_.bucket_cap > 0;
    }
    void make_room_for_counts();
    void visit_part(StateVisitor& state, const std::string& name, Part& part);
    [[nodiscard]] bool sound_plan() const noexcept;
    [[nodiscard]] bool sound_parts() const noexcept;
    void sum_rows(Part& part, std::size_t piece, Scratch& scratch) noexcept;
    void take_mean();
    void hash_block(Part& part, std::size_t block, Scratch& scratch) noexcept;
    void count_keys(std::size_t shard, std::size_t table) noexcept;
    void fill(std::size_t shard, std::size_t table, Scratch& scratch) noexcept;

    system::Executor& executor_;
    const Parameters& parameters_;
    LshOutput config_;
    const Blocks& blocks_;
    Exchange& exchange_;
    std::vector<std::uint32_t> met_;
    lsh::Family family_;
    std::optional<lsh::Family> next_family_;  // of the rebuild under way, where it draws anew
    std::vector<Part> parts_;                 // by shard
    std::vector<std::uint8_t> touched_;       // by row: changed since it was last hashed
    std::vector<float> centre_;               // of the rows in the tables that are looked up
    std::vector<float> next_centre_;          // of the rebuild under way
    Shared<std::int64_t> shard_sums_;         // of rows
    Shared<std::uint32_t> bucket_counts_;     // of the tables of a slice x buckets

    RebuildPlan plan_;
    std::size_t slices_ = 0;      // of the rebuild under way...
    std::size_t next_slice_ = 0;  // ...and those done
    std::uint64_t rebuilds_ = 0;
    std::uint64_t redraws_ = 0;
    double begin_seconds_ = 0;
    std::vector<Scratch> scratch_;  // by worker
};

}  // namespace slidekit::nn
