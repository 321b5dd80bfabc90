// A whole rebuild of a layer's tables, rows hashed and tables filled, and what a step costs while
// one runs beside it.
//
// All rows are in the tables and all are hashed; the shapes are named after data sets. Steps are of
// 256 samples of 74 features with 5 labels drawn uniformly. Compare train_step with slices and
// without by interleaved repetitions of one shape (--benchmark_enable_random_interleaving=true
// --benchmark_filter=amazon).
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <slidekit/nn/network.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

namespace {

namespace nn = slidekit::nn;
namespace sys = slidekit::system;

constexpr std::uint32_t kFeatures = 20000;
constexpr std::uint32_t kSamples = 256;
constexpr std::uint32_t kNnz = 74;
constexpr std::uint32_t kLabels = 5;
constexpr std::uint32_t kBatches = 64;

struct Shape {
    const char* name;
    std::uint32_t neurons;
    std::uint32_t k;
    std::uint32_t slices;  // train::background_steps of the first gap
};
constexpr Shape kShapes[] = {
    {"wordnet-related", 142690, 12, 36},
    {"amazon-670k", 670091, 14, 128},
};

// `per_point` distinct ids below `bound` for each sample, ascending.
std::vector<std::uint32_t> draw_ids(std::uint32_t per_point,
                                    std::uint32_t bound,
                                    std::uint64_t index) {
    sys::Stream stream(1, sys::Purpose::synthetic, index);
    std::vector<std::uint32_t> ids(std::size_t{kSamples} * per_point);
    const std::uint32_t part = bound / per_point;
    for (std::uint32_t i = 0; i < ids.size(); ++i)
        ids[i] = i % per_point * part + stream.below(part);
    return ids;
}

struct Fixture {
    Fixture(const Shape& of, unsigned threads)
        : shape(of),
          runtime({.threads = threads}),
          network(runtime,
                  {.features = kFeatures,
                   .labels = of.neurons,
                   .output = nn::LshOutput{.hash = {.k = of.k, .l = 50}, .mix = {}}}),
          values(std::size_t{kSamples} * kNnz, 0.3F) {
        for (std::uint64_t i = 0; i <= kSamples; ++i) {
            feature_offsets.push_back(i * kNnz);
            label_offsets.push_back(i * kLabels);
        }
        for (std::uint64_t batch = 0; batch < kBatches; ++batch) {
            features.push_back(draw_ids(kNnz, kFeatures, 2 * batch));
            labels.push_back(draw_ids(kLabels, of.neurons, 2 * batch + 1));
        }
        network.rebuild_tables();
    }

    void train_step() {
        const std::size_t batch = step % kBatches;
        network.train_step({.points = kSamples,
                            .features = kFeatures,
                            .labels = shape.neurons,
                            .feature_offsets = feature_offsets,
                            .feature_ids = features[batch],
                            .feature_values = values,
                            .label_offsets = label_offsets,
                            .label_ids = labels[batch]},
                           slidekit::kernels::AdamStep{.lr = 1e-4F},
                           step);
        ++step;
    }

    const Shape& shape;
    sys::Runtime runtime;
    nn::Network network;
    std::uint64_t step = 0;
    std::vector<std::uint64_t> feature_offsets;
    std::vector<std::uint64_t> label_offsets;
    std::vector<float> values;
    std::vector<std::vector<std::uint32_t>> features;  // by batch
    std::vector<std::vector<std::uint32_t>> labels;
};

// One shape at a time: the largest takes 1.5 GB.
Fixture& fixture_of(const Shape& shape, unsigned threads) {
    static std::unique_ptr<Fixture> fixture;
    const bool same =
        fixture && &fixture->shape == &shape && fixture->runtime.executor().threads() == threads;
    if (!same) {
        fixture.reset();
        fixture = std::make_unique<Fixture>(shape, threads);
    }
    return *fixture;
}

void rebuild(benchmark::State& state, const Shape& shape) {
    Fixture& fixture = fixture_of(shape, static_cast<unsigned>(state.range(0)));
    std::uint64_t rows = 0;
    for (auto _ : state) {
        fixture.network.begin_rebuild({.rows = nn::RebuildRows::all});
        rows += fixture.network.finish_rebuild().rows;
    }
    if (rows != static_cast<std::uint64_t>(state.iterations()) * shape.neurons)
        state.SkipWithError("not all rows were hashed");
    state.SetItemsProcessed(static_cast<std::int64_t>(rows));
}

// With `slices`: a rebuild is under way in every step, and what is not a slice is not timed.
void train_step(benchmark::State& state, const Shape& shape, bool slices) {
    Fixture& fixture = fixture_of(shape, static_cast<unsigned>(state.range(0)));
    const auto begin = [&] {
        fixture.network.begin_rebuild({.rows = nn::RebuildRows::all, .steps = shape.slices});
    };
    std::uint32_t done = 0;
    if (slices) begin();
    for (auto _ : state) {
        fixture.train_step();
        if (!slices || ++done < shape.slices) continue;
        state.PauseTiming();
        fixture.network.finish_rebuild();
        begin();
        done = 0;
        state.ResumeTiming();
    }
    if (slices) fixture.network.finish_rebuild();
    state.SetItemsProcessed(state.iterations() * kSamples);
}

void register_shape(const Shape& shape) {
    const auto add = [&](const std::string& name, int iterations, auto body) {
        auto* bench = benchmark::RegisterBenchmark((name + "/" + shape.name).c_str(), body);
        bench->ArgName("threads")->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
        if (iterations > 0) bench->Iterations(iterations);
    };
    add("rebuild_rows", 0, [&](benchmark::State& state) { rebuild(state, shape); });
    // Whole rebuilds, so that each phase has its share.
    const int steps = static_cast<int>(shape.slices);
    for (const bool slices : {false, true}) {
        add("train_step/slices:" + std::to_string(slices ? shape.slices : 0),
            steps,
            [&shape, slices](benchmark::State& state) { train_step(state, shape, slices); });
    }
}

}  // namespace

int main(int argc, char** argv) {
    for (const Shape& shape : kShapes) register_shape(shape);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
