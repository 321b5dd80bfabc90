// The LSH output seen from outside: what is retrieved, what is ranked, what is counted.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/nn/network.hpp>

#include "reference_network.hpp"
#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::sampled_softmax_test {
namespace {

constexpr std::uint32_t kFeatures = 100;
constexpr std::uint32_t kLabels = 600;
constexpr std::uint32_t kSamples = 64;

NetworkConfig config_of(const OutputConfig& output, Optimizer optimizer = Optimizer::adam) {
    return {.features = kFeatures,
            .hidden = 24,
            .labels = kLabels,
            .output = output,
            .optimizer = optimizer,
            .initial_deviation = 0.2F};
}

testing::ToyPoints samples() { return testing::random_points(kSamples, kFeatures, kLabels, 6, 3); }

// Steps over one batch, with a rebuild every tenth; the reports one by one.
std::vector<StepReport> train(Network& network, std::uint64_t steps) {
    const testing::ToyPoints points = samples();
    std::vector<StepReport> reports;
    for (std::uint64_t step = 0; step < steps; ++step) {
        if (step % 10 == 0) network.rebuild_tables();
        reports.push_back(network.train_step(points.view(), testing::adam(1e-2F), step));
    }
    return reports;
}

TEST(SampledSoftmax, CountersStayInTheirRanges) {
    system::Runtime runtime({.threads = 2});
    Network network(runtime, config_of(testing::some_neurons(40, 30, 20)));
    for (const StepReport& report : train(network, 12)) {
        EXPECT_EQ(report.samples, kSamples);
        EXPECT_EQ(report.labels, samples().view().label_ids.size());
        EXPECT_GT(report.candidates, 0U);
        EXPECT_LE(report.candidates, std::uint64_t{kSamples} * kLabels);
        EXPECT_LE(report.labels_retrieved, report.labels);
        EXPECT_GT(report.active, report.labels);
        EXPECT_LE(report.active, report.labels + kSamples * (40 + 30 + 20));
        EXPECT_LE(report.rows_touched, std::min<std::uint64_t>(report.active, kLabels));
        EXPECT_LE(report.correct, report.samples);
    }
}

TEST(SampledSoftmax, TwoBucketsATableRetrieveEveryNeuron) {
    system::Runtime runtime({.threads = 2});
    Network network(runtime, config_of(testing::every_neuron(kLabels)));
    const StepReport report = train(network, 1).front();
    EXPECT_EQ(report.candidates, std::uint64_t{kSamples} * kLabels);
    EXPECT_EQ(report.labels_retrieved, report.labels);
    EXPECT_EQ(network.top_recall(samples().view()), 1);
}

// The labels of each point and the `count` neurons of its highest logits.
std::vector<std::vector<std::uint32_t>> labels_and_best(const testing::ReferenceNetwork& network,
                                                        const data::PointsView& points,
                                                        std::size_t count) {
    std::vector<std::vector<std::uint32_t>> active(points.points);
    for (std::size_t s = 0; s < points.points; ++s) {
        const std::vector<double> activation = network.activation(points, s);
        std::vector<double> logits;
        for (std::uint32_t n = 0; n < points.labels; ++n)
            logits.push_back(network.logit(activation, n));
        std::vector<std::uint32_t> order(points.labels);
        std::iota(order.begin(), order.end(), 0U);
        std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return logits[a] > logits[b];
        });
        order.resize(count);
        for (const std::uint32_t label : points.labels_of(s)) {
            if (std::find(order.begin(), order.end(), label) == order.end()) order.push_back(label);
        }
        active[s] = order;
    }
    return active;
}

TEST(SampledSoftmax, KeepsTheCandidatesOfTheHighestLogits) {
    system::Runtime runtime({.threads = 2});
    LshOutput output = testing::every_neuron(kLabels);
    output.mix.lsh = 10;
    output.rank = Rank::dot_fp32;
    Network network(runtime, config_of(output, Optimizer::sgd));
    testing::set_biases(network);
    network.rebuild_tables();
    const auto reference = testing::ReferenceNetwork::of(network);
    const testing::ToyPoints points = samples();
    const auto active = labels_and_best(reference, points.view(), 10);
    const StepReport report = network.train_step(points.view(), testing::sgd(1), 0);
    EXPECT_NEAR(report.loss, reference.loss(points.view(), active), 1e-5 * report.loss);
}

TEST(SampledSoftmax, EveryRankLearnsItsBatch) {
    for (const Rank rank : {Rank::dot, Rank::dot_fp32, Rank::count}) {
        system::Runtime runtime({.threads = 2});
        LshOutput output = testing::some_neurons(60, 20, 20);
        output.rank = rank;
        Network network(runtime, config_of(output));
        const std::vector<StepReport> reports = train(network, 60);
        EXPECT_LT(reports.back().loss, 0.5 * reports.front().loss) << static_cast<int>(rank);
    }
}

TEST(SampledSoftmax, RankRowsFollowTheRowsThatTrainingMoves) {
    // Without refreshing at the update, 8-bit ranks would be those of the last rebuild.
    const auto loss_of_last = [](Rank rank) {
        system::Runtime runtime({.threads = 2});
        LshOutput output = testing::every_neuron(kLabels);
        output.mix.lsh = 30;
        output.rank = rank;
        Network network(runtime, config_of(output));
        return train(network, 10).back().loss;
    };
    EXPECT_NEAR(loss_of_last(Rank::dot) / loss_of_last(Rank::dot_fp32), 1, 0.02);
}

LshOutput all_candidates(Centre centre) {
    LshOutput output = testing::some_neurons(kLabels, 0, 0);
    output.centre = centre;
    output.bucket_cap = 0;
    return output;
}

TEST(SampledSoftmax, CentringTakesOffWhatAllRowsShare) {
    for (const Centre centre : {Centre::on, Centre::off}) {
        system::Runtime runtime({.threads = 2});
        Network network(runtime, config_of(all_candidates(centre)));
        const auto before = static_cast<double>(network.rebuild_tables().occupancy.nonempty);
        for (std::size_t i = 0; i < kLabels; ++i) {
            for (std::size_t k = 0; k < 24; ++k)
                network.output().weights().row(i)[k] += 3 + static_cast<float>(k);
        }
        const auto after = static_cast<double>(network.rebuild_tables().occupancy.nonempty);
        if (centre == Centre::on) {
            EXPECT_NEAR(after, before, 0.02 * before);
        } else {
            EXPECT_LT(after, 0.5 * before);
        }
    }
}

TEST(SampledSoftmax, CentringTakesOffWhatAllActivationsShare) {
    for (const Centre centre : {Centre::on, Centre::off}) {
        system::Runtime runtime({.threads = 2});
        Network network(runtime, config_of(all_candidates(centre)));
        float value = 20;  // so large that ReLU lets all pass, and that it outweighs the features
        for (float& bias : network.hidden_bias()) bias = (value += 3);
        network.rebuild_tables();
        const std::uint64_t rows =
            network.train_step(samples().view(), testing::adam(1e-2F), 0).rows_touched;
        if (centre == Centre::on) {
            EXPECT_GT(rows, kLabels * 9 / 10);
        } else {
            EXPECT_LT(rows, kLabels * 7 / 10);  // all samples look into the same buckets
        }
    }
}

TEST(SampledSoftmax, MeanActivationRemembersEarlierBatches) {
    // Were it the batch's own, a lone sample less its mean would be 0 and hash like any other.
    system::Runtime runtime({.threads = 1});
    Network network(runtime, config_of(all_candidates(Centre::on), Optimizer::sgd));
    network.rebuild_tables();
    network.train_step(samples().view(), testing::sgd(0), 0);
    std::set<std::uint64_t> candidates;
    for (std::uint32_t i = 0; i < 8; ++i) {
        const testing::ToyPoints lone = testing::random_points(1, kFeatures, kLabels, 6, 100 + i);
        candidates.insert(network.train_step(lone.view(), testing::sgd(0), i).candidates);
    }
    EXPECT_GT(candidates.size(), 2U);
}

TEST(SampledSoftmax, FullBucketsKeepOthersAtEachRebuild) {
    system::Runtime runtime({.threads = 1});
    LshOutput output = testing::some_neurons(kLabels, 0, 0);
    output.bucket_cap = 4;
    Network network(runtime, config_of(output, Optimizer::sgd));
    std::set<std::uint64_t> candidates;
    for (std::uint64_t i = 0; i < 6; ++i) {
        network.rebuild_tables();
        candidates.insert(network.train_step(samples().view(), testing::sgd(0), 0).candidates);
    }
    EXPECT_GT(candidates.size(), 1U);
}

TEST(SampledSoftmax, NeuronsNotMetAreNeverCandidates) {
    system::Runtime runtime({.threads = 2});
    const testing::ToyPoints points = samples();
    std::vector<std::uint32_t> met(points.view().label_ids.begin(), points.view().label_ids.end());
    std::sort(met.begin(), met.end());
    met.erase(std::unique(met.begin(), met.end()), met.end());
    Network network(runtime, config_of(testing::every_neuron(kLabels)), met);
    const auto before = testing::ReferenceNetwork::of(network).output;
    EXPECT_EQ(network.rebuild_tables().rows, met.size());
    const StepReport report = network.train_step(points.view(), testing::adam(1e-2F), 0);
    EXPECT_EQ(report.candidates, kSamples * met.size());
    EXPECT_EQ(report.rows_touched, met.size());
    const auto after = testing::ReferenceNetwork::of(network).output;
    for (std::uint32_t n = 0; n < kLabels; ++n) {
        const bool known = std::binary_search(met.begin(), met.end(), n);
        const bool moved = !std::equal(
            before.begin() + n * 24, before.begin() + (n + 1) * 24, after.begin() + n * 24);
        EXPECT_EQ(moved, known) << n;
    }
}

TEST(SampledSoftmax, BeforeTheFirstRebuildLabelsAndDrawsAreActive) {
    system::Runtime runtime({.threads = 2});
    Network network(runtime, config_of(testing::some_neurons(40, 0, 0)));
    const StepReport report = network.train_step(samples().view(), testing::adam(1e-2F), 0);
    EXPECT_EQ(report.candidates, 0U);
    EXPECT_EQ(report.active, report.labels);
}

TEST(SampledSoftmax, RebuildReportsEveryRowInEveryTable) {
    system::Runtime runtime({.threads = 2});
    LshOutput output = testing::some_neurons(40, 0, 0);
    output.bucket_cap = 16;
    Network network(runtime, config_of(output));
    for (int i = 0; i < 3; ++i) {
        const RebuildReport report = network.rebuild_tables();
        EXPECT_EQ(report.rows, kLabels);
        EXPECT_EQ(report.occupancy.ids + report.occupancy.dropped,
                  std::uint64_t{kLabels} * output.hash.l);
        EXPECT_EQ(report.occupancy.buckets, std::uint64_t{output.hash.l} << output.hash.k);
        EXPECT_GT(report.occupancy.dropped, 0U);
        EXPECT_GE(report.seconds, 0);
    }
}

TEST(SampledSoftmax, TopRecallIsAShareAndBetterThanChance) {
    system::Runtime runtime({.threads = 2});
    Network network(runtime, config_of(testing::some_neurons(20, 20, 20)));
    const StepReport last = train(network, 31).back();
    const double recall = network.top_recall(samples().view());
    const double chance = static_cast<double>(last.candidates) / (kSamples * kLabels);
    EXPECT_GT(recall, 1.2 * chance);
    EXPECT_LE(recall, 1);
}

TEST(SampledSoftmax, BaselinesHaveNoTables) {
    system::Runtime runtime({.threads = 2});
    for (const OutputConfig& output :
         {OutputConfig{FullOutput{}}, OutputConfig{UniformOutput{.negatives = 10}}}) {
        Network network(runtime, config_of(output));
        EXPECT_EQ(network.rebuild_tables().rows, 0U);
        EXPECT_LT(network.top_recall(samples().view()), 0);
    }
}

}  // namespace
}  // namespace slidekit::nn::sampled_softmax_test
