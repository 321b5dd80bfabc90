// Inner products: gathered rows, cold and warm, beside a probe that only reads such rows.
//
// The probe touches each line of each row once, with the kernels' prefetch: what is left between it
// and a kernel is arithmetic. Compare within one run only.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <benchmark/benchmark.h>
#include <slidekit/kernels/dot.hpp>

#include "support.hpp"

namespace slidekit::bench {
namespace {

using kernels::RowMatrix;

constexpr std::size_t kCount = 2048;  // rows a call, as many as candidates are ranked at once

void probe_rows(RowMatrix<const float> rows,
                const std::uint32_t* ids,
                std::size_t count,
                float* out) {
    constexpr std::size_t kAhead = 16;
    constexpr std::size_t kDim = 128;
    for (std::size_t i = 0; i < count; ++i) {
        if (i + kAhead < count) {
            const float* next = rows.row(ids[i + kAhead]);
            for (std::size_t k = 0; k < kDim; k += 16) __builtin_prefetch(next + k);
        }
        float sum = 0;
        const float* row = rows.row(ids[i]);
        for (std::size_t k = 0; k < kDim; k += 16) sum += row[k];
        out[i] = sum;
    }
}

// Fresh ids each call, so that no two calls meet the same rows in cache.
class Ids {
public:
    explicit Ids(std::size_t rows) : ids_(random_ids(kRounds * kCount, rows)) {}
    const std::uint32_t* next() { return ids_.data() + (round_++ % kRounds) * kCount; }

private:
    static constexpr std::size_t kRounds = 512;
    std::vector<std::uint32_t> ids_;
    std::size_t round_ = 0;
};

void random_rows_probe_f32(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const RowMatrix<const float> table = shared_table<float>(rows, 128).view();
    Ids ids(rows);
    std::vector<float> out(kCount);
    for (auto _ : state) {
        probe_rows(table, ids.next(), kCount, out.data());
        benchmark::ClobberMemory();
    }
    count_work(state, kCount, kCount * 512);
}
BENCHMARK(random_rows_probe_f32)->ArgName("rows")->Arg(kColdRows)->Arg(kWarmRows);

void dot_rows_f32(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const auto dim = static_cast<std::size_t>(state.range(1));
    const RowMatrix<const float> table = shared_table<float>(rows, dim).view();
    const std::vector<float> x = random_floats(dim);
    Ids ids(rows);
    std::vector<float> out(kCount);
    const std::uint32_t* first = ids.next();
    kernels::dot_rows(x.data(), table, first, kCount, out.data());
    for (std::size_t i = 0; i < kCount; ++i) {
        const float expected = std::inner_product(x.begin(), x.end(), table.row(first[i]), 0.0F);
        if (std::abs(out[i] - expected) > 1e-3F) return state.SkipWithError("wrong product");
    }
    for (auto _ : state) {
        kernels::dot_rows(x.data(), table, ids.next(), kCount, out.data());
        benchmark::ClobberMemory();
    }
    count_work(state, kCount, kCount * dim * sizeof(float));
}
BENCHMARK(dot_rows_f32)
    ->ArgNames({"rows", "dim"})
    ->Args({kColdRows, 128})
    ->Args({kWarmRows, 128})
    ->Args({kWarmRows, 100})
    ->Args({kWarmRows, 256});

void dot_rows_i8(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const RowMatrix<const std::int8_t> table = shared_table<std::int8_t>(rows, 128).view();
    std::vector<std::uint8_t> x(128);
    for (std::size_t k = 0; k < 128; ++k) x[k] = static_cast<std::uint8_t>(k);
    Ids ids(rows);
    std::vector<std::int32_t> out(kCount);
    const std::uint32_t* first = ids.next();
    kernels::dot_rows_i8(x.data(), table, first, kCount, out.data());
    for (std::size_t i = 0; i < kCount; ++i) {
        if (out[i] != std::inner_product(x.begin(), x.end(), table.row(first[i]), 0))
            return state.SkipWithError("wrong product");
    }
    for (auto _ : state) {
        kernels::dot_rows_i8(x.data(), table, ids.next(), kCount, out.data());
        benchmark::ClobberMemory();
    }
    count_work(state, kCount, kCount * 128);
}
BENCHMARK(dot_rows_i8)->ArgName("rows")->Arg(kColdRows)->Arg(kWarmRows);

void dot_f32(benchmark::State& state) {
    const auto dim = static_cast<std::size_t>(state.range(0));
    const std::vector<float> x = random_floats(dim);
    const std::vector<float> y = random_floats(dim, 3);
    for (auto _ : state) benchmark::DoNotOptimize(kernels::dot(x.data(), y.data(), dim));
    count_work(state, 1, 2 * dim * sizeof(float));
}
BENCHMARK(dot_f32)->ArgName("dim")->Arg(100)->Arg(128)->Arg(256);

}  // namespace
}  // namespace slidekit::bench
