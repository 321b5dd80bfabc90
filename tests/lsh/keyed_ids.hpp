// Ids with a drawn key in every table, and the plainest tables there are as an oracle: a map of
// vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include <slidekit/lsh/tables.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::test {

struct KeyedIds {
    std::vector<std::uint32_t> ids;
    std::vector<std::uint32_t> keys;  // table-major, `stride` apart
    std::size_t stride = 0;
    std::uint32_t tables = 0;

    [[nodiscard]] std::uint32_t key(std::size_t table, std::size_t i) const {
        return keys[table * stride + i];
    }

    void rebuild(lsh::Tables& into, system::Runtime& runtime, std::uint64_t generation = 0) const {
        into.rebuild(runtime.executor(), ids, keys.data(), stride, generation);
    }
};

/// Ids 0, step, 2 step, ... with uniform keys; a stride wider than the ids, as a half-filled layer
/// has it.
inline KeyedIds draw_keys(std::uint32_t count,
                          std::uint32_t tables,
                          std::uint32_t key_bits,
                          std::uint64_t seed,
                          std::uint32_t step = 1) {
    KeyedIds drawn{.ids = std::vector<std::uint32_t>(count),
                   .keys = {},
                   .stride = count + 3,
                   .tables = tables};
    for (std::uint32_t i = 0; i < count; ++i) drawn.ids[i] = i * step;
    drawn.keys.assign(tables * drawn.stride, 0xffffffff);
    system::Stream stream(seed, system::Purpose::test);
    for (std::uint32_t t = 0; t < tables; ++t) {
        for (std::uint32_t i = 0; i < count; ++i)
            drawn.keys[t * drawn.stride + i] = stream.below(1U << key_bits);
    }
    return drawn;
}

/// The ids of every bucket that has any, by (table, key), in their order.
using Oracle = std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::uint32_t>>;

inline Oracle oracle_of(const KeyedIds& keyed) {
    Oracle oracle;
    for (std::uint32_t t = 0; t < keyed.tables; ++t) {
        for (std::size_t i = 0; i < keyed.ids.size(); ++i)
            oracle[{t, keyed.key(t, i)}].push_back(keyed.ids[i]);
    }
    return oracle;
}

/// The same of real tables.
inline Oracle contents_of(const lsh::Tables& tables) {
    Oracle contents;
    for (std::uint32_t t = 0; t < tables.config().tables; ++t) {
        for (std::uint32_t key = 0; key < 1U << tables.config().key_bits; ++key) {
            const auto bucket = tables.bucket(t, key);
            if (!bucket.empty()) contents[{t, key}].assign(bucket.begin(), bucket.end());
        }
    }
    return contents;
}

}  // namespace slidekit::test
