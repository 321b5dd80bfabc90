// The same seed gives the same bits, whatever the number of threads.
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/data/batches.hpp>
#include <slidekit/nn/network.hpp>

#include "sanitized.hpp"
#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::determinism_test {
namespace {

constexpr std::uint32_t kFeatures = 500;
constexpr std::uint32_t kLabels = 2500;

struct Case {
    std::string name;
    OutputConfig output;
    Optimizer optimizer = Optimizer::adam;
    Precision precision = Precision::fp32;
    HashFunctions functions = HashFunctions::keep;
};

struct Outcome {
    std::vector<std::uint32_t> bits;
    StepReport sums;
};

// Six steps of 100 samples, with a rebuild beside steps 1 to 4 that serves the last.
Outcome train(const Case& tested, unsigned threads, std::uint64_t seed) {
    constexpr std::uint32_t kBatch = 100;
    constexpr std::uint64_t kSteps = 6;
    system::Runtime runtime({.threads = threads});
    Network network(runtime,
                    {.features = kFeatures,
                     .hidden = 40,
                     .labels = kLabels,
                     .output = tested.output,
                     .optimizer = tested.optimizer,
                     .precision = tested.precision,
                     .initial_deviation = 0.1F,
                     .seed = seed});
    const testing::ToyPoints points =
        testing::random_points(kBatch * kSteps, kFeatures, kLabels, 10, 7);
    const std::vector<std::uint32_t> order = data::shuffled_order(kBatch * kSteps, seed, 0);
    StepReport sums;
    for (std::uint64_t step = 0; step < kSteps; ++step) {
        if (step == 0) network.rebuild_tables();
        if (step == 1) network.begin_rebuild({.steps = 4, .functions = tested.functions});
        if (step == 5) network.finish_rebuild();
        data::Batch batch;
        batch.assign(points.view(), std::span(order).subspan(step * kBatch, kBatch));
        const UpdateRule rule =
            tested.optimizer == Optimizer::sgd ? testing::sgd(0.5F) : testing::adam(1e-2F);
        sums += network.train_step(batch.view(), rule, step);
    }
    return {testing::bits_of(network), sums};
}

class Determinism : public ::testing::TestWithParam<Case> {};

TEST_P(Determinism, AnyNumberOfThreadsGivesTheSameBits) {
    const Outcome alone = train(GetParam(), 1, 3);
    const bool few = testing::kSanitized;  // a sanitizer's threads take ten times as long
    for (const unsigned threads : few ? std::vector{4U} : std::vector{2U, 3U, 4U}) {
        const Outcome together = train(GetParam(), threads, 3);
        EXPECT_TRUE(together.bits == alone.bits) << threads << " threads";
        EXPECT_EQ(together.sums.loss, alone.sums.loss) << threads << " threads";
        EXPECT_EQ(together.sums.active, alone.sums.active) << threads << " threads";
        EXPECT_EQ(together.sums.labels_retrieved, alone.sums.labels_retrieved)
            << threads << " threads";
    }
}

TEST_P(Determinism, OneSeedRepeatsAndAnotherDiffers) {
    if (testing::kSanitized)
        GTEST_SKIP() << "says nothing that AnyNumberOfThreads does not, to a sanitizer";
    const Outcome first = train(GetParam(), 4, 3);
    EXPECT_TRUE(train(GetParam(), 4, 3).bits == first.bits);
    EXPECT_FALSE(train(GetParam(), 4, 4).bits == first.bits);
}

LshOutput ranked_by(Rank rank) {
    LshOutput output = testing::some_neurons(30, 20, 20);
    output.rank = rank;
    return output;
}

LshOutput dwta() {
    LshOutput output = testing::some_neurons(30, 20, 20);
    output.hash = {.family = lsh::HashFamily::dwta, .k = 2, .l = 12};
    output.bucket_cap = 20;
    return output;
}

LshOutput probing() {
    LshOutput output = testing::some_neurons(30, 20, 20);
    output.hash = {.k = 5, .l = 12, .probes = 4};
    return output;
}

LshOutput crosspolytope() {
    LshOutput output = testing::some_neurons(30, 20, 20);
    output.hash = {.family = lsh::HashFamily::crosspolytope, .k = 1, .l = 12};
    return output;
}

INSTANTIATE_TEST_SUITE_P(
    Outputs,
    Determinism,
    ::testing::Values(
        Case{"Full", FullOutput{}},
        Case{"Uniform", UniformOutput{.negatives = 400}},
        Case{
            "PopularLogq",
            UniformOutput{
                .negatives = 400, .from = NegativesFrom::popular, .correction = Correction::log_q}},
        Case{"LshDot", ranked_by(Rank::dot)},
        Case{"LshDotFp32", ranked_by(Rank::dot_fp32)},
        Case{"LshCount", ranked_by(Rank::count)},
        Case{"LshDwtaCapped", dwta()},
        Case{"LshProbing", probing()},
        Case{"LshCrossPolytope", crosspolytope()},
        Case{"LshSgd", ranked_by(Rank::dot), Optimizer::sgd},
        Case{"LshAdamDense", ranked_by(Rank::dot), Optimizer::adam_dense},
        Case{"UniformAdamDense", UniformOutput{.negatives = 400}, Optimizer::adam_dense},
        Case{"LshHalves", ranked_by(Rank::dot_fp32), Optimizer::adam, Precision::bf16},
        Case{"FullHalves", FullOutput{}, Optimizer::adam, Precision::bf16},
        Case{"LshRedrawn",
             ranked_by(Rank::dot),
             Optimizer::adam,
             Precision::fp32,
             HashFunctions::redraw}),
    [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace slidekit::nn::determinism_test
