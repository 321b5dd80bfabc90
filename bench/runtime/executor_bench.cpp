// What a parallel loop costs when its pieces do nothing: the least that a stage of a step takes,
// and a piece.
#include <slidekit/system/executor.hpp>

#include <cstddef>

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

}  // namespace
}  // namespace slidekit::system

BENCHMARK_MAIN();
