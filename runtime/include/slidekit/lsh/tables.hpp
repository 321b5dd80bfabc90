// L hash tables over neuron ids, as CSR: for each table the offsets of its buckets and one array of
// ids.
//
// 4 L (ids + buckets) bytes and a rebuild by counting sort, where fixed buckets of 128 took 6.7 GB
// at Amazon-670K's shape. Tables know ids, never weights: ranking what they give is the layer's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/executor.hpp>
#include <slidekit/system/region.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::lsh {

struct TablesConfig {
    std::uint32_t tables = 50;
    std::uint32_t key_bits = 12;
    std::uint32_t capacity = 0;  // most ids that a rebuild will bring
    std::uint32_t bucket_cap =
        128;  // a fuller bucket keeps a uniform sample of this many; 0: no cap
    std::uint64_t seed = 1;
};

/// How the last rebuild filled the buckets, over all tables.
struct Occupancy {
    std::uint64_t buckets = 0;
    std::uint64_t nonempty = 0;
    std::uint64_t ids = 0;      // kept, over all tables
    std::uint64_t dropped = 0;  // by the cap
    std::uint32_t largest = 0;  // before the cap
};

/// Thread-compatible: rebuild alone, lookups const from many threads.
class SLIDEKIT_API Tables {
public:
    /// Throws Error (memory).
    Tables(system::Runtime& runtime, const TablesConfig& config);

    /// Replaces the contents: ids[i] goes into bucket keys[t * key_stride + i] of table t, for
    /// every t. Within a bucket ids keep their order, also those of a sample, every subset being
    /// equally likely. `generation` (the number of the rebuild) feeds the sample's stream. The
    /// result does not depend on the threads; nothing is allocated. Requires: ids.size() <=
    /// capacity, keys below 2^key_bits, key_stride >= ids.size().
    void rebuild(system::Executor& executor,
                 std::span<const std::uint32_t> ids,
                 const std::uint32_t* keys,
                 std::size_t key_stride,
                 std::uint64_t generation);

    [[nodiscard]] std::span<const std::uint32_t> bucket(std::uint32_t table,
                                                        std::uint32_t key) const noexcept {
        const std::uint32_t* const begin = offset(table, key);
        const std::uint32_t* const ids =
            ids_.as<std::uint32_t>().data() + std::size_t{table} * config_.capacity;
        return {ids + begin[0], begin[1] - begin[0]};
    }
    [[nodiscard]] const TablesConfig& config() const noexcept { return config_; }
    [[nodiscard]] const Occupancy& occupancy() const noexcept { return occupancy_; }

    /// Bytes that tables of this shape take.
    [[nodiscard]] static std::size_t bytes(const TablesConfig& config) noexcept;

private:
    friend class Candidates;  // prefetches the offsets

    /// Begin of a bucket within its table's ids; the next word is its end.
    [[nodiscard]] const std::uint32_t* offset(std::size_t table, std::uint32_t key) const noexcept {
        return offsets_.as<std::uint32_t>().data() +
               table * ((std::size_t{1} << config_.key_bits) + 1) + key;
    }

    TablesConfig config_;
    system::Region offsets_;         // tables x (2^key_bits + 1)
    system::Region ids_;             // tables x capacity
    std::vector<Occupancy> filled_;  // by table
    Occupancy occupancy_;
};

}  // namespace slidekit::lsh
