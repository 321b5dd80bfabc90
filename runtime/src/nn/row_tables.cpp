// Slices of a rebuild: see the header.
#include "nn/row_tables.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include <slidekit/system/error.hpp>
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

// Rows are summed in units of 2^-32, exactly, so that the sum does not depend on how shards cut it.
constexpr double kUnits = 4294967296.0;
constexpr double kMostUnits = 1e15;  // 8192 of them fit 64 bits

// Hashing takes about three times as long as filling, at 142,690 rows and at 670,091.
constexpr std::size_t kHashShare = 3;
constexpr std::size_t kFillShare = 1;
constexpr std::size_t kLeastSlices = 3;  // one a phase

constexpr std::size_t kDriftRows = 256;

lsh::HashConfig redrawn(lsh::HashConfig hash, std::uint64_t redraw) {
    hash.seed = system::Stream(hash.seed, system::Purpose::hash_functions, 0, redraw)();
    return hash;
}

std::size_t pieces_in(std::size_t count, std::size_t of) { return (count + of - 1) / of; }

std::int64_t in_units(float weight) {
    const double units = static_cast<double>(weight) * kUnits;
    if (std::isnan(units)) return 0;
    return static_cast<std::int64_t>(std::clamp(units, -kMostUnits, kMostUnits));
}

// Of `count` things spread evenly over `whole` places, those whose place is in the range.
Range spread_in(std::size_t count, std::size_t whole, Range places) {
    const auto first_at = [&](std::size_t place) {
        return whole == 0 ? count : std::min(count, pieces_in(place * count, whole));
    };
    return {first_at(places.begin), first_at(places.end)};
}

}  // namespace

RowTables::RowTables(system::Runtime& runtime,
                     const Parameters& parameters,
                     const LshOutput& config,
                     std::vector<std::uint32_t> met,
                     std::uint64_t seed,
                     const Blocks& blocks,
                     Exchange& exchange)
    : executor_(runtime.executor()),
      parameters_(parameters),
      config_(config),
      blocks_(blocks),
      exchange_(exchange),
      met_(std::move(met)),
      family_(config.hash, parameters.dim()),
      touched_(parameters.rows(), 1),
      centre_(parameters.dim()),
      next_centre_(parameters.dim()),
      scratch_(executor_.threads()) {
    for (std::size_t s = 0; s < blocks.shards(); ++s) parts_.push_back(make_part(runtime, s, seed));
    shard_sums_.resize(parts_.size(), parameters.dim());
    for (Scratch& scratch : scratch_) {
        scratch.block.resize(kBlock * padded_stride(parameters.dim()) + family_.scratch_floats());
        scratch.keys.resize(kBlock * config.hash.l);
        scratch.places.reserve(kBlock);
    }
}

RowTables::Part RowTables::make_part(system::Runtime& runtime,
                                     std::size_t shard,
                                     std::uint64_t seed) const {
    const Range neurons = blocks_.neurons_of_shard(shard);
    const auto place_of = [&](std::size_t neuron) {
        return static_cast<std::size_t>(std::lower_bound(met_.begin(), met_.end(), neuron) -
                                        met_.begin());
    };
    const Range places{place_of(neurons.begin), place_of(neurons.end)};
    const std::size_t capacity = uses_tables(config_.sampling) ? places.size() : 0;
    const system::Placement placement =
        blocks_.shards() == 1 ? runtime.interleaved() : runtime.on_domain(shard);
    const Range centred = spread_in(centre_rows(), met_.size(), places);
    return {.places = places,
            .centred = centred,
            .tables = lsh::Tables(runtime,
                                  {.tables = config_.hash.l,
                                   .key_bits = lsh::key_bits(config_.hash),
                                   .capacity = static_cast<std::uint32_t>(capacity),
                                   .bucket_cap = config_.bucket_cap,
                                   .policy = config_.bucket_policy,
                                   .seed = seed},
                                  placement),
            .row_keys = runtime.allocate(
                capacity * config_.hash.l * sizeof(std::uint32_t), "output.row_keys", placement),
            .sums = std::vector<std::int64_t>(pieces_in(centred.size(), kRowsPerSum) *
                                              parameters_.dim())};
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
    if (next_slice_ == 0) return {Phase::centre, {0, centred() ? centre_rows() : 0}};
    const auto part = [](Phase phase, std::size_t pieces, std::size_t index, std::size_t count) {
        return Slice{phase, {pieces * index / count, pieces * (index + 1) / count}};
    };
    const std::size_t hashing =
        std::max<std::size_t>(1, (slices_ - 1) * kHashShare / (kHashShare + kFillShare));
    const std::size_t index = next_slice_ - 1;
    if (index < hashing) return part(Phase::hash, pieces_in(met_.size(), kBlock), index, hashing);
    return part(Phase::fill, config_.hash.l, index - hashing, slices_ - 1 - hashing);
}

// Blocks of rows are counted over the whole layer, so that a row is hashed in the same slice
// however it is cut; one that two shards share is done by both, each its own rows.
Range RowTables::pieces_of(const Part& part, const Slice& now) const noexcept {
    switch (now.phase) {
        case Phase::none: return {};
        case Phase::centre:
            return {0, now.pieces.size() == 0 ? 0 : pieces_in(part.centred.size(), kRowsPerSum)};
        case Phase::hash: {
            if (part.places.size() == 0) return {};
            const std::size_t begin = std::max(now.pieces.begin, part.places.begin / kBlock);
            const std::size_t end = std::min(now.pieces.end, pieces_in(part.places.end, kBlock));
            return {begin, std::max(begin, end)};
        }
        case Phase::fill: return now.pieces;
    }
    return {};
}

std::size_t RowTables::pieces(std::size_t shard, Round round) const noexcept {
    const Slice now = slice();
    const bool in_first = now.phase != Phase::fill || counts_needed();
    const bool in_second = now.phase == Phase::fill;
    if (round == Round::first ? !in_first : !in_second) return 0;
    return pieces_of(parts_[shard], now).size();
}

void RowTables::run_piece(std::size_t shard,
                          Round round,
                          std::size_t piece,
                          system::Worker worker) {
    StageClock clock;
    const Slice now = slice();
    Part& part = parts_[shard];
    const std::size_t index = pieces_of(part, now).begin + piece;
    Scratch& scratch = scratch_[worker];
    switch (now.phase) {
        case Phase::none: break;
        case Phase::centre: sum_rows(part, index, scratch); break;
        case Phase::hash: hash_block(part, index, scratch); break;
        case Phase::fill:
            if (round == Round::first) {
                count_keys(shard, index);
            } else {
                fill(shard, index, scratch);
            }
            break;
    }
    scratch.seconds += clock.lap();
}

void RowTables::end_round(Round round) {
    if (next_slice_ == slices_) return;
    const Slice now = slice();
    if (round == Round::second) {
        ++next_slice_;
    } else if (now.phase == Phase::centre && centred()) {
        take_mean();
    } else if (now.phase == Phase::fill && counts_needed()) {
        bucket_counts_.gather(exchange_, blocks_);
    }
    if (round == Round::second) make_room_for_counts();
}

// Of the slice that comes.
void RowTables::make_room_for_counts() {
    const Slice next = slice();
    if (next.phase != Phase::fill || !counts_needed()) return;
    const std::size_t buckets = std::size_t{1} << lsh::key_bits(config_.hash);
    bucket_counts_.resize(parts_.size(), next.pieces.size() * buckets);
}

void RowTables::run_round(Round round) {
    for_each_shard(executor_, blocks_, exchange_, [&](std::size_t shard) {
        executor_.for_each(pieces(shard, round), [&](std::size_t piece, system::Worker worker) {
            run_piece(shard, round, piece, worker);
        });
    });
    end_round(round);
}

RebuildReport RowTables::finish() {
    StageClock clock;
    RebuildReport report;
    report.steps = plan_.steps;
    for (const Scratch& scratch : scratch_) report.background_seconds += scratch.seconds;
    while (next_slice_ < slices_) {
        run_round(Round::first);
        run_round(Round::second);
    }
    for (Part& part : parts_) part.tables.swap();
    if (centred()) centre_.swap(next_centre_);
    if (next_family_) family_ = std::move(*std::exchange(next_family_, std::nullopt));
    slices_ = next_slice_ = 0;
    ++rebuilds_;
    for (const Scratch& scratch : scratch_) report.rows += scratch.rows;
    for (const Part& part : parts_) report.occupancy += part.tables.occupancy();
    report.seconds = begin_seconds_ + clock.lap();
    return report;
}

// ---- state ----

void RowTables::visit_state(StateVisitor& state, const std::string& name) {
    bool redrawing = next_family_.has_value();
    std::uint64_t rows = 0;
    double seconds = 0;
    for (const Scratch& scratch : scratch_) {
        rows += scratch.rows;
        seconds += scratch.seconds;
    }
    state.numbers(name + ".counts", rebuilds_, redraws_, redrawing);
    state.numbers(name + ".plan", plan_.rows, plan_.steps, plan_.functions);
    state.numbers(name + ".slices", slices_, next_slice_, rows);
    state.numbers(name + ".seconds", begin_seconds_, seconds);
    const auto check = [&](bool sound) {
        if (sound) return;
        throw Error(
            ErrorCode::input, name, "the tables contradict themselves; use an older checkpoint");
    };
    check(sound_plan() && (!redrawing || (slices_ > 0 && redraws_ > 0)));
    state.values(name + ".centre", std::span(centre_));
    state.values(name + ".next_centre", std::span(next_centre_));
    state.values(name + ".touched", std::span(touched_));
    for (std::size_t s = 0; s < parts_.size(); ++s)
        visit_part(state, name + "." + std::to_string(s), parts_[s]);
    if (!state.restoring()) return;

    check(sound_parts());
    const auto family = [&](std::uint64_t redraw) {
        return lsh::Family(redraw == 0 ? config_.hash : redrawn(config_.hash, redraw),
                           parameters_.dim());
    };
    family_ = family(redraws_ - (redrawing ? 1 : 0));
    next_family_.reset();
    if (redrawing) next_family_.emplace(family(redraws_));
    for (Scratch& scratch : scratch_) {
        scratch.rows = std::exchange(rows, 0);
        scratch.seconds = std::exchange(seconds, 0);
    }
    make_room_for_counts();
}

void RowTables::visit_part(StateVisitor& state, const std::string& name, Part& part) {
    const auto visit = [&](const std::string& buffer, const lsh::Tables::Contents& contents) {
        state.values(buffer + "offsets", contents.offsets);
        state.values(buffer + "ids", contents.ids);
        std::vector<std::uint64_t> words;
        for (const lsh::Occupancy& filled : contents.filled)
            words.insert(words.end(),
                         {filled.buckets,
                          filled.nonempty,
                          filled.ids,
                          filled.dropped,
                          std::uint64_t{filled.largest}});
        state.words(buffer + "occupancy", "U64", words);
        const std::uint64_t* word = words.data();
        for (lsh::Occupancy& filled : contents.filled) {
            filled = {word[0], word[1], word[2], word[3], static_cast<std::uint32_t>(word[4])};
            word += 5;
        }
    };
    visit(name + ".", part.tables.looked_up());
    // Of the second buffer what this rebuild has filled.
    const Slice next = slice();
    const std::size_t all = config_.hash.l;
    std::size_t filled = next.phase == Phase::fill ? next.pieces.begin : 0;
    if (next.phase == Phase::none && slices_ > 0) filled = all;
    const lsh::Tables::Contents second = part.tables.second();
    if (filled > 0)
        visit(name + ".second_",
              {second.offsets.first(second.offsets.size() / all * filled),
               second.ids.first(second.ids.size() / all * filled),
               second.filled.first(filled)});
    state.values(name + ".row_keys", part.row_keys.as<std::uint32_t>());
}

// Of what comes from a file: nothing that would be read or written out of bounds.
bool RowTables::sound_plan() const noexcept {
    if (slices_ == 0) return next_slice_ == 0;
    return slices_ == std::max<std::size_t>(kLeastSlices, plan_.steps) && next_slice_ <= slices_ &&
           plan_.rows <= RebuildRows::all && plan_.functions <= HashFunctions::redraw;
}

bool RowTables::sound_parts() const noexcept {
    const std::uint64_t buckets = std::uint64_t{1} << lsh::key_bits(config_.hash);
    return std::all_of(parts_.begin(), parts_.end(), [&](const Part& part) {
        const std::span<const std::uint32_t> keys = part.row_keys.as<std::uint32_t>();
        return part.tables.sound(parameters_.rows()) &&
               std::all_of(keys.begin(), keys.end(), [&](auto key) { return key < buckets; });
    });
}

// ---- centre ----

std::size_t RowTables::centre_rows() const noexcept { return std::min(met_.size(), kCentreRows); }

std::uint32_t RowTables::centre_row(std::size_t i) const noexcept {
    return met_[i * met_.size() / centre_rows()];
}

void RowTables::sum_rows(Part& part, std::size_t piece, Scratch& scratch) noexcept {
    const std::size_t dim = parameters_.dim();
    std::int64_t* const sum = part.sums.data() + piece * dim;
    std::fill_n(sum, dim, std::int64_t{0});
    const std::size_t begin = part.centred.begin + piece * kRowsPerSum;
    for (std::size_t i = begin; i < std::min(part.centred.end, begin + kRowsPerSum); ++i) {
        const float* const row = parameters_.row(centre_row(i), scratch.block.data());
        for (std::size_t k = 0; k < dim; ++k) sum[k] += in_units(row[k]);
    }
}

void RowTables::take_mean() {
    const std::size_t dim = parameters_.dim();
    for (std::size_t s = 0; s < parts_.size(); ++s) {
        const std::span<std::int64_t> own = shard_sums_.part(s);
        std::fill(own.begin(), own.end(), 0);
        for (std::size_t i = 0; i < parts_[s].sums.size(); ++i) own[i % dim] += parts_[s].sums[i];
    }
    shard_sums_.gather(exchange_, blocks_);
    const double count = static_cast<double>(std::max<std::size_t>(1, centre_rows()));
    for (std::size_t k = 0; k < dim; ++k) {
        std::int64_t sum = 0;
        for (std::size_t s = 0; s < parts_.size(); ++s) sum += shard_sums_.part(s)[k];
        next_centre_[k] = static_cast<float>(static_cast<double>(sum) / kUnits / count);
    }
}

// ---- keys and tables ----

// Rows are copied first: those to be hashed need not be neighbours. A row that was not touched
// keeps its key, although the centre has moved since.
void RowTables::hash_block(Part& part, std::size_t block, Scratch& scratch) noexcept {
    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(dim);
    const std::size_t begin = std::max(part.places.begin, block * kBlock);
    const std::size_t end = std::min(part.places.end, (block + 1) * kBlock);
    float* const copies = scratch.block.data();
    scratch.places.clear();
    for (std::size_t i = begin; i < end; ++i) {
        const bool touched = std::exchange(touched_[met_[i]], std::uint8_t{0}) != 0;
        if (!touched && plan_.rows == RebuildRows::touched) continue;
        parameters_.copy_row(met_[i], copies + scratch.places.size() * stride);
        scratch.places.push_back(static_cast<std::uint32_t>(i - part.places.begin));
    }
    const lsh::Family& family = next_family_ ? *next_family_ : family_;
    family.hash_rows({copies, scratch.places.size(), dim, stride},
                     centred() ? next_centre_.data() : nullptr,
                     scratch.keys.data(),
                     {.row_stride = 1, .table_stride = kBlock},
                     copies + kBlock * stride);
    std::uint32_t* const keys = part.row_keys.as<std::uint32_t>().data();
    for (std::size_t t = 0; t < config_.hash.l; ++t) {
        for (std::size_t j = 0; j < scratch.places.size(); ++j)
            keys[t * part.places.size() + scratch.places[j]] = scratch.keys[t * kBlock + j];
    }
    scratch.rows += scratch.places.size();
}

void RowTables::count_keys(std::size_t shard, std::size_t table) noexcept {
    const Part& part = parts_[shard];
    const std::size_t buckets = std::size_t{1} << lsh::key_bits(config_.hash);
    std::uint32_t* const counts =
        bucket_counts_.part(shard).data() + (table - slice().pieces.begin) * buckets;
    std::fill_n(counts, buckets, 0U);
    const std::uint32_t* const keys =
        part.row_keys.as<std::uint32_t>().data() + table * part.places.size();
    for (std::size_t i = 0; i < part.places.size(); ++i) ++counts[keys[i]];
}

void RowTables::fill(std::size_t shard, std::size_t table, Scratch& scratch) noexcept {
    Part& part = parts_[shard];
    lsh::OtherTables others;
    if (counts_needed()) {
        const std::size_t buckets = std::size_t{1} << lsh::key_bits(config_.hash);
        const std::size_t first = (table - slice().pieces.begin) * buckets;
        scratch.before.assign(buckets, 0);
        scratch.total.assign(buckets, 0);
        for (std::size_t s = 0; s < parts_.size(); ++s) {
            const std::uint32_t* const counts = bucket_counts_.part(s).data() + first;
            for (std::size_t key = 0; key < buckets; ++key) {
                scratch.total[key] += counts[key];
                if (s < shard) scratch.before[key] += counts[key];
            }
        }
        others = {scratch.before.data(), scratch.total.data()};
    }
    part.tables.fill(static_cast<std::uint32_t>(table),
                     met(shard),
                     part.row_keys.as<std::uint32_t>().data() + table * part.places.size(),
                     rebuilds_,
                     others);
}

// Evenly spread rows; integers, so that the sum does not depend on its order.
double RowTables::drift() const {
    assert(slices_ == 0);
    const std::size_t dim = parameters_.dim();
    const std::size_t count = std::min(met_.size(), kDriftRows);
    if (count == 0) return 0;
    Shared<std::uint64_t> changed;
    changed.resize(parts_.size(), 1);
    for (std::size_t s = 0; s < parts_.size(); ++s) {
        if (!exchange_.own(s)) continue;
        const Part& part = parts_[s];
        const std::uint32_t* const keys = part.row_keys.as<std::uint32_t>().data();
        const Range rows = spread_in(count, met_.size(), part.places);
        std::vector<std::uint64_t> by_piece(pieces_in(rows.size(), kBlock));
        executor_.for_each_piece(
            rows.size(), kBlock, [&](std::size_t begin, std::size_t end, system::Worker) {
                const std::size_t stride = padded_stride(dim);
                std::vector<float> block(kBlock * stride + family_.scratch_floats());
                std::vector<std::uint32_t> now(kBlock * config_.hash.l);
                const auto place = [&](std::size_t i) {
                    return (rows.begin + i) * met_.size() / count;
                };
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
                            now[t * kBlock + i - begin] ==
                            keys[t * part.places.size() + place(i) - part.places.begin];
                        by_piece[begin / kBlock] += same ? 0 : 1;
                    }
                }
            });
        for (const std::uint64_t piece : by_piece) changed.part(s)[0] += piece;
    }
    changed.gather(exchange_, blocks_);
    std::uint64_t total = 0;
    for (std::size_t s = 0; s < parts_.size(); ++s) total += changed.part(s)[0];
    return static_cast<double>(total) / static_cast<double>(count * config_.hash.l);
}

}  // namespace slidekit::nn
