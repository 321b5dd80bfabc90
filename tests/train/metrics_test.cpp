// Metrics of ranked labels on numbers worked out by hand.
#include <slidekit/train/metrics.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "toy_points.hpp"

namespace slidekit::train::metrics_test {
namespace {

using Ids = std::vector<std::uint32_t>;

constexpr double kSecond = 0.63092975357145743;  // 1 / log2(3), the discount of rank 2
constexpr double kFourth = 0.43067655807339306;  // 1 / log2(5)

TEST(Metrics, OnePointByHand) {
    const Ids depths = {1, 2, 3, 5};
    const std::vector<double> inverse = {1, 2, 4, 8, 16, 32};
    MetricSums sums(depths, inverse);
    // Hits at ranks 2 (label 4) and 4 (label 1) of the true 1, 3, 4.
    sums.add(Ids{0, 4, 5, 1, 2}, Ids{1, 3, 4});
    const Metrics metrics = sums.result();
    EXPECT_EQ(metrics.points, 1U);
    EXPECT_EQ(metrics.depths, depths);
    const double ideal[] = {1, 1 + kSecond, 1 + kSecond + 0.5, 1 + kSecond + 0.5};
    const double precision[] = {0, 1.0 / 2, 1.0 / 3, 2.0 / 5};
    const double dcg[] = {0, kSecond, kSecond, kSecond + kFourth};
    const double recall[] = {0, 1.0 / 3, 1.0 / 3, 2.0 / 3};
    const double psp[] = {0, 16.0 / 24, 16.0 / 26, 18.0 / 26};  // best: 16, 16 + 8, 16 + 8 + 2
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_DOUBLE_EQ(metrics.precision[i], precision[i]) << depths[i];
        EXPECT_DOUBLE_EQ(metrics.ndcg[i], dcg[i] / ideal[i]) << depths[i];
        EXPECT_DOUBLE_EQ(metrics.recall[i], recall[i]) << depths[i];
        EXPECT_DOUBLE_EQ(metrics.psp[i], psp[i]) << depths[i];
    }
}

TEST(Metrics, PointsAreAveragedButPspIsAQuotientOfSums) {
    const Ids depths = {2};
    const std::vector<double> inverse = {1, 10, 100};
    MetricSums sums(depths, inverse);
    sums.add(Ids{0, 1}, Ids{0});     // P 1/2, nDCG 1, recall 1, weight 1 of 1
    sums.add(Ids{0, 1}, Ids{1, 2});  // P 1/2, nDCG kSecond / (1 + kSecond), recall 1/2, 10 of 110
    const Metrics metrics = sums.result();
    EXPECT_DOUBLE_EQ(metrics.precision[0], 0.5);
    EXPECT_DOUBLE_EQ(metrics.ndcg[0], (1 + kSecond / (1 + kSecond)) / 2);
    EXPECT_DOUBLE_EQ(metrics.recall[0], 0.75);
    EXPECT_DOUBLE_EQ(metrics.psp[0], 11.0 / 111);  // not the mean of 1 and 1/11
}

TEST(Metrics, PerfectRanksReachOneButForPrecisionBeyondTheLabels) {
    const Ids depths = {1, 5};
    const std::vector<double> inverse = {3, 1, 7, 5};
    MetricSums sums(depths, inverse);
    sums.add(Ids{2, 3, 0, 1}, Ids{0, 2, 3});
    const Metrics metrics = sums.result();
    EXPECT_EQ(metrics.precision, (std::vector<double>{1, 3.0 / 5}));
    EXPECT_EQ(metrics.ndcg, (std::vector<double>{1, 1}));
    EXPECT_EQ(metrics.recall, (std::vector<double>{1.0 / 3, 1}));
    EXPECT_EQ(metrics.psp, (std::vector<double>{1, 1}));
}

TEST(Metrics, RanksThatAreMissingAreMisses) {
    const Ids depths = {1, 3};
    const std::vector<double> inverse = {2, 2, 2};
    MetricSums sums(depths, inverse);
    sums.add(Ids{}, Ids{1});
    sums.add(Ids{1}, Ids{1});
    sums.add(Ids{2, 0xffffffff, 0xffffffff}, Ids{1});  // as retrieval says that it found no more
    const Metrics metrics = sums.result();
    EXPECT_EQ(metrics.precision, (std::vector<double>{1.0 / 3, 1.0 / 9}));
    for (const auto* each : {&metrics.ndcg, &metrics.recall, &metrics.psp})
        EXPECT_EQ(*each, (std::vector<double>{1.0 / 3, 1.0 / 3}));
}

TEST(Metrics, PassOverPointsWithoutLabels) {
    const Ids depths = {1};
    const std::vector<double> inverse = {2};
    MetricSums none(depths, inverse);
    none.add(Ids{0}, Ids{});
    const Metrics empty = none.result();
    EXPECT_EQ(empty.points, 0U);
    for (const auto* each : {&empty.precision, &empty.ndcg, &empty.recall, &empty.psp})
        EXPECT_EQ(*each, (std::vector<double>{0}));
    none.add(Ids{0}, Ids{0});
    EXPECT_EQ(none.result().ndcg, (std::vector<double>{1}));
}

TEST(Metrics, HaveNoPspWithoutPropensities) {
    MetricSums sums(Ids{1});
    sums.add(Ids{0}, Ids{0});
    EXPECT_TRUE(sums.result().psp.empty());
    EXPECT_EQ(sums.result().recall, (std::vector<double>{1}));
}

TEST(Propensities, FollowTheFormulaForEachOfTheRepositorysConstants) {
    const Ids counts = {0, 1, 7};
    for (const PropensityModel& model :
         {PropensityModel{}, kAmazonPropensity, kWikiPropensity, PropensityModel{0, 1}}) {
        const std::vector<double> inverse = inverse_propensities(counts, 1000, model);
        const double c = (std::log(1000) - 1) * std::pow(model.b + 1, model.a);
        for (std::size_t i = 0; i < counts.size(); ++i) {
            const double p = 1 / (1 + c * std::exp(-model.a * std::log(counts[i] + model.b)));
            EXPECT_NEAR(inverse[i], 1 / p, 1e-12 / p);
        }
    }
    // By hand: C = (ln 1000 - 1) 2.5^0.55 = 9.7788..., of a label met once 1 + C / 2.5^0.55.
    EXPECT_NEAR(inverse_propensities(counts, 1000)[1], std::log(1000), 1e-12);
}

TEST(Propensities, AreCountedOnAllTrainingPoints) {
    testing::ToyPoints points(1, 3);
    points.add({.features = {}, .labels = {0, 2}});
    points.add({.features = {}, .labels = {2}});
    for (int i = 0; i < 18; ++i) points.add({.features = {}, .labels = {}});
    EXPECT_EQ(inverse_propensities(points.view(), kWikiPropensity),
              inverse_propensities(Ids{1, 0, 2}, 20, kWikiPropensity));
}

TEST(Propensities, AreProbabilitiesForTheSmallestSetsToo) {
    for (const std::uint64_t points : {0U, 1U, 2U})
        EXPECT_EQ(inverse_propensities(Ids{0, 1}, points), (std::vector<double>{1, 1}));
}

}  // namespace
}  // namespace slidekit::train::metrics_test
