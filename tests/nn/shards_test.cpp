// A layer cut over several domains gives the bits of one that is not: whatever is sampled, ranked,
// capped, corrected, rebuilt.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/data/batches.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/error.hpp>

#include "sanitized.hpp"
#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::shards_test {
namespace {

constexpr std::uint32_t kFeatures = 300;
constexpr std::uint32_t kLabels = 1700;

struct Case {
    std::string name;
    OutputConfig output;
    Optimizer optimizer = Optimizer::adam;
    Precision precision = Precision::fp32;
    HashFunctions functions = HashFunctions::keep;
    float smoothing = 0;
};

struct Outcome {
    std::vector<std::uint32_t> bits;
    StepReport sums;
    double recall = 0;
    double drift = 0;
    std::uint64_t kept = 0;
};

std::vector<std::uint32_t> met_labels() {
    std::vector<std::uint32_t> met;
    for (std::uint32_t id = 0; id < kLabels; ++id)
        if (id % 5 != 3) met.push_back(id);
    return met;
}

UpdateRule rule_of(Optimizer optimizer) {
    if (optimizer == Optimizer::sgd) return testing::sgd(0.5F);
    if (optimizer == Optimizer::adagrad_row) return kernels::AdagradStep{.lr = 0.1F};
    return testing::adam(1e-2F);
}

// Eight steps of 60 samples, with a rebuild beside steps 1 to 5 that serves the last.
Outcome train(const Case& tested, unsigned domains, unsigned threads) {
    constexpr std::uint32_t kBatch = 60;
    constexpr std::uint64_t kSteps = 8;
    system::Runtime runtime({.threads = threads, .domains = domains});
    Network network(runtime,
                    {.features = kFeatures,
                     .hidden = 40,
                     .labels = kLabels,
                     .output = tested.output,
                     .optimizer = tested.optimizer,
                     .precision = tested.precision,
                     .initial_deviation = 0.1F,
                     .seed = 3},
                    met_labels());
    const testing::ToyPoints points =
        testing::random_points(kBatch * kSteps, kFeatures, kLabels, 10, 7);
    const std::vector<std::uint32_t> order = data::shuffled_order(kBatch * kSteps, 3, 0);
    Outcome outcome;
    for (std::uint64_t step = 0; step < kSteps; ++step) {
        if (step == 0) network.rebuild_tables();
        if (step == 1) network.begin_rebuild({.steps = 5, .functions = tested.functions});
        if (step == 6) {
            outcome.kept = network.finish_rebuild().occupancy.ids;
            outcome.drift = network.table_drift();
        }
        data::Batch batch;
        batch.assign(points.view(), std::span(order).subspan(step * kBatch, kBatch));
        const UpdateRule rule = rule_of(tested.optimizer);
        outcome.sums +=
            network.train_step(batch.view(), rule, step, {.label_smoothing = tested.smoothing});
        if (step == 7) outcome.recall = network.top_recall(batch.view());
    }
    outcome.bits = testing::bits_of(network);
    return outcome;
}

class Shards : public ::testing::TestWithParam<Case> {};

TEST_P(Shards, AnyNumberGivesTheSameBits) {
    const Outcome one = train(GetParam(), 1, 2);
    EXPECT_GT(one.sums.active, 0U);
    const bool few = testing::kSanitized;  // a sanitizer's threads take ten times as long
    for (const unsigned domains : few ? std::vector{2U} : std::vector{2U, 3U, 4U, 8U, 9U}) {
        for (const unsigned threads : few ? std::vector{3U} : std::vector{1U, 3U}) {
            const Outcome cut = train(GetParam(), domains, threads);
            const std::string name =
                std::to_string(domains) + " domains, " + std::to_string(threads) + " threads";
            EXPECT_TRUE(cut.bits == one.bits) << name;
            EXPECT_EQ(cut.sums.loss, one.sums.loss) << name;
            EXPECT_EQ(cut.sums.active, one.sums.active) << name;
            EXPECT_EQ(cut.sums.candidates, one.sums.candidates) << name;
            EXPECT_EQ(cut.sums.labels_retrieved, one.sums.labels_retrieved) << name;
            EXPECT_EQ(cut.sums.rows_touched, one.sums.rows_touched) << name;
            EXPECT_EQ(cut.recall, one.recall) << name;
            EXPECT_EQ(cut.drift, one.drift) << name;
            EXPECT_EQ(cut.kept, one.kept) << name;
        }
    }
}

LshOutput sampled(Sampling sampling, Rank rank = Rank::dot) {
    LshOutput output = testing::some_neurons(30, 20, 20);
    output.sampling = sampling;
    output.rank = rank;
    return output;
}

// Few keys for many rows: every bucket is over its cap.
LshOutput capped(lsh::BucketPolicy policy) {
    LshOutput output = sampled(Sampling::top_k);
    output.hash = {.k = 3, .l = 12};
    output.bucket_cap = 20;
    output.bucket_policy = policy;
    return output;
}

LshOutput hashed(lsh::HashFamily family, std::uint32_t k) {
    LshOutput output = sampled(Sampling::top_k);
    output.hash = {.family = family, .k = k, .l = 12};
    return output;
}

LshOutput corrected() {
    LshOutput output = sampled(Sampling::top_k, Rank::dot_fp32);
    output.correction = Correction::log_q;
    return output;
}

LshOutput by_label() {
    LshOutput output = sampled(Sampling::top_k);
    output.query = QueryBy::label;
    return output;
}

LshOutput for_the_batch() {
    LshOutput output = sampled(Sampling::top_k);
    output.scope = Scope::batch;
    return output;
}

LshOutput uncentred() {
    LshOutput output = sampled(Sampling::top_k);
    output.centre = Centre::off;
    output.hash.probes = 3;
    return output;
}

INSTANTIATE_TEST_SUITE_P(
    Outputs,
    Shards,
    ::testing::Values(
        Case{"TopK", sampled(Sampling::top_k)},
        Case{"TopKFp32", sampled(Sampling::top_k, Rank::dot_fp32)},
        Case{"TopKByCount", sampled(Sampling::top_k, Rank::count)},
        Case{"Vanilla", sampled(Sampling::vanilla)},
        Case{"Threshold", sampled(Sampling::threshold)},
        Case{"All", sampled(Sampling::all)},
        Case{"None", sampled(Sampling::none)},
        Case{"Exact", sampled(Sampling::exact)},
        Case{"ExactFp32", sampled(Sampling::exact, Rank::dot_fp32)},
        Case{"CappedReservoir", capped(lsh::BucketPolicy::reservoir)},
        Case{"CappedFifo", capped(lsh::BucketPolicy::fifo)},
        Case{"Dwta", hashed(lsh::HashFamily::dwta, 2)},
        Case{"CrossPolytope", hashed(lsh::HashFamily::crosspolytope, 1)},
        Case{"LogQ", corrected()},
        Case{"ByLabel", by_label()},
        Case{"ForTheBatch", for_the_batch()},
        Case{"UncentredProbing", uncentred()},
        Case{"Sgd", sampled(Sampling::top_k), Optimizer::sgd},
        Case{"AdamDense", sampled(Sampling::top_k), Optimizer::adam_dense},
        Case{"AdagradHalves", sampled(Sampling::exact), Optimizer::adagrad_row, Precision::bf16},
        Case{"Redrawn",
             sampled(Sampling::top_k),
             Optimizer::adam,
             Precision::fp32,
             HashFunctions::redraw},
        Case{"Smoothed",
             sampled(Sampling::exact),
             Optimizer::adam,
             Precision::fp32,
             HashFunctions::keep,
             0.1F},
        Case{"Full", FullOutput{}},
        Case{"Uniform", UniformOutput{.negatives = 400}},
        Case{"UniformAdamDense", UniformOutput{.negatives = 400}, Optimizer::adam_dense}),
    [](const auto& tested) { return tested.param.name; });

TEST(ShardsOfStandout, AreRefusedByName) {
    system::Runtime runtime({.threads = 2, .domains = 2});
    try {
        const Network network(
            runtime,
            {.features = 10, .hidden = 8, .labels = 100, .output = sampled(Sampling::standout)});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        EXPECT_NE(std::string(error.what()).find("one domain"), std::string::npos);
    }
}

}  // namespace
}  // namespace slidekit::nn::shards_test
