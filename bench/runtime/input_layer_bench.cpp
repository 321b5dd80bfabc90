// The input layer of a step over two domains: rows spread over both, or a copy in each, which
// halves no read here but doubles every update.
//
// On a machine with one node this shows what a copy costs; what it saves, remote reads, is in the
// model of runtime/README.md.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include <benchmark/benchmark.h>

#include <slidekit/kernels/views.hpp>
#include <slidekit/nn/parameters.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn {
namespace {

constexpr std::uint32_t kFeatures = 135'909;  // Amazon-670K
constexpr std::uint32_t kDim = 128;
constexpr std::uint32_t kSamples = 256;
constexpr std::uint32_t kNnz = 75;

// A batch's features, grouped: each feature once, with its samples. Half of the draws are popular.
struct Batch {
    Batch() {
        std::vector<std::vector<kernels::Member>> by_feature(kFeatures);
        system::Stream stream(1, system::Purpose::synthetic);
        for (std::uint32_t i = 0; i < kSamples * kNnz; ++i) {
            const std::uint32_t feature = stream.below(i % 2 == 0 ? kFeatures : kFeatures / 50);
            by_feature[feature].push_back({i / kNnz, i});
        }
        for (std::uint32_t feature = 0; feature < kFeatures; ++feature) {
            if (by_feature[feature].empty()) continue;
            ids.push_back(feature);
            starts.push_back(static_cast<std::uint32_t>(members.size()));
            members.insert(members.end(), by_feature[feature].begin(), by_feature[feature].end());
        }
        starts.push_back(static_cast<std::uint32_t>(members.size()));
        values.assign(members.size(), 0.1F);
        gradient.assign(std::size_t{kSamples} * kDim, 1e-3F);
    }
    // Piece `index` of `count`: rows of about equal number.
    [[nodiscard]] kernels::GroupsView piece(std::size_t index, std::size_t count) const {
        const std::size_t begin = ids.size() * index / count;
        const std::size_t end = ids.size() * (index + 1) / count;
        return {&ids[begin], &starts[begin], members.data(), end - begin, values.size()};
    }

    std::vector<std::uint32_t> ids;
    std::vector<std::uint32_t> starts;
    std::vector<kernels::Member> members;
    std::vector<float> values;
    std::vector<float> gradient;
};

// Arg: copies, 1 or one a domain.
void update_input(benchmark::State& state) {
    constexpr std::size_t kPieces = 32;
    system::Runtime runtime({.threads = 2, .domains = 2});
    system::Executor& executor = runtime.executor();
    std::vector<std::unique_ptr<Parameters>> copies;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
        copies.push_back(std::make_unique<Parameters>(
            runtime, "input", kFeatures, kDim, Optimizer::adam, Bias::none));
    }
    Batch batch;
    const kernels::RowMatrix<const float> gradient{batch.gradient.data(), kSamples, kDim, kDim};
    const UpdateRule rule = kernels::AdamStep{.lr = 1e-3F};
    const auto update = [&](Parameters& rows, std::size_t piece) {
        rows.update_groups(batch.piece(piece, kPieces), batch.values.data(), gradient, {}, rule);
    };
    for (auto _ : state) {
        if (copies.size() == 1) {
            executor.for_each(
                kPieces, [&](std::size_t piece, system::Worker) { update(*copies[0], piece); });
        } else {
            executor.for_each_domain([&](std::size_t domain) {
                executor.for_each(kPieces, [&](std::size_t piece, system::Worker) {
                    update(*copies[domain], piece);
                });
            });
        }
    }
    state.counters["rows"] = static_cast<double>(batch.ids.size());
}
BENCHMARK(update_input)
    ->ArgName("copies")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace slidekit::nn

BENCHMARK_MAIN();
