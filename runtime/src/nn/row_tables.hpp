// Hash tables over the rows of a layer, and their rebuild while training goes on.
//
// A rebuild is cut into slices, one a step: the centre, then rows to hash, then tables to fill in
// the second buffer. A step runs its slice beside its selection, when nobody writes weights: a
// row's key is of a defined step whatever the threads, without a thread or a copy of rows of its
// own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <slidekit/lsh/family.hpp>
#include <slidekit/lsh/tables.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn {

class RowTables {
public:
    /// `met`: rows that the tables hold, ascending. parameters must outlive this.
    RowTables(system::Runtime& runtime,
              const Parameters& parameters,
              const LshOutput& config,
              std::vector<std::uint32_t> met,
              std::uint64_t seed);

    /// Begins a rebuild. Requires: none is under way.
    void begin(const RebuildPlan& plan);
    /// Independent pieces of work that the next slice has; 0 where there is none.
    [[nodiscard]] std::size_t slice_pieces() const noexcept;
    /// Does one of them. Different pieces may be done by different threads at once.
    void run_piece(std::size_t piece, system::Worker worker) noexcept;
    /// To be called when all pieces are done.
    void end_slice() noexcept;
    /// Does what is left at once, and swaps the buffers.
    RebuildReport finish();

    /// Tells of a row that has changed. Distinct rows may be touched by different threads at once.
    void touch(std::uint32_t id) noexcept { touched_[id] = 1; }

    /// Share of the keys of a fixed sample of rows that have changed since the last rebuild.
    /// Requires: no rebuild is under way.
    [[nodiscard]] double drift() const;

    /// The functions of the tables that are looked up.
    [[nodiscard]] const lsh::Family& family() const noexcept { return family_; }
    [[nodiscard]] const lsh::Tables& tables() const noexcept { return tables_; }
    /// What the rows in the tables are centred on; zero without centring.
    [[nodiscard]] std::span<const float> centre() const noexcept { return centre_; }
    [[nodiscard]] std::span<const std::uint32_t> met() const noexcept { return met_; }

private:
    enum class Phase { centre, hash, fill };
    struct Slice {
        Phase phase = Phase::centre;
        std::size_t begin = 0;  // of the phase's pieces
        std::size_t end = 0;
    };
    /// A worker's own, a cache line apart from the next one's.
    struct alignas(64) Scratch {
        std::vector<float> block;           // rows to hash, then the kernel's scratch
        std::vector<std::uint32_t> keys;    // table x row of the block
        std::vector<std::uint32_t> places;  // of the block's rows within met_
        std::uint64_t rows = 0;
        double seconds = 0;
    };

    [[nodiscard]] Slice slice() const noexcept;
    [[nodiscard]] std::size_t centre_pieces() const noexcept;
    [[nodiscard]] bool centred() const noexcept { return config_.centre == Centre::on; }
    void sum_rows(std::size_t piece, Scratch& scratch) noexcept;
    void take_mean() noexcept;
    void hash_block(std::size_t block, Scratch& scratch) noexcept;

    system::Executor& executor_;
    const Parameters& parameters_;
    LshOutput config_;
    std::vector<std::uint32_t> met_;
    lsh::Family family_;
    std::optional<lsh::Family> next_family_;  // of the rebuild under way, where it draws anew
    lsh::Tables tables_;
    system::Region row_keys_;            // tables x met
    std::vector<std::uint8_t> touched_;  // by row: changed since it was last hashed
    std::vector<float> centre_;          // of the rows in the tables that are looked up
    std::vector<float> next_centre_;     // of the rebuild under way
    std::vector<float> sums_;            // of rows, by piece

    RebuildPlan plan_;
    std::size_t slices_ = 0;      // of the rebuild under way...
    std::size_t next_slice_ = 0;  // ...and those done
    std::uint64_t rebuilds_ = 0;
    std::uint64_t redraws_ = 0;
    double begin_seconds_ = 0;
    std::vector<Scratch> scratch_;  // by worker
};

}  // namespace slidekit::nn
