// The embedding bag: 75 features a point (Amazon-670K's mean), rows of 128 from a table of 135,909.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>
#include <slidekit/kernels/axpy.hpp>

#include "support.hpp"

namespace slidekit::bench {
namespace {

constexpr std::size_t kDim = 128;
constexpr std::size_t kNnz = 75;
constexpr std::size_t kPoints = 4096;

// Points of random features. Cold: more rows than the caches hold.
struct Points {
    std::vector<std::uint32_t> ids;
    std::vector<float> values = random_floats(kNnz);
    std::size_t next = 0;

    explicit Points(std::size_t rows) : ids(random_ids(kPoints * kNnz, rows)) {}
    kernels::SparseView point() {
        return {ids.data() + (next++ % kPoints) * kNnz, values.data(), kNnz};
    }
};

void bag_rows_f32(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const kernels::RowMatrix<const float> table = shared_table<float>(rows, kDim).view();
    Points points(rows);
    std::vector<float> out(kDim);
    const kernels::SparseView first = points.point();
    kernels::bag_rows(first, table, out.data());
    float expected = 0;
    for (std::size_t i = 0; i < kNnz; ++i)
        expected += first.values[i] * table.row(first.ids[i])[kDim - 1];
    if (std::abs(out[kDim - 1] - expected) > 1e-3F) return state.SkipWithError("wrong sum");
    for (auto _ : state) {
        kernels::bag_rows(points.point(), table, out.data());
        benchmark::ClobberMemory();
    }
    count_work(state, kNnz, kNnz * kDim * sizeof(float));
}
BENCHMARK(bag_rows_f32)->ArgName("rows")->Arg(135909)->Arg(kWarmRows);

// What a programmer writes first: the compiler's vectors, no prefetch.
void bag_rows_f32_loop(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const kernels::RowMatrix<const float> table = shared_table<float>(rows, kDim).view();
    Points points(rows);
    std::vector<float> out(kDim);
    for (auto _ : state) {
        const kernels::SparseView point = points.point();
        for (std::size_t i = 0; i < point.nnz; ++i) {
            const float* row = table.row(point.ids[i]);
            for (std::size_t k = 0; k < kDim; ++k) out[k] += point.values[i] * row[k];
        }
        benchmark::ClobberMemory();
    }
    count_work(state, kNnz, kNnz * kDim * sizeof(float));
}
BENCHMARK(bag_rows_f32_loop)->ArgName("rows")->Arg(135909)->Arg(kWarmRows);

void scatter_rows_f32(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const auto table = shared_table<float>(rows, kDim).view();
    Points points(rows);
    const std::vector<float> x(kDim);
    for (auto _ : state) {
        kernels::scatter_rows(points.point(), x.data(), table);
        benchmark::ClobberMemory();
    }
    count_work(state, kNnz, 2 * kNnz * kDim * sizeof(float));
}
BENCHMARK(scatter_rows_f32)->ArgName("rows")->Arg(135909)->Arg(kWarmRows);

}  // namespace
}  // namespace slidekit::bench
