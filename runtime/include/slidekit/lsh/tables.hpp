// L hash tables over neuron ids, as CSR: for each table the offsets of its buckets and one array of
// ids.
//
// 4 L (ids + buckets) bytes and a rebuild by counting sort, where fixed buckets of 128 took 6.7 GB
// at Amazon-670K's shape. Tables know ids, never weights: ranking what they give is the layer's.
// There are two buffers, so that one is filled, table by table, while the other is looked up.
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

/// What a bucket over the cap keeps: a uniform sample, or the ids that came last, as a ring of
/// `cap` slots would. The ring always keeps the highest ids of a layer, and the formulas for a
/// neuron's chance to be selected do not hold for it.
enum class BucketPolicy { reservoir, fifo };

struct TablesConfig {
    std::uint32_t tables = 50;
    std::uint32_t key_bits = 12;
    std::uint32_t capacity = 0;      // most ids that a rebuild will bring
    std::uint32_t bucket_cap = 128;  // most ids that a bucket keeps; 0: all
    BucketPolicy policy = BucketPolicy::reservoir;
    std::uint64_t seed = 1;
};

/// How the last rebuild filled the buckets, over all tables.
struct Occupancy {
    std::uint64_t buckets = 0;
    std::uint64_t nonempty = 0;
    std::uint64_t ids = 0;      // kept, over all tables
    std::uint64_t dropped = 0;  // by the cap
    std::uint32_t largest = 0;  // before the cap

    SLIDEKIT_API Occupancy& operator+=(const Occupancy& other) noexcept;
};

/// What other tables hold of the ids that go into one table, where a layer's ids are shared out
/// among several Tables by ranges: caps are then those of the whole layer's buckets. By key.
struct OtherTables {
    const std::uint32_t* before = nullptr;  // ids in tables of lower ids; null: no others
    const std::uint32_t* total = nullptr;   // ids in all, these included
};

/// Thread-compatible: rebuild and swap alone; lookups const from many threads, fill beside them.
class SLIDEKIT_API Tables {
public:
    /// Throws Error (memory).
    Tables(system::Runtime& runtime,
           const TablesConfig& config,
           const system::Placement& placement = {});

    /// Fills one table of the second buffer: ids[i] goes into bucket keys[i]. Within a bucket ids
    /// keep their order, also those that a cap leaves; of a reservoir every subset is equally
    /// likely. `generation` (the number of the rebuild) feeds the sample's stream. Different tables
    /// may be filled by different threads at once. Requires: ids.size() <= capacity, a key below
    /// 2^key_bits for each id.
    void fill(std::uint32_t table,
              std::span<const std::uint32_t> ids,
              const std::uint32_t* keys,
              std::uint64_t generation,
              OtherTables others = {}) noexcept;
    /// Makes the second buffer the one that is looked up. Requires: every table was filled since
    /// the last swap.
    void swap() noexcept;

    /// Fills all tables, table t by keys + t * key_stride, and swaps. The result does not depend on
    /// the threads; nothing is allocated. Requires: key_stride >= ids.size().
    void rebuild(system::Executor& executor,
                 std::span<const std::uint32_t> ids,
                 const std::uint32_t* keys,
                 std::size_t key_stride,
                 std::uint64_t generation);

    [[nodiscard]] std::span<const std::uint32_t> bucket(std::uint32_t table,
                                                        std::uint32_t key) const noexcept {
        const std::uint32_t* const begin = offset(table, key);
        const std::uint32_t* const ids =
            front_.ids.as<std::uint32_t>().data() + std::size_t{table} * config_.capacity;
        return {ids + begin[0], begin[1] - begin[0]};
    }
    [[nodiscard]] const TablesConfig& config() const noexcept { return config_; }
    [[nodiscard]] Occupancy occupancy() const noexcept;

    /// The arrays of a buffer, to be saved and restored.
    struct Contents {
        std::span<std::uint32_t> offsets;  // tables x (2^key_bits + 1)
        std::span<std::uint32_t> ids;      // tables x capacity
        std::span<Occupancy> filled;       // by table
    };
    [[nodiscard]] Contents looked_up() noexcept { return contents(front_); }
    [[nodiscard]] Contents second() noexcept { return contents(back_); }
    /// Whether all buckets of both buffers lie within them and hold ids below `bound`: of arrays
    /// that come from a file.
    [[nodiscard]] bool sound(std::uint32_t bound) const noexcept;

    /// Bytes that tables of this shape take, both buffers.
    [[nodiscard]] static std::size_t bytes(const TablesConfig& config) noexcept;

private:
    friend class Candidates;  // prefetches the offsets

    /// Begin of a bucket within its table's ids; the next word is its end.
    [[nodiscard]] const std::uint32_t* offset(std::size_t table, std::uint32_t key) const noexcept {
        return front_.offsets.as<std::uint32_t>().data() +
               table * ((std::size_t{1} << config_.key_bits) + 1) + key;
    }

    struct Buffer {
        system::Region offsets;         // tables x (2^key_bits + 1)
        system::Region ids;             // tables x capacity
        std::vector<Occupancy> filled;  // by table
    };
    static Contents contents(Buffer& buffer) noexcept;
    static Buffer make_buffer(system::Runtime& runtime,
                              const TablesConfig& config,
                              const system::Placement& placement);

    TablesConfig config_;
    Buffer front_;  // looked up
    Buffer back_;   // filled
};

}  // namespace slidekit::lsh
