// Rows read in random order, on 4K and on huge pages: the access of a sampled layer, where on 4K
// pages each row costs a page walk beside its cache lines.
#include <slidekit/system/region.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

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
