// Rebuild of the tables by counting sort, one task a table.
//
// The offsets are their own scratch: offsets[key + 1] first counts bucket `key`, then is the
// bucket's write cursor, and when all ids are written stands at the bucket's end, which is the next
// one's begin.
#include <slidekit/lsh/tables.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

#include <slidekit/system/random.hpp>

#include "lsh/selection.hpp"

namespace slidekit::lsh {

namespace {

struct Table {
    std::uint32_t* offsets;  // buckets + 1
    std::uint32_t* ids;
    std::uint32_t buckets;
};

void count_keys(const Table& table, std::span<const std::uint32_t> keys) {
    std::fill_n(table.offsets, table.buckets + 1, 0U);
    for (const std::uint32_t key : keys) {
        assert(key < table.buckets);
        ++table.offsets[key + 1];
    }
}

// Turns counts into write cursors, and takes their statistics on the way.
Occupancy lay_out(const Table& table) {
    Occupancy occupancy{.buckets = table.buckets};
    std::uint32_t begin = 0;
    for (std::uint32_t key = 0; key < table.buckets; ++key) {
        const std::uint32_t size = std::exchange(table.offsets[key + 1], begin);
        begin += size;
        occupancy.nonempty += size > 0 ? 1U : 0U;
        occupancy.largest = std::max(occupancy.largest, size);
    }
    occupancy.ids = begin;
    return occupancy;
}

void scatter(const Table& table,
             std::span<const std::uint32_t> ids,
             std::span<const std::uint32_t> keys) {
    for (std::size_t i = 0; i < ids.size(); ++i) table.ids[table.offsets[keys[i] + 1]++] = ids[i];
}

// Thins the buckets for which over(key, ids) and closes the gaps: keep(key, from, end, to) moves
// the ids that stay to a place that is not behind them and returns how many. Buckets between two
// thinned ones move in one piece. Returns how many ids went.
template <class Over, class Keep>
std::uint32_t thin(const Table& table, Over over, Keep keep) {
    std::uint32_t kept = 0;   // ids before `moved`, thinned and in their place
    std::uint32_t moved = 0;  // where what is not yet in its place begins
    const auto close_gap = [&](std::uint32_t until) {
        if (kept != moved) std::copy(table.ids + moved, table.ids + until, table.ids + kept);
        kept += until - moved;
        moved = until;
    };
    std::uint32_t begin = 0;
    for (std::uint32_t key = 0; key < table.buckets; ++key) {
        const std::uint32_t end = table.offsets[key + 1];
        if (over(key, end - begin)) {
            close_gap(begin);
            kept += keep(key, table.ids + begin, table.ids + end, table.ids + kept);
            moved = end;
        }
        table.offsets[key + 1] = end - (moved - kept);
        begin = end;
    }
    close_gap(begin);
    return begin - kept;
}

std::uint32_t buckets_of(const TablesConfig& config) { return std::uint32_t{1} << config.key_bits; }

std::size_t offsets_bytes(const TablesConfig& config) {
    return sizeof(std::uint32_t) * config.tables * (std::size_t{buckets_of(config)} + 1);
}

std::size_t ids_bytes(const TablesConfig& config) {
    return sizeof(std::uint32_t) * config.tables * config.capacity;
}

}  // namespace

Occupancy& Occupancy::operator+=(const Occupancy& other) noexcept {
    buckets += other.buckets;
    nonempty += other.nonempty;
    ids += other.ids;
    dropped += other.dropped;
    largest = std::max(largest, other.largest);
    return *this;
}

Tables::Buffer Tables::make_buffer(system::Runtime& runtime,
                                   const TablesConfig& config,
                                   const system::Placement& placement) {
    return {.offsets = runtime.allocate(offsets_bytes(config), "lsh.offsets", placement),
            .ids = runtime.allocate(ids_bytes(config), "lsh.ids", placement),
            .filled = std::vector<Occupancy>(config.tables)};
}

Tables::Tables(system::Runtime& runtime,
               const TablesConfig& config,
               const system::Placement& placement)
    : config_(config),
      front_(make_buffer(runtime, config, placement)),
      back_(make_buffer(runtime, config, placement)) {}

std::size_t Tables::bytes(const TablesConfig& config) noexcept {
    return 2 * (offsets_bytes(config) + ids_bytes(config));
}

void Tables::fill(std::uint32_t table_index,
                  std::span<const std::uint32_t> ids,
                  const std::uint32_t* keys,
                  std::uint64_t generation,
                  OtherTables others) noexcept {
    assert(ids.size() <= config_.capacity && table_index < config_.tables);
    const std::uint32_t buckets = buckets_of(config_);
    const std::uint32_t cap = config_.bucket_cap;
    const std::size_t t = table_index;
    const Table table{back_.offsets.as<std::uint32_t>().data() + t * (std::size_t{buckets} + 1),
                      back_.ids.as<std::uint32_t>().data() + t * config_.capacity,
                      buckets};
    const std::span<const std::uint32_t> own_keys(keys, ids.size());
    count_keys(table, own_keys);
    Occupancy filled = lay_out(table);
    scatter(table, ids, own_keys);
    const bool alone = others.before == nullptr;
    if (cap > 0 && (filled.largest > cap || !alone)) {
        const auto over = [&](std::uint32_t key, std::uint32_t size) {
            return (alone ? size : others.total[key]) > cap && size > 0;
        };
        // The bucket's sample is drawn over all its ids, of which these are in the middle.
        const auto sample = [&](std::uint32_t key,
                                const std::uint32_t* from,
                                const std::uint32_t* end,
                                std::uint32_t* to) {
            const auto size = static_cast<std::uint32_t>(end - from);
            system::Stream stream(
                config_.seed, system::Purpose::reservoir, generation, t * buckets + key);
            Selection selection(cap, alone ? size : others.total[key]);
            for (std::uint32_t i = 0; !alone && i < others.before[key]; ++i)
                (void)selection.take(stream);
            std::uint32_t* const first = to;
            for (; from < end; ++from) {
                *to = *from;
                to += selection.take(stream) ? 1 : 0;
            }
            return static_cast<std::uint32_t>(to - first);
        };
        const auto last = [&](std::uint32_t key,
                              const std::uint32_t* from,
                              const std::uint32_t* end,
                              std::uint32_t* to) {
            const auto size = static_cast<std::uint32_t>(end - from);
            const std::uint32_t behind = alone ? 0 : others.total[key] - others.before[key] - size;
            const std::uint32_t kept = std::min(size, cap - std::min(cap, behind));
            std::copy(end - kept, end, to);
            return kept;
        };
        filled.dropped = config_.policy == BucketPolicy::fifo ? thin(table, over, last)
                                                              : thin(table, over, sample);
        filled.ids -= filled.dropped;
    }
    back_.filled[t] = filled;
}

void Tables::swap() noexcept { std::swap(front_, back_); }

Occupancy Tables::occupancy() const noexcept {
    Occupancy sum;
    for (const Occupancy& filled : front_.filled) sum += filled;
    return sum;
}

Tables::Contents Tables::contents(Buffer& buffer) noexcept {
    return {buffer.offsets.as<std::uint32_t>(), buffer.ids.as<std::uint32_t>(), buffer.filled};
}

bool Tables::sound(std::uint32_t bound) const noexcept {
    const std::size_t row = std::size_t{buckets_of(config_)} + 1;
    const auto is_sound = [&](const Buffer& buffer) {
        const std::span<const std::uint32_t> offsets = buffer.offsets.as<std::uint32_t>();
        for (std::size_t t = 0; t < config_.tables; ++t) {
            const std::span<const std::uint32_t> ends = offsets.subspan(t * row, row);
            if (ends.back() > config_.capacity || !std::is_sorted(ends.begin(), ends.end()))
                return false;
        }
        const std::span<const std::uint32_t> ids = buffer.ids.as<std::uint32_t>();
        return std::all_of(ids.begin(), ids.end(), [&](std::uint32_t id) { return id < bound; });
    };
    return is_sound(front_) && is_sound(back_);
}

void Tables::rebuild(system::Executor& executor,
                     std::span<const std::uint32_t> ids,
                     const std::uint32_t* keys,
                     std::size_t key_stride,
                     std::uint64_t generation) {
    assert(key_stride >= ids.size());
    executor.for_each(config_.tables, [&](std::size_t t, system::Worker) {
        fill(static_cast<std::uint32_t>(t), ids, keys + t * key_stride, generation);
    });
    swap();
}

}  // namespace slidekit::lsh
