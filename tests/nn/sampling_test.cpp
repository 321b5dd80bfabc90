// Each way to choose an active set does what its name says.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/error.hpp>

#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::sampling_test {
namespace {

constexpr std::uint32_t kFeatures = 100;
constexpr std::uint32_t kLabels = 600;
constexpr std::uint32_t kSamples = 48;

testing::ToyPoints samples() { return testing::random_points(kSamples, kFeatures, kLabels, 6, 3); }

StepReport first_step(const OutputConfig& output, unsigned threads = 2) {
    system::Runtime runtime({.threads = threads});
    Network network(runtime,
                    {.features = kFeatures,
                     .hidden = 24,
                     .labels = kLabels,
                     .output = output,
                     .optimizer = Optimizer::sgd,
                     .initial_deviation = 0.2F});
    network.rebuild_tables();
    return network.train_step(samples().view(), testing::sgd(0), 0);
}

LshOutput sampled(Sampling sampling, std::uint32_t count) {
    LshOutput output = testing::some_neurons(count, 0, 0);
    output.hash = {.k = 3, .l = 12};
    output.sampling = sampling;
    return output;
}

TEST(Sampling, VanillaStopsAtTheNeuronsThatItNeeds) {
    const StepReport report = first_step(sampled(Sampling::vanilla, 50));
    EXPECT_EQ(report.candidates, kSamples * 50U);
    EXPECT_LE(report.active, report.labels + kSamples * 50U);
    EXPECT_GE(report.active, kSamples * 50U);
}

TEST(Sampling, UnionTakesAllCandidatesUpToItsMost) {
    const StepReport all = first_step(sampled(Sampling::all, kLabels));
    EXPECT_EQ(all.active, all.candidates + all.labels - all.labels_retrieved);
    EXPECT_LE(first_step(sampled(Sampling::all, 7)).active, all.labels + kSamples * 7U);
}

TEST(Sampling, ThresholdOfOneIsTheUnionAndAHigherOneIsStricter) {
    LshOutput output = sampled(Sampling::threshold, kLabels);
    std::uint64_t before = first_step(sampled(Sampling::all, kLabels)).active + 1;
    for (const std::uint32_t threshold : {1U, 2U, 4U, 12U}) {
        output.threshold = threshold;
        const std::uint64_t active = first_step(output).active;
        EXPECT_LT(active, before) << threshold;
        before = active;
    }
    output.threshold = 13;  // more than there are tables
    const StepReport none = first_step(output);
    EXPECT_EQ(none.active, none.labels);
}

TEST(Sampling, NoneLooksIntoNoTable) {
    LshOutput output = testing::some_neurons(40, 30, 20);
    output.sampling = Sampling::none;
    const StepReport report = first_step(output);
    EXPECT_EQ(report.candidates, 0U);
    EXPECT_LE(report.active, report.labels + kSamples * 50U);
}

TEST(Sampling, ALabelsRowFindsTheLabelItself) {
    LshOutput output = sampled(Sampling::top_k, 40);
    output.hash = {.k = 10, .l = 3};  // so narrow that hardly anything else is found
    output.bucket_cap = 0;
    EXPECT_LT(first_step(output).labels_retrieved, kSamples / 4);
    output.query = QueryBy::label;
    EXPECT_GE(first_step(output).labels_retrieved, kSamples);
}

TEST(Sampling, ExactTakesTheBestOfAllNeurons) {
    LshOutput found = sampled(Sampling::top_k, 40);
    found.hash = {.k = 1, .l = 40};  // two buckets a table: all are candidates
    found.bucket_cap = 0;
    found.rank = Rank::dot_fp32;
    const StepReport best = first_step(found);
    LshOutput scanned = sampled(Sampling::exact, 40);
    scanned.rank = Rank::dot_fp32;
    const StepReport exact = first_step(scanned);
    EXPECT_EQ(exact.active, best.active);
    EXPECT_NEAR(exact.loss, best.loss, 1e-5 * best.loss);
    EXPECT_EQ(exact.candidates, 0U);
}

TEST(Sampling, StandoutKeepsMoreWhereBetaIsHigher) {
    LshOutput output = sampled(Sampling::standout, kLabels);
    std::uint64_t before = 0;
    for (const float beta : {-4.0F, -1.0F, 2.0F}) {
        output.beta = beta;
        const StepReport report = first_step(output);
        EXPECT_GT(report.active, before);
        before = report.active;
    }
    output.mix.lsh = 5;
    const StepReport few = first_step(output);
    EXPECT_LE(few.active, few.labels + kSamples * 5U);
}

TEST(Sampling, ABatchsSetIsSharedByItsSamples) {
    LshOutput output = testing::some_neurons(8, 0, 20);
    output.scope = Scope::batch;
    const StepReport report = first_step(output);
    EXPECT_EQ(report.active, report.samples * report.rows_touched);
    EXPECT_GT(report.candidates, 0U);
    EXPECT_LE(report.rows_touched, report.labels + kSamples * 8U + 20U);
}

TEST(Sampling, AnyNumberOfThreadsChoosesTheSame) {
    std::vector<LshOutput> outputs(4, testing::some_neurons(40, 10, 10));
    outputs[0].sampling = Sampling::vanilla;
    outputs[1].sampling = Sampling::threshold;
    outputs[2].query = QueryBy::label;
    outputs[3].scope = Scope::batch;
    for (const Sampling sampling : {Sampling::exact, Sampling::standout}) {
        outputs.push_back(testing::some_neurons(40, 10, 10));
        outputs.back().sampling = sampling;
    }
    outputs.push_back(testing::some_neurons(40, 10, 10));
    outputs.back().correction = Correction::log_q;
    for (const LshOutput& output : outputs) {
        const double loss = first_step(output, 1).loss;
        for (const unsigned threads : {2U, 3U, 4U})
            EXPECT_EQ(first_step(output, threads).loss, loss);
    }
}

TEST(Sampling, CorrectionMakesTheLossThatOfAllNeurons) {
    LshOutput output = testing::some_neurons(0, 0, kLabels / 2);
    output.sampling = Sampling::none;
    output.mix.uniform_group = 1;
    const double full = first_step(FullOutput{}).loss;
    EXPECT_LT(first_step(output).loss, 0.95 * full);
    output.correction = Correction::log_q;
    EXPECT_NEAR(first_step(output).loss, full, 0.01 * full);
}

TEST(Sampling, CorrectionIsRefusedWhereNoProbabilityIsKnown) {
    LshOutput output = testing::some_neurons(10, 10, 10);
    output.correction = Correction::log_q;
    output.hash.family = lsh::HashFamily::dwta;
    EXPECT_THROW(first_step(output), Error);
    output.hash.family = lsh::HashFamily::simhash;
    output.sampling = Sampling::vanilla;
    EXPECT_THROW(first_step(output), Error);
    output.sampling = Sampling::top_k;
    output.scope = Scope::batch;
    EXPECT_THROW(first_step(output), Error);
}

}  // namespace
}  // namespace slidekit::nn::sampling_test
