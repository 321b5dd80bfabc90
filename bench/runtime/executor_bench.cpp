// What a parallel loop costs when its pieces do nothing: the least that a stage of a step takes,
// and a piece; and what the way of serving several domains at once is worth.
#include <slidekit/system/executor.hpp>

#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include <slidekit/system/topology.hpp>

namespace slidekit::system {
namespace {

// Args: threads, pieces. Time is of a whole loop; items are pieces.
void empty_loop(benchmark::State& state) {
    Executor executor(Topology::detect(), static_cast<unsigned>(state.range(0)));
    const auto pieces = static_cast<std::size_t>(state.range(1));
    for (auto _ : state) {
        executor.for_each(pieces,
                          [](std::size_t index, Worker) { benchmark::DoNotOptimize(index); });
    }
    state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(empty_loop)
    ->ArgNames({"threads", "pieces"})
    ->ArgsProduct({{1, 2, 4}, {1, 64, 4096}})
    ->UseRealTime();

// A step over domains that does nothing in any of them. Args: domains, threads.
void empty_step(benchmark::State& state) {
    const Topology topology = Topology::detect().cut(static_cast<unsigned>(state.range(0)));
    Executor executor(topology, static_cast<unsigned>(state.range(1)));
    for (auto _ : state)
        executor.for_each_domain([](std::size_t domain) { benchmark::DoNotOptimize(domain); });
}
BENCHMARK(empty_step)
    ->ArgNames({"domains", "threads"})
    ->Args({1, 2})
    ->Args({2, 2})
    ->Args({2, 4})
    ->UseRealTime();

// ---- two domains that each have 40 pieces of 50 us: 2 ms where both are served at once ----

constexpr int kPieces = 40;

void busy_piece() {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::microseconds(50);
    while (Clock::now() < end) {
    }
}

void busy_step_ours(benchmark::State& state) {
    const Topology topology = Topology::detect().cut(2);
    Executor executor(topology, 2);
    for (auto _ : state) {
        executor.for_each_domain([&](std::size_t) {
            executor.for_each(kPieces, [](std::size_t, Worker) { busy_piece(); });
        });
    }
}
BENCHMARK(busy_step_ours)->UseRealTime();

void busy_loop() {
    tbb::parallel_for(
        0, kPieces, [](int) { busy_piece(); }, tbb::simple_partitioner{});
}

// TBB's documentation: a task for each arena, then a wait in each.
void busy_step_textbook(benchmark::State& state) {
    std::vector<std::unique_ptr<tbb::task_arena>> arenas;
    for (int i = 0; i < 2; ++i) arenas.push_back(std::make_unique<tbb::task_arena>(1));
    for (auto _ : state) {
        std::vector<tbb::task_group> groups(arenas.size());
        for (std::size_t i = 0; i < arenas.size(); ++i)
            arenas[i]->execute([&, i] { groups[i].run(busy_loop); });
        for (std::size_t i = 0; i < arenas.size(); ++i)
            arenas[i]->execute([&, i] { groups[i].wait(); });
    }
}
BENCHMARK(busy_step_textbook)->UseRealTime();

// Deferred tasks in arenas without a place for the caller, the first arena in place.
void busy_step_deferred(benchmark::State& state) {
    std::vector<std::unique_ptr<tbb::task_arena>> arenas;
    for (int i = 0; i < 2; ++i) arenas.push_back(std::make_unique<tbb::task_arena>(1, 0));
    for (auto _ : state) {
        std::vector<tbb::task_group> groups(arenas.size());
        for (std::size_t i = 1; i < arenas.size(); ++i)
            arenas[i]->enqueue(groups[i].defer(busy_loop));
        arenas[0]->execute(busy_loop);
        for (std::size_t i = 1; i < arenas.size(); ++i)
            arenas[i]->execute([&, i] { groups[i].wait(); });
    }
}
BENCHMARK(busy_step_deferred)->UseRealTime();

}  // namespace
}  // namespace slidekit::system

BENCHMARK_MAIN();
