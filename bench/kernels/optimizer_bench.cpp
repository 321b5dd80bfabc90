// The two passes of a sampled step over a batch's groups: dot_groups forward, adam_groups back.
//
// Shape: Amazon-670K's output layer, 670,091 rows of 128, a batch of 256 activations. Cold: each
// row of a group is met once in a call and comes from memory; warm: few rows, all in L2. An item is
// a group (a row), with `members` samples each.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <benchmark/benchmark.h>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/optimizer.hpp>

#include "support.hpp"

namespace slidekit::bench {
namespace {

constexpr std::size_t kDim = 128;
constexpr std::size_t kBatch = 256;
constexpr kernels::AdamStep kStep{.lr = 1e-4F};

// `rounds` sets of groups over disjoint rows, so that no two calls meet the same rows in cache.
struct Work {
    std::vector<std::uint32_t> ids;
    std::vector<std::uint32_t> starts;
    std::vector<kernels::Member> members;
    std::vector<float> values;
    std::size_t count;
    std::size_t rounds;

    Work(std::size_t rows, std::size_t members_each)
        : count(rows < 4096 ? rows : 4096), rounds(rows / count) {
        // Ascending within a round, as a batch's groups are, and far apart.
        for (std::size_t round = 0; round < rounds; ++round) {
            for (std::size_t g = 0; g < count; ++g)
                ids.push_back(static_cast<std::uint32_t>(g * rounds + round));
        }
        members.resize(count * members_each);
        const std::vector<std::uint32_t> vectors = random_ids(members.size(), kBatch);
        for (std::size_t p = 0; p < members.size(); ++p)
            members[p] = {vectors[p], static_cast<std::uint32_t>(p)};
        for (std::size_t g = 0; g <= count; ++g)
            starts.push_back(static_cast<std::uint32_t>(g * members_each));
        values = random_floats(members.size());
    }
    [[nodiscard]] kernels::GroupsView groups(std::size_t round) const {
        return {ids.data() + round % rounds * count,
                starts.data(),
                members.data(),
                count,
                members.size()};
    }
};

void dot_groups_f32(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const Work work(rows, static_cast<std::size_t>(state.range(1)));
    const kernels::RowMatrix<const float> table = shared_table<float>(rows, kDim).view();
    const std::vector<float> vectors = random_floats(kBatch * kDim);
    const std::vector<float> bias(rows);
    std::vector<float> out(work.members.size());
    const auto run = [&](std::size_t round) {
        kernels::dot_groups(work.groups(round),
                            table,
                            bias.data(),
                            {vectors.data(), kBatch, kDim, kDim},
                            out.data());
    };
    run(0);
    const float* first = vectors.data() + work.members[0].vector * kDim;
    if (std::abs(out[0] - std::inner_product(first, first + kDim, table.row(work.ids[0]), 0.0F)) >
        1e-3F) {
        return state.SkipWithError("wrong product");
    }
    std::size_t round = 0;
    for (auto _ : state) {
        run(round++);
        benchmark::ClobberMemory();
    }
    count_work(state, work.count, work.count * kDim * sizeof(float));
}
BENCHMARK(dot_groups_f32)
    ->ArgNames({"rows", "members"})
    ->ArgsProduct({{kColdRows, 256}, {1, 3, 10}});

void adam_groups_f32(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const Work work(rows, static_cast<std::size_t>(state.range(1)));
    const auto weights = shared_table<float>(rows, kDim).view();
    const auto first = shared_table<float, 1>(rows, kDim).view();
    const auto second = shared_table<float, 2>(rows, kDim).view();
    const std::vector<float> vectors = random_floats(kBatch * kDim);
    std::vector<float> back(kBatch * kDim);
    std::vector<float> bias(rows), bias_first(rows), bias_second(rows);
    std::size_t round = 0;
    for (auto _ : state) {
        kernels::adam_groups(work.groups(round++),
                             work.values.data(),
                             {vectors.data(), kBatch, kDim, kDim},
                             {back.data(), kBatch, kDim, kDim},
                             {weights, first.data, second.data},
                             {bias.data(), bias_first.data(), bias_second.data()},
                             kStep);
        benchmark::ClobberMemory();
    }
    count_work(state, work.count, work.count * 6 * kDim * sizeof(float));
}
BENCHMARK(adam_groups_f32)
    ->ArgNames({"rows", "members"})
    ->ArgsProduct({{kColdRows, 256}, {1, 3, 10}});

void adam_row_f32(benchmark::State& state) {
    std::vector<float> w(kDim), m(kDim), v(kDim);
    const std::vector<float> g = random_floats(kDim);
    for (auto _ : state) {
        kernels::adam_row(w.data(), m.data(), v.data(), g.data(), kDim, kStep);
        benchmark::ClobberMemory();
    }
    count_work(state, 1, 7 * kDim * sizeof(float));
}
BENCHMARK(adam_row_f32);

}  // namespace
}  // namespace slidekit::bench
