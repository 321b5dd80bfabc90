// Slices of a rebuild: see the header.
#include "nn/row_tables.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/system/random.hpp>

#include "nn/output_step.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr std::size_t kBlock = 64;  // rows hashed at once

// The centre is the mean of so many rows, evenly spread: its error is a hundredth of the rows'
// spread, and it costs a slice no more than the others (of all rows: a tenth of the rebuild).
constexpr std::size_t kCentreRows = 8192;
constexpr std::size_t kRowsPerSum = 512;

// Hashing takes about three times as long as filling, at 142,690 rows and at 670,091.
constexpr std::size_t kHashShare = 3;
constexpr std::size_t kFillShare = 1;
constexpr std::size_t kLeastSlices = 3;  // one a phase

constexpr std::size_t kDriftRows = 256;

lsh::TablesConfig tables_config(const LshOutput& config,
                                std::uint32_t capacity,
                                std::uint64_t seed) {
    return {.tables = config.hash.l,
            .key_bits = lsh::key_bits(config.hash),
            .capacity = uses_tables(config.sampling) ? capacity : 0,
            .bucket_cap = config.bucket_cap,
            .policy = config.bucket_policy,
            .seed = seed};
}

lsh::HashConfig redrawn(lsh::HashConfig hash, std::uint64_t redraw) {
    hash.seed = system::Stream(hash.seed, system::Purpose::hash_functions, 0, redraw)();
    return hash;
}

std::size_t blocks_of(std::size_t rows) { return (rows + kBlock - 1) / kBlock; }

}  // namespace

RowTables::RowTables(system::Runtime& runtime,
                     const Parameters& parameters,
                     const LshOutput& config,
                     std::vector<std::uint32_t> met,
                     std::uint64_t seed)
    : executor_(runtime.executor()),
      parameters_(parameters),
      config_(config),
      met_(std::move(met)),
      family_(config.hash, parameters.dim()),
      tables_(runtime, tables_config(config, static_cast<std::uint32_t>(met_.size()), seed)),
      row_keys_(runtime.allocate(
          tables_.config().capacity * std::size_t{config.hash.l} * sizeof(std::uint32_t),
          "output.row_keys")),
      touched_(parameters.rows(), 1),
      centre_(parameters.dim()),
      next_centre_(parameters.dim()),
      sums_(centre_pieces() * parameters.dim()),
      scratch_(executor_.threads()) {
    for (Scratch& scratch : scratch_) {
        scratch.block.resize(kBlock * padded_stride(parameters.dim()) + family_.scratch_floats());
        scratch.keys.resize(kBlock * config.hash.l);
        scratch.places.reserve(kBlock);
    }
}

// ---- slices ----

void RowTables::begin(const RebuildPlan& plan) {
    assert(slices_ == 0);
    StageClock clock;
    plan_ = plan;
    slices_ = std::max<std::size_t>(kLeastSlices, plan.steps);
    next_slice_ = 0;
    if (plan.functions == HashFunctions::redraw) {
        next_family_.emplace(redrawn(config_.hash, ++redraws_), parameters_.dim());
        plan_.rows = RebuildRows::all;
    }
    for (Scratch& scratch : scratch_) {
        scratch.rows = 0;
        scratch.seconds = 0;
    }
    begin_seconds_ = clock.lap();
}

RowTables::Slice RowTables::slice() const noexcept {
    if (next_slice_ == slices_) return {};
    if (next_slice_ == 0) return {Phase::centre, 0, centred() ? centre_pieces() : 0};
    const auto part = [](Phase phase, std::size_t pieces, std::size_t index, std::size_t count) {
        return Slice{phase, pieces * index / count, pieces * (index + 1) / count};
    };
    const std::size_t hashing =
        std::max<std::size_t>(1, (slices_ - 1) * kHashShare / (kHashShare + kFillShare));
    const std::size_t index = next_slice_ - 1;
    if (index < hashing) return part(Phase::hash, blocks_of(met_.size()), index, hashing);
    return part(Phase::fill, config_.hash.l, index - hashing, slices_ - 1 - hashing);
}

std::size_t RowTables::slice_pieces() const noexcept {
    const Slice now = slice();
    return now.end - now.begin;
}

void RowTables::run_piece(std::size_t piece, system::Worker worker) noexcept {
    StageClock clock;
    const Slice now = slice();
    const std::size_t index = now.begin + piece;
    Scratch& scratch = scratch_[worker];
    switch (now.phase) {
        case Phase::centre: sum_rows(index, scratch); break;
        case Phase::hash: hash_block(index, scratch); break;
        case Phase::fill:
            tables_.fill(static_cast<std::uint32_t>(index),
                         met_,
                         row_keys_.as<std::uint32_t>().data() + index * met_.size(),
                         rebuilds_);
            break;
    }
    scratch.seconds += clock.lap();
}

void RowTables::end_slice() noexcept {
    if (next_slice_ == slices_) return;
    if (next_slice_ == 0 && centred()) take_mean();
    ++next_slice_;
}

RebuildReport RowTables::finish() {
    StageClock clock;
    RebuildReport report;
    report.steps = plan_.steps;
    for (const Scratch& scratch : scratch_) report.background_seconds += scratch.seconds;
    while (next_slice_ < slices_) {
        executor_.for_each(slice_pieces(), [&](std::size_t piece, system::Worker worker) {
            run_piece(piece, worker);
        });
        end_slice();
    }
    tables_.swap();
    if (centred()) centre_.swap(next_centre_);
    if (next_family_) family_ = std::move(*std::exchange(next_family_, std::nullopt));
    slices_ = next_slice_ = 0;
    ++rebuilds_;
    for (const Scratch& scratch : scratch_) report.rows += scratch.rows;
    report.occupancy = tables_.occupancy();
    report.seconds = begin_seconds_ + clock.lap();
    return report;
}

// ---- centre and keys ----

std::size_t RowTables::centre_pieces() const noexcept {
    return (std::min(met_.size(), kCentreRows) + kRowsPerSum - 1) / kRowsPerSum;
}

// Summed over fixed pieces, in order, so that the mean's bits do not depend on the threads.
void RowTables::sum_rows(std::size_t piece, Scratch& scratch) noexcept {
    const std::size_t count = std::min(met_.size(), kCentreRows);
    float* sum = sums_.data() + piece * parameters_.dim();
    std::fill_n(sum, parameters_.dim(), 0.0F);
    for (std::size_t i = piece * kRowsPerSum; i < std::min(count, (piece + 1) * kRowsPerSum); ++i) {
        const std::uint32_t id = met_[i * met_.size() / count];
        kernels::axpy(1, parameters_.row(id, scratch.block.data()), sum, parameters_.dim());
    }
}

void RowTables::take_mean() noexcept {
    const std::size_t dim = parameters_.dim();
    std::fill(next_centre_.begin(), next_centre_.end(), 0.0F);
    for (std::size_t piece = 0; piece < centre_pieces(); ++piece)
        kernels::axpy(1, sums_.data() + piece * dim, next_centre_.data(), dim);
    const std::size_t count = std::max<std::size_t>(1, std::min(met_.size(), kCentreRows));
    kernels::scale(1.0F / static_cast<float>(count), next_centre_.data(), dim);
}

// Rows are copied first: those to be hashed need not be neighbours. A row that was not touched
// keeps its key, although the centre has moved since.
void RowTables::hash_block(std::size_t block, Scratch& scratch) noexcept {
    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(dim);
    const std::size_t begin = block * kBlock;
    const std::size_t end = std::min(met_.size(), begin + kBlock);
    float* const copies = scratch.block.data();
    scratch.places.clear();
    for (std::size_t i = begin; i < end; ++i) {
        const bool touched = std::exchange(touched_[met_[i]], std::uint8_t{0}) != 0;
        if (!touched && plan_.rows == RebuildRows::touched) continue;
        parameters_.copy_row(met_[i], copies + scratch.places.size() * stride);
        scratch.places.push_back(static_cast<std::uint32_t>(i));
    }
    const lsh::Family& family = next_family_ ? *next_family_ : family_;
    family.hash_rows({copies, scratch.places.size(), dim, stride},
                     centred() ? next_centre_.data() : nullptr,
                     scratch.keys.data(),
                     {.row_stride = 1, .table_stride = kBlock},
                     copies + kBlock * stride);
    std::uint32_t* const keys = row_keys_.as<std::uint32_t>().data();
    for (std::size_t t = 0; t < config_.hash.l; ++t) {
        for (std::size_t j = 0; j < scratch.places.size(); ++j)
            keys[t * met_.size() + scratch.places[j]] = scratch.keys[t * kBlock + j];
    }
    scratch.rows += scratch.places.size();
}

// Evenly spread rows; integers, so that the sum does not depend on its order.
double RowTables::drift() const {
    assert(slices_ == 0);
    const std::size_t dim = parameters_.dim();
    const std::size_t count = std::min(met_.size(), kDriftRows);
    if (count == 0) return 0;
    const std::uint32_t* const keys = row_keys_.as<std::uint32_t>().data();
    std::vector<std::uint64_t> changed(blocks_of(count));
    executor_.for_each_piece(
        count, kBlock, [&](std::size_t begin, std::size_t end, system::Worker) {
            const std::size_t stride = padded_stride(dim);
            std::vector<float> block(kBlock * stride + family_.scratch_floats());
            std::vector<std::uint32_t> now(kBlock * config_.hash.l);
            const auto place = [&](std::size_t i) { return i * met_.size() / count; };
            for (std::size_t i = begin; i < end; ++i)
                parameters_.copy_row(met_[place(i)], block.data() + (i - begin) * stride);
            family_.hash_rows({block.data(), end - begin, dim, stride},
                              centred() ? centre_.data() : nullptr,
                              now.data(),
                              {.row_stride = 1, .table_stride = kBlock},
                              block.data() + kBlock * stride);
            for (std::size_t t = 0; t < config_.hash.l; ++t) {
                for (std::size_t i = begin; i < end; ++i) {
                    const bool same =
                        now[t * kBlock + i - begin] == keys[t * met_.size() + place(i)];
                    changed[begin / kBlock] += same ? 0 : 1;
                }
            }
        });
    std::uint64_t total = 0;
    for (const std::uint64_t block : changed) total += block;
    return static_cast<double>(total) / static_cast<double>(count * config_.hash.l);
}

}  // namespace slidekit::nn
