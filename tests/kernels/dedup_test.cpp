// Ids without repeats against std::set and std::map, and selections by count against sorting.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/dedup.hpp>

#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::dedup_test {
namespace {

using test::Draw;
using Ids = std::vector<std::uint32_t>;
using Counts = std::vector<std::uint16_t>;

class Dedup : public test::LevelTest {};
class SelectCounts : public test::LevelTest {};
SLIDEKIT_ON_EACH_LEVEL(Dedup);
SLIDEKIT_ON_EACH_LEVEL(SelectCounts);

Ids draw_ids(Draw& draw, std::size_t count, std::size_t bound) {
    Ids ids(count);
    for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(draw.below(bound));
    return ids;
}

TEST_P(Dedup, KeepsFirstAppearancesInOrderOverManyEpochs) {
    constexpr std::size_t kBound = 50;
    Draw draw(1);
    std::vector<std::uint16_t> stamps(kBound);
    for (std::uint16_t epoch = 1; epoch < 40; ++epoch) {
        const Ids ids = draw_ids(draw, draw.below(120), kBound);
        Ids expected;
        std::set<std::uint32_t> met;
        for (const std::uint32_t id : ids) {
            if (met.insert(id).second) expected.push_back(id);
        }
        Ids out(ids.size());
        out.resize(dedup_ids(ids.data(), ids.size(), epoch, stamps.data(), kBound, out.data()));
        EXPECT_EQ(out, expected);
    }
}

TEST_P(Dedup, CountsHowOftenEachIdWasMet) {
    constexpr std::size_t kBound = 50;
    constexpr std::uint16_t kBase = 300;
    Draw draw(2);
    const Ids ids = draw_ids(draw, 400, kBound);
    std::map<std::uint32_t, std::uint16_t> met;
    for (const std::uint32_t id : ids) ++met[id];
    std::vector<std::uint16_t> stamps(kBound, kBase);
    Ids out(ids.size());
    Counts counts(ids.size());
    const std::size_t n =
        count_ids(ids.data(), ids.size(), kBase, stamps.data(), kBound, out.data(), counts.data());
    ASSERT_EQ(n, met.size());
    for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(counts[i], met[out[i]]);
}

TEST_P(Dedup, OfBucketsIsThatOfTheirIdsInTurn) {
    Draw draw(3);
    const Ids ids = draw_ids(draw, 300, 100);
    const Bucket buckets[] = {
        {ids.data(), 100}, {nullptr, 0}, {ids.data() + 100, 1}, {ids.data() + 101, 199}};
    std::vector<std::uint16_t> a(100), b(100), c(100), d(100);
    Ids one(300), many(300);
    Counts ones(300), manys(300);
    EXPECT_EQ(dedup_ids(ids.data(), 300, 1, a.data(), 100, one.data()),
              dedup_buckets({buckets, 4, 300}, 1, b.data(), 100, many.data()));
    EXPECT_EQ(one, many);
    EXPECT_EQ(count_ids(ids.data(), 300, 0, c.data(), 100, one.data(), ones.data()),
              count_buckets({buckets, 4, 300}, 0, d.data(), 100, many.data(), manys.data()));
    EXPECT_EQ(one, many);
    EXPECT_EQ(ones, manys);
}

TEST_P(SelectCounts, ThresholdListsPositionsInOrder) {
    Draw draw(4);
    for (const std::size_t count : test::kTailLengths) {
        Counts counts(count);
        for (std::uint16_t& c : counts) c = static_cast<std::uint16_t>(1 + draw.below(4));
        if (count > 2) counts[count / 2] = 65535;
        for (const std::uint16_t least : Counts{0, 1, 3, 65535}) {
            Ids expected, positions(count);
            for (std::size_t i = 0; i < count; ++i) {
                if (counts[i] >= least) expected.push_back(static_cast<std::uint32_t>(i));
            }
            positions.resize(select_counted(counts.data(), count, least, positions.data()));
            EXPECT_EQ(positions, expected);
        }
    }
}

TEST_P(SelectCounts, TopTakesLowerPositionsOfEqualCounts) {
    Draw draw(5);
    for (const std::size_t most : {1U, 2U, 50U, 65535U}) {
        for (const std::size_t count : {1U, 31U, 32U, 33U, 300U}) {
            Counts counts(count);
            for (std::uint16_t& c : counts) c = static_cast<std::uint16_t>(draw.below(most) + 1);
            Ids order(count);
            std::iota(order.begin(), order.end(), 0U);
            std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
                return counts[a] > counts[b];
            });
            for (std::size_t k = 0; k <= count + 1; ++k) {
                const auto end = static_cast<std::ptrdiff_t>(std::min(k, count));
                Ids expected(order.begin(), order.begin() + end), positions(std::min(k, count));
                std::sort(expected.begin(), expected.end());
                ASSERT_EQ(select_top_counts(counts.data(), count, k, positions.data()),
                          expected.size());
                ASSERT_EQ(positions, expected) << count << " counts, k " << k;
            }
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::dedup_test
