// Lookup against a map of counts: complete, distinct, in order of first meeting; and the stamps'
// wrap.
#include <slidekit/lsh/candidates.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "keyed_ids.hpp"

namespace slidekit::lsh::candidates_test {
namespace {

using test::draw_keys;

using Ids = std::vector<std::uint32_t>;
using Counting = Candidates::Counting;

static_assert(noexcept(std::declval<StampSet&>().clear()));
static_assert(noexcept(std::declval<StampSet&>().insert(0)));
static_assert(noexcept(std::declval<const Candidates&>().contains(0)));
static_assert(noexcept(std::declval<const Tables&>().bucket(0, 0)));

struct Met {
    Ids ids;
    std::vector<float> counts;
};

// By the book: walk the buckets, look each id up among those met.
Met met_by_hand(const Tables& tables, const Ids& keys) {
    Met met;
    for (std::uint32_t t = 0; t < keys.size(); ++t) {
        for (const std::uint32_t id : tables.bucket(t, keys[t])) {
            const auto known = std::find(met.ids.begin(), met.ids.end(), id);
            if (known == met.ids.end()) {
                met.ids.push_back(id);
                met.counts.push_back(1);
            } else {
                met.counts[static_cast<std::size_t>(known - met.ids.begin())] += 1;
            }
        }
    }
    return met;
}

// Rebuilt tables, and queries for them.
struct Filled {
    Filled(std::uint32_t count,
           std::uint32_t table_count,
           std::uint32_t key_bits,
           std::uint32_t cap = 0)
        : tables(
              runtime,
              {.tables = table_count, .key_bits = key_bits, .capacity = count, .bucket_cap = cap}),
          bound(3 * count + 1) {
        draw_keys(count, table_count, key_bits, 1, 3).rebuild(tables, runtime);
    }

    [[nodiscard]] Ids query(std::uint64_t seed) const {
        system::Stream stream(seed, system::Purpose::test, 1);
        Ids keys(tables.config().tables);
        for (std::uint32_t& key : keys) key = stream.below(1U << tables.config().key_bits);
        return keys;
    }

    system::Runtime runtime{{.threads = 1}};
    Tables tables;
    std::uint32_t bound;  // of the ids
};

void expect_agrees(Candidates& candidates,
                   Counting counting,
                   const Filled& filled,
                   const Ids& keys) {
    const Met expected = met_by_hand(filled.tables, keys);
    const auto ids = candidates.collect(filled.tables, keys);
    ASSERT_EQ(Ids(ids.begin(), ids.end()), expected.ids);
    if (counting == Counting::on) {
        const auto counts = candidates.counts();
        ASSERT_EQ(std::vector<float>(counts.begin(), counts.end()), expected.counts);
    }
}

TEST(StampSet, IsASet) {
    StampSet set(10);
    EXPECT_FALSE(set.contains(0));
    EXPECT_TRUE(set.insert(3));
    EXPECT_FALSE(set.insert(3));
    EXPECT_TRUE(set.insert(0));
    EXPECT_TRUE(set.contains(3));
    EXPECT_FALSE(set.contains(4));
    set.clear();
    EXPECT_FALSE(set.contains(3));
    EXPECT_TRUE(set.insert(3));
}

TEST(StampSet, ForgetsAcrossTheWrapOfItsEpoch) {
    StampSet set(2);
    for (std::uint32_t round = 0; round < 200000; ++round) {
        set.clear();
        // Id 1 is stamped once in 65536 rounds, when a stale stamp would be taken for a new one.
        ASSERT_FALSE(set.contains(1)) << round;
        ASSERT_TRUE(set.insert(0)) << round;
        if (round % 65536 == 0) {
            ASSERT_TRUE(set.insert(1)) << round;
        }
    }
}

TEST(Candidates, AreDistinctCompleteAndInOrderOfMeeting) {
    for (const Counting counting : {Counting::off, Counting::on}) {
        for (const std::uint32_t tables : {1U, 2U, 50U}) {
            for (const std::uint32_t cap : {0U, 5U}) {
                const Filled filled(500, tables, 5, cap);
                Candidates candidates(filled.bound, counting);
                for (std::uint64_t q = 0; q < 50; ++q)
                    expect_agrees(candidates, counting, filled, filled.query(q));
            }
        }
    }
}

TEST(Candidates, CountsGoBeyondAByte) {
    const Filled filled(4, 400, 1);
    Candidates candidates(filled.bound, Counting::on);
    Ids keys(400);
    for (std::uint32_t t = 0; t < 400; ++t)
        keys[t] = filled.tables.bucket(t, 0).size() >= 2 ? 0 : 1;
    expect_agrees(candidates, Counting::on, filled, keys);
    EXPECT_GT(candidates.counts()[0], 255);
}

TEST(Candidates, ForgetAcrossTheWrapOfTheirStamps) {
    const Filled filled(40, 60, 4);
    for (const Counting counting : {Counting::off, Counting::on}) {
        Candidates candidates(filled.bound, counting);
        // A query takes one stamp, or as many as there are tables where they count.
        const std::uint64_t wrap = counting == Counting::on ? 65535 / 60 : 65535;
        for (std::uint64_t q = 0; q < wrap + 300; ++q) {
            const Ids keys = filled.query(q);
            if (q % 97 == 0 || q + 300 > wrap) {
                expect_agrees(candidates, counting, filled, keys);
            } else {
                candidates.collect(filled.tables, keys);
            }
        }
    }
}

TEST(Candidates, KnowWhatTheLastQueryMet) {
    const Filled filled(100, 3, 3);
    for (const Counting counting : {Counting::off, Counting::on}) {
        Candidates candidates(filled.bound, counting);
        for (std::uint32_t id = 0; id < filled.bound; ++id) ASSERT_FALSE(candidates.contains(id));
        for (std::uint64_t q = 0; q < 20; ++q) {
            const Ids met = met_by_hand(filled.tables, filled.query(q)).ids;
            candidates.collect(filled.tables, filled.query(q));
            for (std::uint32_t id = 0; id < filled.bound; ++id) {
                ASSERT_EQ(candidates.contains(id),
                          std::find(met.begin(), met.end(), id) != met.end());
            }
        }
    }
}

TEST(Candidates, OneScratchServesSeveralTables) {
    const Filled wide(300, 20, 2);
    const Filled narrow(300, 3, 7);
    Candidates candidates(wide.bound, Counting::on);
    for (std::uint64_t q = 0; q < 30; ++q) {
        expect_agrees(candidates, Counting::on, wide, wide.query(q));
        expect_agrees(candidates, Counting::on, narrow, narrow.query(q));
    }
}

TEST(Candidates, OfEmptyTablesAreNone) {
    system::Runtime runtime({.threads = 1});
    const Tables tables(runtime, {.tables = 4, .key_bits = 3, .capacity = 0});
    Candidates candidates(10, Counting::on);
    EXPECT_TRUE(candidates.collect(tables, Ids(4)).empty());
    EXPECT_TRUE(candidates.counts().empty());
}

}  // namespace
}  // namespace slidekit::lsh::candidates_test
