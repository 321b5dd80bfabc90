// Where shared negatives come from, and that their correction makes the sampled softmax the full
// one on average.
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>

#include "nn/shared_negatives.hpp"

namespace slidekit::nn::shared_negatives_test {
namespace {

constexpr std::uint32_t kNeurons = 20;
constexpr std::uint64_t kSteps = 20000;
const std::vector<std::uint32_t> kMet = {2, 3, 5, 7, 11};
const std::vector<std::uint32_t> kCounts = {1, 2, 4, 8, 1};
const std::vector<std::uint32_t> kLabels = {3, 17};

SharedNegatives negatives(std::uint32_t count, NegativesFrom from, Correction correction) {
    return {
        {.negatives = count, .from = from, .correction = correction}, kNeurons, kMet, kCounts, 9};
}

// How often one draw a step hits each neuron.
std::map<std::uint32_t, double> shares(NegativesFrom from) {
    SharedNegatives drawn = negatives(1, from, Correction::none);
    std::map<std::uint32_t, double> share;
    for (std::uint64_t step = 0; step < kSteps; ++step) {
        drawn.draw(step, {});
        share[drawn.ids()[0]] += 1.0 / kSteps;
    }
    return share;
}

constexpr double kFourDeviations = 4 * 0.5 / 141.4;  // of a share, over kSteps draws

TEST(SharedNegatives, AllNeuronsAreDrawnEvenly) {
    const auto share = shares(NegativesFrom::all);
    EXPECT_EQ(share.size(), kNeurons);
    for (const auto& [id, part] : share) EXPECT_NEAR(part, 1.0 / kNeurons, kFourDeviations) << id;
}

TEST(SharedNegatives, MetNeuronsAreDrawnEvenlyAndNoOthers) {
    const auto share = shares(NegativesFrom::met);
    EXPECT_EQ(share.size(), kMet.size());
    for (const std::uint32_t id : kMet) EXPECT_NEAR(share.at(id), 0.2, kFourDeviations) << id;
}

TEST(SharedNegatives, PopularOnesAreDrawnInProportionToTheirCounts) {
    const auto share = shares(NegativesFrom::popular);
    EXPECT_EQ(share.size(), kMet.size());
    for (std::size_t i = 0; i < kMet.size(); ++i)
        EXPECT_NEAR(share.at(kMet[i]), kCounts[i] / 16.0, kFourDeviations) << kMet[i];
}

TEST(SharedNegatives, HoldTheLabelsOnceUncorrected) {
    SharedNegatives drawn = negatives(50, NegativesFrom::met, Correction::log_q);
    drawn.draw(0, kLabels);
    const std::vector<std::uint32_t> ids(drawn.ids().begin(), drawn.ids().end());
    EXPECT_EQ(ids, (std::vector<std::uint32_t>{2, 3, 5, 7, 11, 17}));
    EXPECT_EQ(drawn.shift(1), 0.0F);
    EXPECT_EQ(drawn.shift(5), 0.0F);
    EXPECT_GT(drawn.shift(0), 0.0F);
}

// For any logits: what the corrected set adds up to, and what it gives each neuron of it (the
// gradient before it is normalised), is on average what all neurons would.
class Corrected : public ::testing::TestWithParam<NegativesFrom> {};

TEST_P(Corrected, ExponentialsAreOnAverageThoseOfTheFullSoftmax) {
    SharedNegatives drawn = negatives(4, GetParam(), Correction::log_q);
    std::map<std::uint32_t, double> mean;
    const auto exponential = [](std::uint32_t id) { return std::exp(std::sin(id)); };
    for (std::uint64_t step = 0; step < kSteps; ++step) {
        drawn.draw(step, kLabels);
        for (std::size_t i = 0; i < drawn.ids().size(); ++i) {
            const std::uint32_t id = drawn.ids()[i];
            mean[id] += exponential(id) * std::exp(static_cast<double>(drawn.shift(i))) / kSteps;
        }
    }
    EXPECT_EQ(mean.size(), GetParam() == NegativesFrom::all ? kNeurons : kMet.size() + 1);
    for (const auto& [id, value] : mean)
        EXPECT_NEAR(value / exponential(id), 1, 0.08) << id;  // four deviations at chance 0.18
}

INSTANTIATE_TEST_SUITE_P(From,
                         Corrected,
                         ::testing::Values(NegativesFrom::all,
                                           NegativesFrom::met,
                                           NegativesFrom::popular));

TEST(SharedNegatives, RefuseCountsThatDoNotFit) {
    const UniformOutput popular{.from = NegativesFrom::popular};
    const std::vector<std::uint32_t> few = {1, 2};
    const std::vector<std::uint32_t> none(kMet.size(), 0);
    EXPECT_THROW(SharedNegatives(popular, kNeurons, kMet, few, 1), Error);
    EXPECT_THROW(SharedNegatives(popular, kNeurons, kMet, none, 1), Error);
}

}  // namespace
}  // namespace slidekit::nn::shared_negatives_test
