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

// Thins buckets of more than `cap` ids and closes the gaps; stream_of(key) feeds the choice.
// Buckets between two thinned ones move in one piece. Returns how many ids went.
template <class StreamOf>
std::uint32_t thin(const Table& table, std::uint32_t cap, StreamOf stream_of) {
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
        if (end - begin > cap) {
            close_gap(begin);
            system::Stream stream = stream_of(key);
            Selection selection(cap, end - begin);
            for (std::uint32_t i = begin; i < end; ++i) {
                table.ids[kept] = table.ids[i];
                kept += selection.take(stream) ? 1U : 0U;
            }
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

Tables::Tables(system::Runtime& runtime, const TablesConfig& config)
    : config_(config),
      offsets_(runtime.allocate(offsets_bytes(config), "lsh.offsets")),
      ids_(runtime.allocate(ids_bytes(config), "lsh.ids")),
      filled_(config.tables) {}

std::size_t Tables::bytes(const TablesConfig& config) noexcept {
    return offsets_bytes(config) + ids_bytes(config);
}

void Tables::rebuild(system::Executor& executor,
                     std::span<const std::uint32_t> ids,
                     const std::uint32_t* keys,
                     std::size_t key_stride,
                     std::uint64_t generation) {
    assert(ids.size() <= config_.capacity && key_stride >= ids.size());
    const std::uint32_t buckets = buckets_of(config_);
    executor.for_each(config_.tables, [&](std::size_t t, system::Worker) {
        const Table table{offsets_.as<std::uint32_t>().data() + t * (std::size_t{buckets} + 1),
                          ids_.as<std::uint32_t>().data() + t * config_.capacity,
                          buckets};
        const std::span<const std::uint32_t> own_keys(keys + t * key_stride, ids.size());
        count_keys(table, own_keys);
        Occupancy filled = lay_out(table);
        scatter(table, ids, own_keys);
        if (config_.bucket_cap > 0 && filled.largest > config_.bucket_cap) {
            filled.dropped = thin(table, config_.bucket_cap, [&](std::uint32_t key) {
                return system::Stream(
                    config_.seed, system::Purpose::reservoir, generation, t * buckets + key);
            });
            filled.ids -= filled.dropped;
        }
        filled_[t] = filled;
    });
    occupancy_ = {};
    for (const Occupancy& filled : filled_) {
        occupancy_.buckets += filled.buckets;
        occupancy_.nonempty += filled.nonempty;
        occupancy_.ids += filled.ids;
        occupancy_.dropped += filled.dropped;
        occupancy_.largest = std::max(occupancy_.largest, filled.largest);
    }
}

}  // namespace slidekit::lsh
