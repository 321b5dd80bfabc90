// Grouping against a stable sort of the pairs.
#include "nn/grouping.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn::grouping_test {
namespace {

struct Pairs {
    std::vector<std::uint32_t> ids;
    std::vector<SlotRun> runs;
    std::uint32_t bound = 1;
};

// Runs of 0 to `longest` random ids; unused slots lie between them, as in a layer's active sets.
Pairs random_pairs(std::uint32_t samples,
                   std::uint32_t longest,
                   std::uint32_t bound,
                   std::uint64_t seed) {
    Pairs pairs{.ids = {}, .runs = {}, .bound = bound};
    system::Stream stream(seed, system::Purpose::test);
    for (std::uint32_t s = 0; s < samples; ++s) {
        const std::uint32_t count = stream.below(longest + 1);
        pairs.runs.push_back({static_cast<std::uint32_t>(pairs.ids.size()), count});
        for (std::uint32_t i = 0; i < count; ++i) pairs.ids.push_back(stream.below(bound));
        pairs.ids.resize(pairs.ids.size() + stream.below(3), 0xffffffff);
    }
    return pairs;
}

using Triple = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;  // id, sample, slot

std::vector<Triple> sorted(const Pairs& pairs) {
    std::vector<Triple> triples;
    for (std::uint32_t s = 0; s < pairs.runs.size(); ++s) {
        const SlotRun run = pairs.runs[s];
        for (std::uint32_t slot = run.first; slot < run.first + run.count; ++slot) {
            triples.emplace_back(pairs.ids[slot], s, slot);
        }
    }
    std::stable_sort(triples.begin(), triples.end(), [](const Triple& a, const Triple& b) {
        return std::get<0>(a) < std::get<0>(b);
    });
    return triples;
}

std::vector<Triple> listed(const kernels::GroupsView& groups) {
    std::vector<Triple> triples;
    for (std::size_t g = 0; g < groups.count; ++g) {
        for (std::uint32_t m = groups.starts[g]; m < groups.starts[g + 1]; ++m) {
            triples.emplace_back(groups.ids[g], groups.members[m].vector, groups.members[m].slot);
        }
    }
    return triples;
}

std::vector<Triple> grouped(const Pairs& pairs, unsigned threads) {
    system::Runtime runtime({.threads = threads});
    const auto grouping = std::make_unique<Grouping>();
    grouping->build(runtime.executor(), pairs.ids, pairs.runs, pairs.bound);
    return listed(grouping->view());
}

TEST(Grouping, AgreesWithStableSortOnEveryWidth) {
    // Widths on both sides of a bit; past 4 million a bucket is sorted by comparison.
    for (const std::uint32_t bound :
         {1U, 2U, 1000U, 1024U, 1025U, 140'000U, 4'194'304U, 4'194'305U, 3'000'000'000U}) {
        const Pairs pairs = random_pairs(100, 60, bound, bound);
        EXPECT_TRUE(grouped(pairs, 2) == sorted(pairs)) << "bound " << bound;
    }
}

TEST(Grouping, KeepsSamplesInOrderInLayersPastFourMillion) {
    // Many equal ids in few buckets, which are sorted by comparison here.
    Pairs pairs = random_pairs(400, 20, 6, 5);
    for (std::uint32_t& id : pairs.ids) id = id == 0xffffffff ? id : 5'000'000 + id;
    pairs.bound = 8'000'000;
    EXPECT_TRUE(grouped(pairs, 2) == sorted(pairs));
}

TEST(Grouping, KeepsIdsThatMeetInOneBucketApart) {
    // 10 low bits are sorted within a bucket: neighbours, and equals in many samples.
    Pairs pairs = random_pairs(300, 20, 50, 1);
    for (std::uint32_t& id : pairs.ids) id = id == 0xffffffff ? id : id + 900'000;
    pairs.bound = 1'000'000;
    EXPECT_TRUE(grouped(pairs, 2) == sorted(pairs));
}

TEST(Grouping, IsTheSameForAnyNumberOfThreads) {
    const Pairs pairs = random_pairs(500, 100, 30'000, 2);
    const std::vector<Triple> alone = grouped(pairs, 1);
    EXPECT_TRUE(alone == sorted(pairs));
    for (const unsigned threads : {2U, 3U, 4U})
        EXPECT_TRUE(grouped(pairs, threads) == alone) << threads;
}

TEST(Grouping, GivesIdsAscendingAndDistinct) {
    system::Runtime runtime({.threads = 2});
    const Pairs pairs = random_pairs(200, 50, 3000, 3);
    const auto grouping = std::make_unique<Grouping>();
    grouping->build(runtime.executor(), pairs.ids, pairs.runs, pairs.bound);
    const kernels::GroupsView groups = grouping->view();
    for (std::size_t g = 1; g < groups.count; ++g) ASSERT_LT(groups.ids[g - 1], groups.ids[g]);
    for (std::size_t g = 0; g < groups.count; ++g)
        ASSERT_LT(groups.starts[g], groups.starts[g + 1]);
    EXPECT_EQ(grouping->pairs(), sorted(pairs).size());
}

TEST(Grouping, AcceptsNoSamplesAndEmptyRuns) {
    system::Runtime runtime({.threads = 2});
    const auto grouping = std::make_unique<Grouping>();
    for (const std::size_t samples : {0U, 1U, 40U}) {
        const std::vector<SlotRun> runs(samples);
        grouping->build(runtime.executor(), {}, runs, 1000);
        EXPECT_EQ(grouping->view().count, 0U);
        EXPECT_EQ(grouping->pairs(), 0U);
        for (std::size_t p = 0; p < Grouping::kPieces; ++p) EXPECT_EQ(grouping->piece(p).count, 0U);
    }
}

TEST(Grouping, ForgetsTheBatchBefore) {
    system::Runtime runtime({.threads = 2});
    const auto grouping = std::make_unique<Grouping>();
    for (const std::uint32_t samples : {400U, 3U, 0U, 1U, 100U}) {
        const Pairs pairs = random_pairs(samples, 30, samples == 3 ? 20U : 50'000U, samples);
        grouping->build(runtime.executor(), pairs.ids, pairs.runs, pairs.bound);
        EXPECT_TRUE(listed(grouping->view()) == sorted(pairs)) << samples;
    }
}

TEST(Grouping, PiecesCoverEachGroupOnceInOrder) {
    system::Runtime runtime({.threads = 2});
    const auto grouping = std::make_unique<Grouping>();
    for (const std::uint32_t bound : {1U, 7U, 33U, 20'000U}) {
        const Pairs pairs = random_pairs(150, 40, bound, bound);
        grouping->build(runtime.executor(), pairs.ids, pairs.runs, pairs.bound);
        std::vector<Triple> joined;
        for (std::size_t p = 0; p < Grouping::kPieces; ++p) {
            const std::vector<Triple> piece = listed(grouping->piece(p));
            joined.insert(joined.end(), piece.begin(), piece.end());
        }
        EXPECT_TRUE(joined == sorted(pairs)) << bound;
    }
}

TEST(Grouping, PiecesAreOfAboutEqualWork) {
    system::Runtime runtime({.threads = 2});
    Pairs pairs = random_pairs(200, 200, 20'000, 4);
    // Half of all pairs fall on a few popular ids, as labels do.
    for (std::size_t i = 0; i < pairs.ids.size(); i += 2)
        pairs.ids[i] = std::min(pairs.ids[i], pairs.ids[i] % 500);
    const auto grouping = std::make_unique<Grouping>();
    grouping->build(runtime.executor(), pairs.ids, pairs.runs, pairs.bound);
    const auto cost = [](const kernels::GroupsView& groups) {
        return groups.count == 0
                   ? 0
                   : groups.starts[groups.count] - groups.starts[0] + 8 * groups.count;
    };
    const std::size_t mean = cost(grouping->view()) / Grouping::kPieces;
    for (std::size_t p = 0; p < Grouping::kPieces; ++p) {
        EXPECT_NEAR(static_cast<double>(cost(grouping->piece(p))),
                    static_cast<double>(mean),
                    0.2 * static_cast<double>(mean))
            << p;
    }
}

}  // namespace
}  // namespace slidekit::nn::grouping_test
