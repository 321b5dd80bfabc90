// Exact predictions against brute force. Weights are small integers, so that logits are exact and
// often equal.
#include <algorithm>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/random.hpp>

#include "reference_network.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::predict_test {
namespace {

constexpr std::uint32_t kFeatures = 30;
constexpr std::uint32_t kHidden = 21;

void fill_with_integers(std::span<float> values, system::Stream& stream) {
    for (float& value : values) value = static_cast<float>(stream.below(5)) - 2;
}

Network integer_network(system::Runtime& runtime, std::uint32_t labels) {
    Network network(runtime,
                    {.features = kFeatures,
                     .hidden = kHidden,
                     .labels = labels,
                     .output = FullOutput{},
                     .optimizer = Optimizer::sgd,
                     .initial_deviation = 0});
    system::Stream stream(labels, system::Purpose::test);
    for (Parameters* layer : {&network.input(), &network.output()}) {
        for (std::size_t i = 0; i < layer->rows(); ++i)
            fill_with_integers({layer->weights().row(i), layer->dim()}, stream);
        fill_with_integers(layer->bias(), stream);
    }
    fill_with_integers(network.hidden_bias(), stream);
    return network;
}

testing::ToyPoints integer_points(std::uint32_t count, std::uint32_t labels) {
    testing::ToyPoints points(kFeatures, labels);
    system::Stream stream(count, system::Purpose::test, 1);
    for (std::uint32_t i = 0; i < count; ++i) {
        testing::ToyPoint point;
        for (std::uint32_t j = 0; j < i % 4; ++j)
            point.features.emplace_back(stream.below(kFeatures), 1.0F);
        points.add(point);
    }
    return points;
}

std::vector<std::pair<std::uint32_t, float>> brute_force(const Network& network,
                                                         const data::PointsView& points,
                                                         std::uint32_t count) {
    const testing::ReferenceNetwork reference = testing::ReferenceNetwork::of(network);
    std::vector<std::pair<std::uint32_t, float>> best;
    for (std::size_t i = 0; i < points.points; ++i) {
        const std::vector<double> activation = reference.activation(points, i);
        std::vector<std::pair<std::uint32_t, float>> all;
        for (std::uint32_t label = 0; label < points.labels; ++label) {
            all.emplace_back(label, static_cast<float>(reference.logit(activation, label)));
        }
        std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
            return a.second > b.second;
        });
        best.insert(best.end(), all.begin(), all.begin() + count);
    }
    return best;
}

std::vector<std::pair<std::uint32_t, float>> predicted(const Network& network,
                                                       const data::PointsView& points,
                                                       std::uint32_t count) {
    std::vector<std::pair<std::uint32_t, float>> best;
    for (const Ranked& ranked : network.predict(points, count))
        best.emplace_back(ranked.label, ranked.score);
    return best;
}

void expect_brute_force(std::uint32_t labels, std::uint32_t count, std::uint32_t points) {
    system::Runtime runtime({.threads = 2});
    const Network network = integer_network(runtime, labels);
    const testing::ToyPoints some = integer_points(points, labels);
    EXPECT_TRUE(predicted(network, some.view(), count) == brute_force(network, some.view(), count))
        << labels << " labels, " << count << " wanted, " << points << " points";
}

TEST(Predict, AgreesWithBruteForceTiesToTheLowerId) {
    for (const std::uint32_t labels : {255U, 256U, 257U, 1000U}) expect_brute_force(labels, 5, 40);
}

TEST(Predict, RanksAllNeuronsWhereAllAreWanted) {
    for (const std::uint32_t labels : {1U, 4U, 17U, 300U}) expect_brute_force(labels, labels, 20);
}

TEST(Predict, WorksOnFewerNeuronsThanABlock) {
    for (const std::uint32_t labels : {1U, 2U, 3U, 4U, 5U}) expect_brute_force(labels, 1, 10);
}

TEST(Predict, WorksOnAnyNumberOfPoints) {
    for (const std::uint32_t points : {0U, 1U, 15U, 16U, 17U, 255U, 256U, 257U, 600U})
        expect_brute_force(50, 3, points);
}

TEST(Predict, NothingWantedGivesNothing) {
    system::Runtime runtime({.threads = 1});
    const Network network = integer_network(runtime, 9);
    EXPECT_TRUE(network.predict(integer_points(3, 9).view(), 0).empty());
}

TEST(Predict, GivesTheSameFromSeveralThreadsAtOnce) {
    system::Runtime runtime({.threads = 2});
    const Network network = integer_network(runtime, 400);
    const testing::ToyPoints points = integer_points(520, 400);
    const auto expected = brute_force(network, points.view(), 5);
    std::vector<char> same(4);
    {
        std::vector<std::jthread> callers;
        for (char& result : same) {
            callers.emplace_back(
                [&] { result = predicted(network, points.view(), 5) == expected ? 1 : 0; });
        }
    }
    EXPECT_EQ(same, std::vector<char>(4, 1));
}

TEST(Predict, DoesNotChangeTheNetworkItIsAskedOf) {
    system::Runtime runtime({.threads = 2});
    const Network network = integer_network(runtime, 60);
    const testing::ToyPoints points = integer_points(30, 60);
    const auto first = predicted(network, points.view(), 4);
    (void)network.predict(integer_points(300, 60).view(), 60);
    EXPECT_TRUE(predicted(network, points.view(), 4) == first);
}

}  // namespace
}  // namespace slidekit::nn::predict_test
