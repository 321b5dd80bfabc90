// A network that is saved and restored after any step goes on as if nothing had been: every output,
// optimiser, ranking and rebuild, on other threads too.
#include <slidekit/nn/state.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/data/batches.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/error.hpp>

#include "files.hpp"
#include "memory_state.hpp"
#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::nn::state_test {
namespace {

using ::testing::HasSubstr;
using testing::MemoryState;
using testing::set_state;
using testing::state_of;

constexpr std::uint32_t kFeatures = 200;
constexpr std::uint32_t kLabels = 700;
constexpr std::uint32_t kBatch = 40;
constexpr std::uint64_t kSteps = 8;

struct Case {
    std::string name;
    OutputConfig output;
    Optimizer optimizer = Optimizer::adam;
    Precision precision = Precision::fp32;
    HashFunctions functions = HashFunctions::keep;
    std::uint32_t rebuild_steps = 5;
    unsigned domains = 1;
};

UpdateRule rule_of(Optimizer optimizer) {
    if (optimizer == Optimizer::sgd) return testing::sgd(0.5F);
    if (optimizer == Optimizer::momentum) return kernels::MomentumStep{.lr = 0.1F};
    if (optimizer == Optimizer::adagrad_row) return kernels::AdagradStep{.lr = 0.1F};
    return testing::adam(1e-2F);
}

/// A network and the steps of a run: a rebuild from step 1 that serves the last ones, and a second
/// one that is never finished.
struct Training {
    Training(const Case& of, unsigned threads)
        : tested(of),
          runtime({.threads = threads, .domains = of.domains}),
          points(testing::random_points(kBatch * kSteps, kFeatures, kLabels, 10, 7)),
          order(data::shuffled_order(kBatch * kSteps, 3, 0)),
          network(runtime,
                  {.features = kFeatures,
                   .hidden = 24,
                   .labels = kLabels,
                   .output = of.output,
                   .optimizer = of.optimizer,
                   .precision = of.precision,
                   .initial_deviation = 0.1F,
                   .seed = 3},
                  met_labels()) {}

    static std::vector<std::uint32_t> met_labels() {
        std::vector<std::uint32_t> met;
        for (std::uint32_t id = 0; id < kLabels; ++id)
            if (id % 5 != 3) met.push_back(id);
        return met;
    }
    void step(std::uint64_t step) {
        const RebuildPlan plan{.steps = tested.rebuild_steps, .functions = tested.functions};
        if (step == 0) network.rebuild_tables();
        if (step == 1) network.begin_rebuild(plan);
        if (step == 6) report = network.finish_rebuild();
        if (step == 6) network.begin_rebuild(plan);
        data::Batch batch;
        batch.assign(points.view(), std::span(order).subspan(step * kBatch, kBatch));
        losses.push_back(network.train_step(batch.view(), rule_of(tested.optimizer), step).loss);
    }

    const Case& tested;
    system::Runtime runtime;
    testing::ToyPoints points;
    std::vector<std::uint32_t> order;
    Network network;
    std::vector<double> losses;
    RebuildReport report;
};

class State : public ::testing::TestWithParam<Case> {};

TEST_P(State, GoesOnWithTheSameBitsAfterAnyStep) {
    const Case& tested = GetParam();
    Training whole(tested, 1);
    std::vector<MemoryState> states;
    for (std::uint64_t step = 0; step < kSteps; ++step) {
        whole.step(step);
        states.push_back(state_of(whole.network));
    }
    for (std::uint64_t stopped = 1; stopped < kSteps; ++stopped) {
        Training resumed(tested, 1 + stopped % 4);
        set_state(resumed.network, states[stopped - 1]);
        for (std::uint64_t step = stopped; step < kSteps; ++step) {
            resumed.step(step);
            ASSERT_EQ(resumed.losses.back(), whole.losses[step])
                << "stopped after " << stopped << " steps, step " << step;
        }
        EXPECT_THAT(state_of(resumed.network).differences(states.back(), ".seconds"),
                    ::testing::IsEmpty())
            << "stopped after " << stopped << " steps";
        if (stopped > 6) continue;
        EXPECT_EQ(resumed.report.rows, whole.report.rows);
        EXPECT_EQ(resumed.report.occupancy.ids, whole.report.occupancy.ids);
    }
}

LshOutput sampled_by(Sampling sampling, Rank rank = Rank::dot) {
    LshOutput output = testing::some_neurons(30, 20, 20);
    output.bucket_cap = 20;
    output.sampling = sampling;
    output.rank = rank;
    return output;
}

LshOutput shared() {
    LshOutput output = sampled_by(Sampling::top_k);
    output.scope = Scope::batch;
    return output;
}

INSTANTIATE_TEST_SUITE_P(
    Networks,
    State,
    ::testing::Values(
        Case{"Full", FullOutput{}},
        Case{"FullSgd", FullOutput{}, Optimizer::sgd},
        Case{"FullMomentum", FullOutput{}, Optimizer::momentum},
        Case{"Uniform", UniformOutput{.negatives = 100}},
        Case{"Tables", sampled_by(Sampling::top_k)},
        Case{.name = "TablesBlocking", .output = sampled_by(Sampling::top_k), .rebuild_steps = 0},
        Case{"TablesCounted", sampled_by(Sampling::threshold, Rank::count)},
        Case{"TablesWalked", sampled_by(Sampling::vanilla)},
        Case{"TablesShared", shared()},
        Case{"TablesHalves", sampled_by(Sampling::top_k), Optimizer::adam, Precision::bf16},
        Case{"TablesAdamDense", sampled_by(Sampling::top_k), Optimizer::adam_dense},
        Case{"TablesAdagrad", sampled_by(Sampling::top_k), Optimizer::adagrad_row},
        Case{.name = "TablesRedrawn",
             .output = sampled_by(Sampling::top_k),
             .functions = HashFunctions::redraw},
        Case{.name = "TablesTwoDomains", .output = sampled_by(Sampling::top_k), .domains = 2},
        Case{"Scan", sampled_by(Sampling::exact)},
        Case{"ScanAdamDense", sampled_by(Sampling::exact), Optimizer::adam_dense},
        Case{"Standout", sampled_by(Sampling::standout)}),
    [](const auto& tested) { return tested.param.name; });

TEST(StateErrors, AnotherShapeIsNamed) {
    const Case adam{"", FullOutput{}};
    const Case sgd{"", FullOutput{}, Optimizer::sgd};
    Training one(adam, 1);
    Training other(sgd, 1);
    const std::string missing = testing::message_of(
        ErrorCode::input, [&] { set_state(one.network, state_of(other.network)); });
    EXPECT_THAT(missing, HasSubstr("input.first_moment"));
}

// What reads out of bounds would be worse than an error.
TEST(StateErrors, TablesOutOfBoundsAreRefused) {
    const Case tables{"", sampled_by(Sampling::top_k)};
    Training run(tables, 1);
    run.step(0);
    for (const std::uint64_t step : {1U, 2U, 3U, 4U, 5U}) run.step(step);
    const MemoryState good = state_of(run.network);
    for (const std::string name : {"output.tables.0.ids",
                                   "output.tables.0.offsets",
                                   "output.tables.0.second_ids",
                                   "output.tables.0.row_keys",
                                   "output.tables.slices",
                                   "output.tables.counts"}) {
        MemoryState bad = good;
        const std::uint32_t large = 0x7fffffff;
        std::vector<std::byte>& bytes = bad.entries.at(name).bytes;
        std::memcpy(bytes.data() + bytes.size() - 8, &large, sizeof(large));
        if (name == "output.tables.slices") std::memcpy(bytes.data() + 8, &large, sizeof(large));
        if (name == "output.tables.counts") bad.entries.at(name).bytes[16] = std::byte{1};
        EXPECT_THAT(testing::message_of(ErrorCode::input, [&] { set_state(run.network, bad); }),
                    HasSubstr("output.tables"))
            << name;
    }
    set_state(run.network, good);
}

}  // namespace
}  // namespace slidekit::nn::state_test
