// Softmax, over one vector and over the columns of a block of logits (512 neurons, a batch of 256).
#include <cstddef>
#include <limits>
#include <vector>

#include <benchmark/benchmark.h>
#include <slidekit/kernels/activation.hpp>

#include "support.hpp"

namespace slidekit::bench {
namespace {

constexpr std::size_t kRows = 512;
constexpr std::size_t kColumns = 256;

void softmax_f32(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    const std::vector<float> logits = random_floats(count);
    std::vector<float> x(count);
    for (auto _ : state) {
        x = logits;
        const float sum = kernels::exp_sum(x.data(), count, kernels::max_value(x.data(), count));
        kernels::scale(1 / sum, x.data(), count);
        benchmark::ClobberMemory();
    }
    count_work(state, count, 2 * count * sizeof(float));
}
BENCHMARK(softmax_f32)->ArgName("count")->Arg(600)->Arg(4096);

void fold_softmax_columns_f32(benchmark::State& state) {
    const std::vector<float> logits = random_floats(kRows * kColumns);
    std::vector<float> max(kColumns, -std::numeric_limits<float>::infinity());
    std::vector<float> sum(kColumns);
    for (auto _ : state) {
        kernels::fold_softmax_columns(
            {logits.data(), kRows, kColumns, kColumns}, max.data(), sum.data());
        benchmark::ClobberMemory();
    }
    count_work(state, logits.size(), logits.size() * sizeof(float));
}
BENCHMARK(fold_softmax_columns_f32);

void apply_softmax_columns_f32(benchmark::State& state) {
    std::vector<float> logits(kRows * kColumns);
    const std::vector<float> max(kColumns), factor(kColumns, 1.0F);
    for (auto _ : state) {
        kernels::apply_softmax_columns(
            {logits.data(), kRows, kColumns, kColumns}, max.data(), factor.data());
        benchmark::ClobberMemory();
    }
    count_work(state, logits.size(), 2 * logits.size() * sizeof(float));
}
BENCHMARK(apply_softmax_columns_f32);

void relu_f32(benchmark::State& state) {
    std::vector<float> x = random_floats(128);
    for (auto _ : state) {
        kernels::relu(x.data(), x.size());
        benchmark::ClobberMemory();
    }
    count_work(state, x.size(), 2 * x.size() * sizeof(float));
}
BENCHMARK(relu_f32);

}  // namespace
}  // namespace slidekit::bench
