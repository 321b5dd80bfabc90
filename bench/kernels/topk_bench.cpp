// Selection of the best candidates of a sample, and of the few logits of a block above their
// thresholds.
//
// Items are scores. Shapes: 3000 candidates of which 200 stay, as with SimHash K=12 on
// wordnet-related; blocks of 128 logits of a batch of 256, in which one of 700 passes. Peer:
// std::nth_element on a copy.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <slidekit/kernels/isa.hpp>
#include <slidekit/kernels/topk.hpp>

#include "hash_functions.hpp"

namespace {

using namespace slidekit::kernels;
using slidekit::test::Draw;

using Positions = std::vector<std::uint32_t>;

// nth_element orders positions; ties by position make the choice that select_top_k makes.
void textbook_top_k(const std::vector<float>& scores, std::size_t k, Positions& positions) {
    positions.resize(scores.size());
    std::iota(positions.begin(), positions.end(), 0U);
    std::nth_element(positions.begin(),
                     positions.begin() + static_cast<std::ptrdiff_t>(k),
                     positions.end(),
                     [&](std::uint32_t a, std::uint32_t b) {
                         return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
                     });
    positions.resize(k);
    std::sort(positions.begin(), positions.end());
}

// Several lists in turn, or the branch predictor learns the only one by heart.
std::vector<std::vector<float>> score_lists(std::size_t count) {
    Draw draw(3);
    std::vector<std::vector<float>> lists(16);
    for (std::vector<float>& scores : lists) scores = draw.normals(count);
    return lists;
}

void finish(benchmark::State& state, std::int64_t items) {
    state.SetItemsProcessed(items * state.iterations());
    state.SetBytesProcessed(items * state.iterations() * static_cast<std::int64_t>(sizeof(float)));
    state.SetLabel(std::string(isa_name(active_isa())));
}

void select_best(benchmark::State& state) {
    const auto k = static_cast<std::size_t>(state.range(1));
    const std::vector<std::vector<float>> lists =
        score_lists(static_cast<std::size_t>(state.range(0)));
    Positions positions(k);
    Positions expected;
    for (const std::vector<float>& scores : lists) {
        select_top_k(scores.data(), scores.size(), k, positions.data());
        textbook_top_k(scores, k, expected);
        if (positions != expected) return state.SkipWithError("not the k largest");
    }
    std::size_t i = 0;
    for (auto _ : state) {
        const std::vector<float>& scores = lists[i++ % lists.size()];
        benchmark::DoNotOptimize(select_top_k(scores.data(), scores.size(), k, positions.data()));
        benchmark::ClobberMemory();
    }
    finish(state, state.range(0));
}

void select_textbook(benchmark::State& state) {
    const std::vector<std::vector<float>> lists =
        score_lists(static_cast<std::size_t>(state.range(0)));
    Positions positions;
    std::size_t i = 0;
    for (auto _ : state) {
        textbook_top_k(
            lists[i++ % lists.size()], static_cast<std::size_t>(state.range(1)), positions);
        benchmark::DoNotOptimize(positions.data());
    }
    finish(state, state.range(0));
    state.SetLabel("std::nth_element");
}

void find_above(benchmark::State& state) {
    constexpr std::size_t kRows = 128;
    const auto columns = static_cast<std::size_t>(state.range(0));
    Draw draw(4);
    const std::vector<float> logits = draw.normals(kRows * columns);
    const std::vector<float> threshold(columns, 3.0F);
    const RowMatrix<const float> block{logits.data(), kRows, columns, columns};
    std::vector<Hit> hits(kRows * columns);
    const auto expected =
        std::count_if(logits.begin(), logits.end(), [](float x) { return x > 3.0F; });
    const std::size_t found = find_above_columns(block, threshold.data(), hits.data());
    if (found != static_cast<std::size_t>(expected))
        return state.SkipWithError("not all hits, or too many");
    for (auto _ : state) {
        benchmark::DoNotOptimize(find_above_columns(block, threshold.data(), hits.data()));
        benchmark::ClobberMemory();
    }
    finish(state, static_cast<std::int64_t>(kRows * columns));
    state.counters["hits"] = static_cast<double>(found);
}

BENCHMARK(select_textbook)
    ->Name("select_top_k_textbook_f32")
    ->ArgNames({"n", "k"})
    ->Args({3000, 200});
BENCHMARK(select_best)
    ->Name("select_top_k_f32")
    ->ArgNames({"n", "k"})
    ->Args({200, 50})
    ->Args({3000, 200})
    ->Args({20000, 1000});
BENCHMARK(find_above)->Name("find_above_columns_f32")->ArgName("columns")->Arg(64)->Arg(256);

}  // namespace
