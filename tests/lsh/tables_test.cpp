// Tables without a cap against a map: contents, order, replacement, statistics.
#include <slidekit/lsh/tables.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "keyed_ids.hpp"

namespace slidekit::lsh::tables_test {
namespace {

using test::contents_of;
using test::draw_keys;
using test::KeyedIds;
using test::oracle_of;

TEST(Tables, AreEmptyBeforeTheFirstRebuild) {
    system::Runtime runtime({.threads = 1});
    const Tables tables(runtime, {.tables = 3, .key_bits = 4, .capacity = 10});
    EXPECT_TRUE(contents_of(tables).empty());
    EXPECT_EQ(tables.occupancy().ids, 0U);
}

TEST(Tables, HoldWhatAMapHolds) {
    system::Runtime runtime({.threads = 2});
    for (const std::uint32_t count : {0U, 1U, 2U, 100U, 5000U}) {
        for (const std::uint32_t bits : {1U, 3U, 9U}) {
            const KeyedIds keyed = draw_keys(count, 7, bits, count + bits, 3);
            Tables tables(runtime,
                          {.tables = 7, .key_bits = bits, .capacity = count, .bucket_cap = 0});
            keyed.rebuild(tables, runtime);
            EXPECT_EQ(contents_of(tables), oracle_of(keyed))
                << count << " ids, " << bits << " bits";
        }
    }
}

TEST(Tables, HoldEveryIdOncePerTable) {
    system::Runtime runtime({.threads = 2});
    const KeyedIds keyed = draw_keys(1000, 11, 6, 1);
    Tables tables(runtime, {.tables = 11, .key_bits = 6, .capacity = 1000, .bucket_cap = 0});
    keyed.rebuild(tables, runtime);
    std::vector<std::uint32_t> times(1000);
    for (const auto& [where, ids] : contents_of(tables)) {
        for (const std::uint32_t id : ids) ++times[id];
    }
    EXPECT_EQ(std::count(times.begin(), times.end(), 11U), 1000);
}

TEST(Tables, RebuildReplacesWhatWasThere) {
    system::Runtime runtime({.threads = 2});
    Tables tables(runtime, {.tables = 5, .key_bits = 5, .capacity = 600, .bucket_cap = 20});
    draw_keys(600, 5, 5, 1).rebuild(tables, runtime);
    const KeyedIds fewer = draw_keys(200, 5, 5, 2, 7);
    fewer.rebuild(tables, runtime, 1);
    EXPECT_EQ(contents_of(tables), oracle_of(fewer));
    draw_keys(0, 5, 5, 3).rebuild(tables, runtime, 2);
    EXPECT_TRUE(contents_of(tables).empty());
}

TEST(Tables, ServeTheOldContentsUntilTheSwap) {
    system::Runtime runtime({.threads = 2});
    Tables tables(runtime, {.tables = 5, .key_bits = 5, .capacity = 600, .bucket_cap = 0});
    const KeyedIds old = draw_keys(600, 5, 5, 1);
    old.rebuild(tables, runtime);
    const KeyedIds next = draw_keys(400, 5, 5, 2);
    for (const std::uint32_t table : {3U, 0U, 4U, 1U, 2U}) {
        tables.fill(table, next.ids, next.keys.data() + table * next.stride, 1);
        ASSERT_EQ(contents_of(tables), oracle_of(old));
    }
    EXPECT_EQ(tables.occupancy().ids, 3000U);
    tables.swap();
    EXPECT_EQ(contents_of(tables), oracle_of(next));
    EXPECT_EQ(tables.occupancy().ids, 2000U);
}

TEST(Tables, CountWhatTheyHold) {
    system::Runtime runtime({.threads = 2});
    const KeyedIds keyed = draw_keys(300, 4, 8, 5);
    Tables tables(runtime, {.tables = 4, .key_bits = 8, .capacity = 300, .bucket_cap = 0});
    keyed.rebuild(tables, runtime);
    const auto oracle = oracle_of(keyed);
    std::size_t largest = 0;
    for (const auto& [where, ids] : oracle) largest = std::max(largest, ids.size());
    EXPECT_EQ(tables.occupancy().buckets, 4U * 256U);
    EXPECT_EQ(tables.occupancy().nonempty, oracle.size());
    EXPECT_EQ(tables.occupancy().ids, 4U * 300U);
    EXPECT_EQ(tables.occupancy().dropped, 0U);
    EXPECT_EQ(tables.occupancy().largest, largest);
}

TEST(Tables, DoNotDependOnTheThreads) {
    const KeyedIds keyed = draw_keys(20000, 13, 7, 9);
    std::vector<test::Oracle> contents;
    for (const unsigned threads : {1U, 2U, 4U}) {
        system::Runtime runtime({.threads = threads});
        Tables tables(
            runtime,
            {.tables = 13, .key_bits = 7, .capacity = 20000, .bucket_cap = 128, .seed = 3});
        keyed.rebuild(tables, runtime, 4);
        ASSERT_GT(tables.occupancy().dropped, 0U);
        contents.push_back(contents_of(tables));
    }
    EXPECT_EQ(contents[0], contents[1]);
    EXPECT_EQ(contents[0], contents[2]);
}

TEST(Tables, TakeTheBytesThatTheySay) {
    system::Runtime runtime({.threads = 1});
    const TablesConfig config{.tables = 5, .key_bits = 9, .capacity = 1000};
    const Tables tables(runtime, config);
    std::size_t bytes = 0;
    for (const system::RegionReport& report : runtime.reports()) bytes += report.bytes;
    EXPECT_EQ(Tables::bytes(config), bytes);
    EXPECT_EQ(bytes, 2U * 4U * 5U * (512U + 1U + 1000U));  // two buffers
}

}  // namespace
}  // namespace slidekit::lsh::tables_test
