// Precision at 1, 3 and 5 on cases worked out by hand.
#include <slidekit/train/evaluation.hpp>

#include <cstdint>

#include <gtest/gtest.h>

#include "toy_points.hpp"

namespace slidekit::train::evaluation_test {
namespace {

// Its logits are its output biases, so that every point ranks the labels 0, 1, 2, ...
nn::Network network_that_ranks_by_id(system::Runtime& runtime, std::uint32_t labels) {
    nn::Network network(runtime,
                        {.features = 4,
                         .hidden = 3,
                         .labels = labels,
                         .output = nn::FullOutput{},
                         .initial_deviation = 0});
    float logit = 0;
    for (float& bias : network.output().bias()) bias = (logit -= 1);
    return network;
}

TEST(Evaluation, CountsHitsAmongTheBest) {
    system::Runtime runtime({.threads = 2});
    const nn::Network network = network_that_ranks_by_id(runtime, 10);
    testing::ToyPoints points(4, 10);
    points.add({.features = {{0, 1.0F}}, .labels = {0}});     // hits: 1 of 1, 1 of 3, 1 of 5
    points.add({.features = {}, .labels = {2, 3}});           //       0,      1,      2
    points.add({.features = {{3, 1.0F}}, .labels = {5, 9}});  //       0,      0,      0
    points.add({.features = {}, .labels = {0, 1, 2, 3, 4}});  //       1,      3,      5
    const Precision precision = evaluate(network, points.view());
    EXPECT_EQ(precision.points, 4U);
    EXPECT_DOUBLE_EQ(precision.at_1, 2.0 / 4);
    EXPECT_DOUBLE_EQ(precision.at_3, 5.0 / 12);
    EXPECT_DOUBLE_EQ(precision.at_5, 8.0 / 20);
}

TEST(Evaluation, PassesOverPointsWithoutLabels) {
    system::Runtime runtime({.threads = 2});
    const nn::Network network = network_that_ranks_by_id(runtime, 10);
    testing::ToyPoints points(4, 10);
    points.add({.features = {{0, 1.0F}}, .labels = {}});
    points.add({.features = {{0, 1.0F}}, .labels = {0}});
    points.add({.features = {}, .labels = {}});
    const Precision precision = evaluate(network, points.view());
    EXPECT_EQ(precision.points, 1U);
    EXPECT_DOUBLE_EQ(precision.at_1, 1);
    EXPECT_DOUBLE_EQ(precision.at_5, 1.0 / 5);
}

TEST(Evaluation, LabelsThatTablesDoNotHoldCountAsMisses) {
    system::Runtime runtime({.threads = 2});
    nn::Network network = network_that_ranks_by_id(runtime, 10);
    network.index({{.hash = {.k = 1, .l = 1}, .mix = {}}, {0, 2}, {0, 0, 0}});
    testing::ToyPoints points(4, 10);
    points.add({.features = {{0, 1.0F}}, .labels = {0, 1}});
    const std::uint32_t depths[] = {1, 2, 5};
    const Evaluation found = evaluate_at(network, points.view(), depths, RetrievalMode::lsh);
    EXPECT_EQ(found.candidates, 2U);
    EXPECT_EQ(found.metrics.precision, (std::vector<double>{1, 1.0 / 2, 1.0 / 5}));
}

TEST(Evaluation, NoPointsGiveZero) {
    system::Runtime runtime({.threads = 2});
    const nn::Network network = network_that_ranks_by_id(runtime, 10);
    const Precision precision = evaluate(network, testing::ToyPoints(4, 10).view());
    EXPECT_EQ(precision.points, 0U);
    EXPECT_EQ(precision.at_1, 0);
    EXPECT_EQ(precision.at_3, 0);
    EXPECT_EQ(precision.at_5, 0);
}

TEST(Evaluation, PadsNarrowLayersWithMisses) {
    system::Runtime runtime({.threads = 2});
    const nn::Network network = network_that_ranks_by_id(runtime, 2);
    testing::ToyPoints points(4, 2);
    points.add({.features = {}, .labels = {0, 1}});
    const Precision precision = evaluate(network, points.view());
    EXPECT_DOUBLE_EQ(precision.at_1, 1);
    EXPECT_DOUBLE_EQ(precision.at_3, 2.0 / 3);
    EXPECT_DOUBLE_EQ(precision.at_5, 2.0 / 5);
}

TEST(Evaluation, CountsEachPointOfManyOnce) {
    // More points than are evaluated at a time.
    system::Runtime runtime({.threads = 2});
    const nn::Network network = network_that_ranks_by_id(runtime, 8);
    testing::ToyPoints points(4, 8);
    for (std::uint32_t i = 0; i < 20'000; ++i)
        points.add({.features = {{i % 4, 1.0F}}, .labels = {i % 8}});
    const Precision precision = evaluate(network, points.view());
    EXPECT_EQ(precision.points, 20'000U);
    EXPECT_DOUBLE_EQ(precision.at_1, 1.0 / 8);
    EXPECT_DOUBLE_EQ(precision.at_3, 1.0 / 8);
    EXPECT_DOUBLE_EQ(precision.at_5, 1.0 / 8);
}

}  // namespace
}  // namespace slidekit::train::evaluation_test
