// Rows read and updated in random order and tables probed, on 4K and on huge pages: the accesses of
// a sampled layer, where on 4K pages each costs a page walk beside its cache lines. Run with
// --benchmark_enable_random_interleaving=true --benchmark_repetitions=10.
#include <slidekit/system/region.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <slidekit/kernels/optimizer.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::system {
namespace {

constexpr std::size_t kRowFloats = 128;
constexpr std::size_t kRowBytes = kRowFloats * sizeof(float);

// 65536 rows are 32 MiB of lines: more than most caches hold, so that a second round finds few of
// them.
std::vector<std::uint32_t> random_rows(std::uint32_t rows) {
    Stream stream(1, Purpose::test);
    std::vector<std::uint32_t> order(1 << 16);
    for (std::uint32_t& row : order) row = stream.below(rows);
    return order;
}

constexpr std::uint32_t kRows = 670'091;  // the output layer of Amazon-670K

HugePages pages_of(const benchmark::State& state) {
    return state.range(0) == 0 ? HugePages::never : HugePages::prefer;
}

void say(benchmark::State& state, const Region& region) {
    state.SetLabel(std::string(backing_name(region.report().backing)));
    state.SetItemsProcessed(state.iterations());
}

// Args: rows of 128 floats (670091 is the output layer of Amazon-670K), huge pages preferred or
// never.
void random_rows_f32(benchmark::State& state) {
    const auto rows = static_cast<std::uint32_t>(state.range(0));
    const Region region({.bytes = rows * kRowBytes,
                         .tag = "bench",
                         .huge_pages = state.range(1) == 0 ? HugePages::never : HugePages::prefer});
    const auto matrix = region.as<float>();
    const std::vector<std::uint32_t> order = random_rows(rows);
    std::size_t next = 0;
    for (auto _ : state) {
        const float* const row = &matrix[order[next++ % order.size()] * kRowFloats];
        float sum = 0;
        for (std::size_t i = 0; i < kRowFloats; i += 16) sum += row[i];  // every cache line once
        benchmark::DoNotOptimize(sum);
    }
    state.SetLabel(std::string(backing_name(region.report().backing)));
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kRowBytes));
}
BENCHMARK(random_rows_f32)->ArgNames({"rows", "huge"})->ArgsProduct({{4096, 670'091}, {0, 1}});

// The same rows, asked for ahead, as the gathered row dot does it.
void prefetched_rows_f32(benchmark::State& state) {
    constexpr std::size_t kAhead = 16;
    const Region region(
        {.bytes = kRows * kRowBytes, .tag = "bench", .huge_pages = pages_of(state)});
    const auto matrix = region.as<float>();
    const std::vector<std::uint32_t> order = random_rows(kRows);
    std::size_t next = 0;
    for (auto _ : state) {
        const float* const ahead = &matrix[order[(next + kAhead) % order.size()] * kRowFloats];
        for (std::size_t i = 0; i < kRowFloats; i += 16) __builtin_prefetch(ahead + i);
        const float* const row = &matrix[order[next++ % order.size()] * kRowFloats];
        float sum = 0;
        for (std::size_t i = 0; i < kRowFloats; i += 16) sum += row[i];
        benchmark::DoNotOptimize(sum);
    }
    say(state, region);
}
BENCHMARK(prefetched_rows_f32)->ArgName("huge")->Arg(0)->Arg(1);

// Adam on random rows: weights and two moments, read and written.
void adam_rows_f32(benchmark::State& state) {
    std::vector<Region> arrays;
    for (const char* const tag : {"weight", "first", "second"})
        arrays.emplace_back(
            RegionSpec{.bytes = kRows * kRowBytes, .tag = tag, .huge_pages = pages_of(state)});
    const std::vector<std::uint32_t> order = random_rows(kRows);
    const std::vector<float> gradient(kRowFloats, 1e-3F);
    std::size_t next = 0;
    for (auto _ : state) {
        const std::size_t at = order[next++ % order.size()] * kRowFloats;
        kernels::adam_row(&arrays[0].as<float>()[at],
                          &arrays[1].as<float>()[at],
                          &arrays[2].as<float>()[at],
                          gradient.data(),
                          kRowFloats,
                          {.lr = 1e-3F});
    }
    say(state, arrays[0]);
}
BENCHMARK(adam_rows_f32)->ArgName("huge")->Arg(0)->Arg(1);

// Bucket after bucket where each tells the next: a probe that waits for memory and its page walk.
void dependent_probes(benchmark::State& state) {
    constexpr std::size_t kIds = std::size_t{50} * kRows;  // the tables of Amazon-670K
    const Region region(
        {.bytes = kIds * sizeof(std::uint32_t), .tag = "bench", .huge_pages = pages_of(state)});
    const auto ids = region.as<std::uint32_t>();
    Stream stream(2, Purpose::test);
    for (std::uint32_t& id : ids) id = stream.below(static_cast<std::uint32_t>(kIds));
    std::uint32_t at = 0;
    for (auto _ : state) at = ids[(at + 0x9e3779b9U) % kIds];
    benchmark::DoNotOptimize(at);
    say(state, region);
}
BENCHMARK(dependent_probes)->ArgName("huge")->Arg(0)->Arg(1);

// What the start of a run pays: mapping, zeroing and checking.
void make_region(benchmark::State& state) {
    const auto bytes = static_cast<std::size_t>(state.range(0)) << 20;
    const HugePages pages = state.range(1) == 0 ? HugePages::never : HugePages::prefer;
    for (auto _ : state) {
        const Region region({.bytes = bytes, .tag = "bench", .huge_pages = pages});
        benchmark::DoNotOptimize(region.data());
    }
    state.SetBytesProcessed(state.iterations() * (state.range(0) << 20));
}
BENCHMARK(make_region)
    ->ArgNames({"MiB", "huge"})
    ->ArgsProduct({{1, 256}, {0, 1}})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace slidekit::system

BENCHMARK_MAIN();
