// Selection of a sample's 200 best neurons by hash tables and by a linear scan, at growing widths:
// where the lines cross is where hashing begins to pay.
//
// Rows and activations are drawn, 128 wide; tables as `slidekit train` sizes them (L = 50, about 35
// rows a bucket). Tables find a part of the best only, the scan all of them: counter `recall`.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/linear_scan.hpp"
#include "nn/retrieval.hpp"

namespace {

namespace nn = slidekit::nn;
namespace sys = slidekit::system;
using slidekit::kernels::RowMatrix;

constexpr std::uint32_t kDim = 128;
constexpr std::size_t kBatch = 256;
constexpr std::size_t kActive = 200;

nn::LshOutput config(std::uint32_t width) {
    nn::LshOutput output;
    output.hash.k = static_cast<std::uint32_t>(std::lround(std::log2(width / 35.0)));
    return output;
}

std::vector<std::uint32_t> all_rows(std::uint32_t width) {
    std::vector<std::uint32_t> rows(width);
    std::iota(rows.begin(), rows.end(), 0U);
    return rows;
}

// One width at a time. Everything runs on one thread.
struct Layer {
    explicit Layer(std::uint32_t neurons)
        : width(neurons),
          runtime({.threads = 1}),
          parameters(runtime, "output", neurons, kDim, nn::Optimizer::sgd, nn::Bias::per_row),
          copies(runtime, neurons, kDim),
          blocks(neurons, 1),
          retrieval(
              runtime, parameters, config(neurons), all_rows(neurons), 1, blocks, nn::in_process()),
          scan(runtime.executor(), parameters, copies, all_rows(neurons)),
          activations(kBatch * kDim) {
        parameters.initialize(runtime.executor(), 1, 0, 0.1F);
        for (std::uint32_t id = 0; id < neurons; ++id)
            copies.refresh(id, parameters.weights().row(id), parameters.bias()[id]);
        sys::Stream stream(2, sys::Purpose::synthetic);
        for (float& value : activations) value = std::max(0.0F, stream.normal());
        retrieval.observe(hidden());
        (void)retrieval.rebuild();
    }
    [[nodiscard]] RowMatrix<const float> hidden() const {
        return {activations.data(), kBatch, kDim, kDim};
    }

    std::uint32_t width;
    sys::Runtime runtime;
    nn::Parameters parameters;
    nn::RankRows copies;
    nn::Blocks blocks;
    nn::Retrieval retrieval;
    nn::LinearScan scan;
    std::vector<float> activations;
};

Layer& layer_of(std::int64_t width) {
    static std::unique_ptr<Layer> layer;
    if (!layer || layer->width != width) {
        layer.reset();  // first, so that two never stand side by side
        layer = std::make_unique<Layer>(static_cast<std::uint32_t>(width));
    }
    return *layer;
}

void count_samples(benchmark::State& state) {
    const auto samples = static_cast<double>(state.iterations()) * kBatch;
    state.counters["time/sample"] =
        benchmark::Counter(samples, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void linear_scan(benchmark::State& state) {
    Layer& layer = layer_of(state.range(0));
    std::vector<nn::Found> found(kBatch * kActive);
    std::vector<std::uint32_t> counts(kBatch);
    for (auto _ : state) {
        layer.scan.top(
            layer.hidden(), kActive, nn::Rank::dot, {found.data(), counts.data(), kActive});
        benchmark::DoNotOptimize(found.data());
    }
    if (*std::min_element(counts.begin(), counts.end()) != kActive)
        state.SkipWithError("not as many as were asked for");
    count_samples(state);
}

void hash_tables(benchmark::State& state) {
    Layer& layer = layer_of(state.range(0));
    nn::Retrieval::Query query = layer.retrieval.make_query();
    std::vector<std::uint32_t> keys;
    const std::size_t tables = layer.retrieval.keys_per_query();
    std::size_t candidates = 0;
    for (auto _ : state) {
        layer.retrieval.hash_queries(layer.hidden(), nn::QueryBy::activation, keys);
        for (std::size_t s = 0; s < kBatch; ++s) {
            const auto found =
                layer.retrieval.candidates(0, std::span(keys).subspan(s * tables, tables), query);
            candidates += found.size();
            const auto best = layer.retrieval.best_of(found, layer.hidden().row(s), kActive, query);
            benchmark::DoNotOptimize(best.data());
        }
    }
    count_samples(state);
    state.counters["candidates"] =
        static_cast<double>(candidates) / static_cast<double>(state.iterations()) / kBatch;
    const RowMatrix<const float> few{layer.activations.data(), 16, kDim, kDim};
    state.counters["recall"] = layer.retrieval.top_recall(few, kActive);
}

}  // namespace

int main(int argc, char** argv) {
    for (const std::int64_t width :
         {17'500, 35'000, 70'000, 142'690, 335'000, 670'091, 1'340'000}) {
        for (const auto& [name, body] :
             {std::pair("hash_tables", &hash_tables), std::pair("linear_scan", &linear_scan)}) {
            benchmark::RegisterBenchmark((std::string("select/") + name).c_str(), body)
                ->ArgName("neurons")
                ->Arg(width)
                ->Unit(benchmark::kMillisecond);
        }
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
