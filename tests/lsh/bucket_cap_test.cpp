// The sample that a full bucket keeps: its size, its order, and that every subset is equally
// likely.
#include <slidekit/lsh/tables.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "keyed_ids.hpp"

namespace slidekit::lsh::bucket_cap_test {
namespace {

using test::contents_of;
using test::draw_keys;
using test::KeyedIds;
using test::oracle_of;

using Ids = std::vector<std::uint32_t>;

// `count` ids that all fall into bucket 1 of one table.
KeyedIds crowd(std::uint32_t count) {
    KeyedIds keyed = draw_keys(count, 1, 0, 1);
    std::fill(keyed.keys.begin(), keyed.keys.end(), 1U);
    return keyed;
}

// Mean and five standard deviations of a chi-square variable.
double chi_square_bound(double degrees) { return degrees + 5 * std::sqrt(2 * degrees); }

TEST(BucketCap, KeepsExactlyCapInTheirOrder) {
    system::Runtime runtime({.threads = 2});
    for (const std::uint32_t cap : {1U, 7U, 16U, 40U, 1000U}) {
        const KeyedIds keyed = draw_keys(2000, 6, 7, 5);
        Tables tables(runtime, {.tables = 6, .key_bits = 7, .capacity = 2000, .bucket_cap = cap});
        keyed.rebuild(tables, runtime);
        auto contents = contents_of(tables);
        std::uint64_t dropped = 0;
        for (const auto& [where, all] : oracle_of(keyed)) {
            const Ids& kept = contents[where];
            ASSERT_EQ(kept.size(), std::min<std::size_t>(all.size(), cap));
            ASSERT_TRUE(std::is_sorted(kept.begin(), kept.end()));
            ASSERT_TRUE(std::includes(all.begin(), all.end(), kept.begin(), kept.end()));
            dropped += all.size() - kept.size();
        }
        EXPECT_EQ(tables.occupancy().dropped, dropped);
        EXPECT_EQ(tables.occupancy().ids, 6U * 2000U - dropped);
    }
}

TEST(BucketCap, FifoKeepsTheLast) {
    system::Runtime runtime({.threads = 2});
    for (const std::uint32_t cap : {1U, 7U, 16U, 40U, 1000U}) {
        const KeyedIds keyed = draw_keys(2000, 6, 7, 5);
        Tables tables(runtime,
                      {.tables = 6,
                       .key_bits = 7,
                       .capacity = 2000,
                       .bucket_cap = cap,
                       .policy = BucketPolicy::fifo});
        keyed.rebuild(tables, runtime);
        auto last = oracle_of(keyed);
        std::uint64_t kept = 0;
        for (auto& [where, ids] : last) {
            if (ids.size() > cap) ids.erase(ids.begin(), ids.end() - cap);
            kept += ids.size();
        }
        EXPECT_EQ(contents_of(tables), last);
        EXPECT_EQ(tables.occupancy().ids, kept);
        EXPECT_EQ(tables.occupancy().dropped, 6U * 2000U - kept);
    }
}

TEST(BucketCap, LargestIsOfBeforeTheCap) {
    system::Runtime runtime({.threads = 1});
    Tables tables(runtime, {.tables = 1, .key_bits = 1, .capacity = 50, .bucket_cap = 8});
    crowd(50).rebuild(tables, runtime);
    EXPECT_EQ(tables.occupancy().largest, 50U);
    EXPECT_EQ(tables.occupancy().dropped, 42U);
    EXPECT_EQ(tables.occupancy().nonempty, 1U);
}

TEST(BucketCap, KeepsEveryIdEquallyOften) {
    constexpr std::uint32_t kIds = 60;
    constexpr std::uint32_t kCap = 12;
    constexpr std::uint32_t kRebuilds = 5000;
    system::Runtime runtime({.threads = 1});
    Tables tables(runtime,
                  {.tables = 1, .key_bits = 1, .capacity = kIds, .bucket_cap = kCap, .seed = 11});
    std::vector<double> times(kIds);
    for (std::uint32_t generation = 0; generation < kRebuilds; ++generation) {
        crowd(kIds).rebuild(tables, runtime, generation);
        for (const std::uint32_t id : tables.bucket(0, 1)) times[id] += 1;
    }
    // Without replacement the counts are negatively correlated, hence (n - 1) / n and 1 - share.
    constexpr double kShare = double{kCap} / kIds;
    double chi_square = 0;
    for (const double observed : times) chi_square += std::pow(observed - kRebuilds * kShare, 2);
    chi_square *= (kIds - 1.0) / kIds / (kRebuilds * kShare * (1 - kShare));
    EXPECT_LT(chi_square, chi_square_bound(kIds - 1));
}

TEST(BucketCap, KeepsEverySubsetEquallyOften) {
    constexpr double kRebuilds = 6000;
    constexpr double kSubsets = 20;  // 3 of 6
    system::Runtime runtime({.threads = 1});
    Tables tables(runtime, {.tables = 1, .key_bits = 1, .capacity = 6, .bucket_cap = 3, .seed = 5});
    std::map<Ids, double> times;
    for (std::uint32_t generation = 0; generation < kRebuilds; ++generation) {
        crowd(6).rebuild(tables, runtime, generation);
        times[Ids(tables.bucket(0, 1).begin(), tables.bucket(0, 1).end())] += 1;
    }
    ASSERT_EQ(times.size(), kSubsets);
    double chi_square = 0;
    for (const auto& [subset, observed] : times) {
        chi_square += std::pow(observed - kRebuilds / kSubsets, 2) / (kRebuilds / kSubsets);
    }
    EXPECT_LT(chi_square, chi_square_bound(kSubsets - 1));
}

TEST(BucketCap, ChoosesAnewForEachGenerationTableBucketAndSeed) {
    system::Runtime runtime({.threads = 1});
    KeyedIds keyed = draw_keys(200, 2, 1, 1);
    for (std::size_t i = 0; i < keyed.keys.size(); ++i)
        keyed.keys[i] = i % keyed.stride < 100 ? 0 : 1;
    const auto kept =
        [&](std::uint64_t seed, std::uint64_t generation, std::uint32_t table, std::uint32_t key) {
            Tables tables(
                runtime,
                {.tables = 2, .key_bits = 1, .capacity = 200, .bucket_cap = 10, .seed = seed});
            keyed.rebuild(tables, runtime, generation);
            Ids ids(tables.bucket(table, key).begin(), tables.bucket(table, key).end());
            for (std::uint32_t& id : ids) id -= 100 * key;
            return ids;
        };
    const Ids first = kept(1, 0, 0, 0);
    EXPECT_EQ(first, kept(1, 0, 0, 0));
    EXPECT_NE(first, kept(1, 1, 0, 0));
    EXPECT_NE(first, kept(1, 0, 1, 0));
    EXPECT_NE(first, kept(1, 0, 0, 1));
    EXPECT_NE(first, kept(2, 0, 0, 0));
}

TEST(BucketCap, GoldenChoice) {
    system::Runtime runtime({.threads = 1});
    Tables tables(runtime,
                  {.tables = 1, .key_bits = 1, .capacity = 100, .bucket_cap = 6, .seed = 1});
    crowd(100).rebuild(tables, runtime, 3);
    EXPECT_EQ(Ids(tables.bucket(0, 1).begin(), tables.bucket(0, 1).end()),
              (Ids{1, 25, 33, 39, 70, 85}));
}

}  // namespace
}  // namespace slidekit::lsh::bucket_cap_test
