// Predictions through hash tables: the logits are those of exact prediction, and only what the
// tables do not hold is missed.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/nn/network.hpp>

#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::retrieve_test {
namespace {

constexpr std::uint32_t kFeatures = 40;
constexpr std::uint32_t kLabels = 300;
constexpr std::uint32_t kDepth = 5;

Network random_network(system::Runtime& runtime) {
    Network network(runtime,
                    {.features = kFeatures,
                     .hidden = 19,
                     .labels = kLabels,
                     .output = FullOutput{},
                     .optimizer = Optimizer::sgd,
                     .initial_deviation = 1});
    testing::set_biases(network);
    return network;
}

std::vector<std::uint32_t> every_third() {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 1; row < kLabels; row += 3) rows.push_back(row);
    return rows;
}

std::vector<std::uint32_t> all_rows() {
    std::vector<std::uint32_t> rows(kLabels);
    std::iota(rows.begin(), rows.end(), 0U);
    return rows;
}

RetrievalSetup setup_of(const LshOutput& output, std::vector<std::uint32_t> rows) {
    return {output, std::move(rows), std::vector<float>(19, 0.5F)};
}

testing::ToyPoints some_points() { return testing::random_points(150, kFeatures, kLabels, 5, 3); }

bool equal(const std::vector<Ranked>& a, const std::vector<Ranked>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Ranked& x, const Ranked& y) {
        return x.label == y.label && x.score == y.score;
    });
}

TEST(Retrieve, GivesTheExactBestWhereAllNeuronsAreCandidates) {
    system::Runtime runtime({.threads = 2});
    Network network = random_network(runtime);
    const testing::ToyPoints points = some_points();
    const std::vector<Ranked> exact = network.predict(points.view(), kDepth);
    for (const Rank rank : {Rank::dot, Rank::dot_fp32}) {
        LshOutput output = testing::every_neuron(kLabels);
        output.rank = rank;
        network.index(setup_of(output, all_rows()));
        const Retrieved retrieved = network.retrieve(points.view(), kDepth);
        EXPECT_GT(retrieved.candidates, 150U * kLabels * 9 / 10);
        ASSERT_EQ(retrieved.best.size(), exact.size());
        for (std::size_t i = 0; i < exact.size(); ++i) {
            ASSERT_EQ(retrieved.best[i].label, exact[i].label) << i;
            ASSERT_NEAR(retrieved.best[i].score, exact[i].score, 1e-4) << i;
        }
    }
}

TEST(Retrieve, EqualLogitsGoToTheLowerId) {
    system::Runtime runtime({.threads = 1});
    Network network = random_network(runtime);
    for (std::uint32_t row = 0; row < kLabels; ++row) {
        std::copy_n(network.output().weights().row(0), 19, network.output().weights().row(row));
        network.output().bias()[row] = row % 2 == 0 ? 1.0F : 2.0F;
    }
    network.index(setup_of(testing::every_neuron(kLabels), all_rows()));
    const Retrieved retrieved = network.retrieve(some_points().view(), 3);
    for (std::size_t i = 0; i < retrieved.best.size(); ++i)
        ASSERT_EQ(retrieved.best[i].label, 1 + 2 * (i % 3)) << i;
}

TEST(Retrieve, KnowsOnlyTheRowsOfItsTables) {
    system::Runtime runtime({.threads = 2});
    Network network = random_network(runtime);
    network.index(setup_of(testing::every_neuron(kLabels), every_third()));
    for (const Ranked& ranked : network.retrieve(some_points().view(), kDepth).best)
        ASSERT_EQ(ranked.label % 3, 1U);
}

TEST(Retrieve, SaysWhereTooFewWereFound) {
    system::Runtime runtime({.threads = 2});
    Network network = random_network(runtime);
    network.index(setup_of({.hash = {.k = 8, .l = 1}, .mix = {}}, all_rows()));
    const Retrieved retrieved = network.retrieve(some_points().view(), kDepth);
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < retrieved.best.size(); ++i) {
        const bool none = retrieved.best[i].label == Ranked::kNone;
        found += none ? 0 : 1;
        const bool first = i % kDepth == 0;
        ASSERT_TRUE(none || first || retrieved.best[i - 1].label != Ranked::kNone) << i;
    }
    EXPECT_LT(found, retrieved.best.size());
    EXPECT_GT(found, 0U);
    EXPECT_LE(found, retrieved.candidates);
}

TEST(Retrieve, ScanFindsTheExactBestOfItsRows) {
    system::Runtime runtime({.threads = 2});
    Network network = random_network(runtime);
    const testing::ToyPoints points = some_points();
    const LshOutput hardly_any_candidates{.hash = {.k = 12, .l = 1}, .mix = {}};
    network.index(setup_of(hardly_any_candidates, all_rows()));
    const std::vector<Ranked> exact = network.predict(points.view(), kDepth);
    const std::vector<Ranked> found = network.scan(points.view(), kDepth);
    ASSERT_EQ(found.size(), exact.size());
    for (std::size_t i = 0; i < exact.size(); ++i) {
        ASSERT_EQ(found[i].label, exact[i].label) << i;
        ASSERT_NEAR(found[i].score, exact[i].score, 1e-4) << i;
    }
    network.index(setup_of(hardly_any_candidates, {3, 7}));
    const std::vector<Ranked> few = network.scan(points.view(), 3);
    for (std::size_t i = 0; i < few.size(); ++i)
        ASSERT_EQ(few[i].label == Ranked::kNone, i % 3 == 2) << i;
}

TEST(Retrieve, GivesTheSameForAnyNumberOfThreads) {
    const testing::ToyPoints points = some_points();
    std::vector<std::vector<Ranked>> best;
    for (const unsigned threads : {1U, 2U, 3U, 4U}) {
        system::Runtime runtime({.threads = threads});
        Network network = random_network(runtime);
        network.index(
            setup_of({.hash = {.k = 4, .l = 10}, .mix = {}, .bucket_cap = 8}, all_rows()));
        best.push_back(network.retrieve(points.view(), kDepth).best);
    }
    for (const auto& other : best) EXPECT_TRUE(equal(other, best.front()));
}

TEST(Retrieve, GivesTheSameFromSeveralThreadsAtOnce) {
    system::Runtime runtime({.threads = 2});
    Network network = random_network(runtime);
    network.index(setup_of({.hash = {.k = 4, .l = 10}, .mix = {}}, every_third()));
    const testing::ToyPoints points = some_points();
    const Network& shared = network;
    const std::vector<Ranked> expected = shared.retrieve(points.view(), kDepth).best;
    std::vector<char> same(4);
    {
        std::vector<std::jthread> callers;
        for (char& result : same) {
            callers.emplace_back([&] {
                result = equal(shared.retrieve(points.view(), kDepth).best, expected) ? 1 : 0;
            });
        }
    }
    EXPECT_EQ(same, std::vector<char>(4, 1));
}

TEST(Retrieve, TablesOfTrainingAreDescribedAndThoseOfPredictionBefore) {
    system::Runtime runtime({.threads = 1});
    Network trained(runtime,
                    {.features = kFeatures,
                     .hidden = 19,
                     .labels = kLabels,
                     .output = testing::some_neurons(10, 5, 5)},
                    every_third());
    trained.rebuild_tables();
    trained.train_step(some_points().view(), testing::adam(0.01F), 0);
    RetrievalSetup setup = trained.retrieval_setup();
    EXPECT_EQ(setup.met, every_third());
    EXPECT_EQ(setup.output.hash.k, 5U);
    EXPECT_NE(setup.centre, std::vector<float>(19));
    setup.output.hash.k = 3;
    trained.index(setup);
    EXPECT_EQ(trained.retrieval_setup().output.hash.k, 3U);
    EXPECT_TRUE(random_network(runtime).retrieval_setup().met.empty());
}

}  // namespace
}  // namespace slidekit::nn::retrieve_test
