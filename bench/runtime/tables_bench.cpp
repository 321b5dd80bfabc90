// Tables: a rebuild, and lookups of queries that were not asked just before.
//
// The shapes are named after data sets; keys are uniform, which is the worst case for the caches
// and the best for the dedup. Lookups go round 16,384 queries of 50 buckets each, more than the
// caches hold.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <slidekit/lsh/candidates.hpp>
#include <slidekit/lsh/tables.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

namespace {

using slidekit::lsh::Candidates;
using slidekit::lsh::Tables;
using slidekit::lsh::TablesConfig;
namespace sys = slidekit::system;

constexpr std::uint32_t kTables = 50;
constexpr std::uint32_t kQueries = 16384;

struct Shape {
    const char* name;
    std::uint32_t neurons;
    std::uint32_t key_bits;
};
constexpr Shape kShapes[] = {
    {"wordnet-related", 142690, 12},
    {"amazon-670k", 670091, 12},
    {"amazon-670k", 670091, 14},
    {"amazon-670k", 670091, 18},
};

// One shape at a time: the largest takes 300 MB.
struct Fixture {
    Fixture(const Shape& of, unsigned threads)
        : shape(of),
          runtime({.threads = threads}),
          tables(runtime, {.tables = kTables, .key_bits = of.key_bits, .capacity = of.neurons}),
          ids(of.neurons),
          keys(std::size_t{of.neurons} * kTables),
          queries(std::size_t{kQueries} * kTables) {
        std::iota(ids.begin(), ids.end(), 0U);
        sys::Stream stream(1, sys::Purpose::synthetic);
        for (std::uint32_t& key : keys) key = stream.below(1U << shape.key_bits);
        for (std::uint32_t& key : queries) key = stream.below(1U << shape.key_bits);
        rebuild();
    }

    void rebuild() { tables.rebuild(runtime.executor(), ids, keys.data(), shape.neurons, 0); }

    [[nodiscard]] std::span<const std::uint32_t> query(std::size_t i) const {
        return {queries.data() + i % kQueries * kTables, kTables};
    }

    // Every id in the bucket of its key; as many ids as there should be.
    [[nodiscard]] bool tables_hold() const {
        for (std::uint32_t i = 0; i < shape.neurons; i += 1009) {
            for (std::uint32_t t = 0; t < kTables; ++t) {
                const auto bucket = tables.bucket(t, keys[std::size_t{t} * shape.neurons + i]);
                const bool whole = bucket.size() < tables.config().bucket_cap;
                if (whole && !std::binary_search(bucket.begin(), bucket.end(), i)) return false;
            }
        }
        return tables.occupancy().ids + tables.occupancy().dropped == keys.size();
    }

    [[nodiscard]] bool agrees(Candidates& candidates, std::size_t i) const {
        std::vector<std::uint32_t> expected;
        for (std::uint32_t t = 0; t < kTables; ++t) {
            const auto bucket = tables.bucket(t, query(i)[t]);
            expected.insert(expected.end(), bucket.begin(), bucket.end());
        }
        std::sort(expected.begin(), expected.end());
        expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
        const auto found = candidates.collect(tables, query(i));
        std::vector<std::uint32_t> sorted(found.begin(), found.end());
        std::sort(sorted.begin(), sorted.end());
        return sorted == expected;
    }

    const Shape& shape;
    sys::Runtime runtime;
    Tables tables;
    std::vector<std::uint32_t> ids;
    std::vector<std::uint32_t> keys;
    std::vector<std::uint32_t> queries;
};

Fixture& fixture_of(const Shape& shape, unsigned threads) {
    static std::unique_ptr<Fixture> fixture;
    const bool same =
        fixture && &fixture->shape == &shape && fixture->runtime.executor().threads() == threads;
    if (!same) {
        fixture.reset();  // first, so that two never stand side by side
        fixture = std::make_unique<Fixture>(shape, threads);
    }
    return *fixture;
}

void rebuild(benchmark::State& state, const Shape& shape) {
    Fixture& fixture = fixture_of(shape, static_cast<unsigned>(state.range(0)));
    if (!fixture.tables_hold()) {
        state.SkipWithError("the tables do not hold their ids");
        return;
    }
    for (auto _ : state) fixture.rebuild();
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(fixture.keys.size()));
}

void lookup(benchmark::State& state, const Shape& shape, Candidates::Counting counting) {
    Fixture& fixture = fixture_of(shape, 2);
    Candidates candidates(shape.neurons, counting);
    for (std::size_t i = 0; i < 100; ++i) {
        if (!fixture.agrees(candidates, i)) {
            state.SkipWithError("the candidates are not the union of the buckets");
            return;
        }
    }
    std::size_t i = 0;
    std::size_t ids = 0;
    for (auto _ : state) ids += candidates.collect(fixture.tables, fixture.query(i++)).size();
    state.SetItemsProcessed(static_cast<std::int64_t>(ids));
    state.counters["ids/query"] =
        static_cast<double>(ids) / static_cast<double>(state.iterations());
    state.counters["time/id"] = benchmark::Counter(
        static_cast<double>(ids), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void register_shape(const Shape& shape) {
    const std::string name = std::string(shape.name) + "/bits:" + std::to_string(shape.key_bits);
    benchmark::RegisterBenchmark(("rebuild_tables/" + name).c_str(),
                                 [&](benchmark::State& s) { rebuild(s, shape); })
        ->ArgName("threads")
        ->Arg(2)
        ->Arg(1)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
    for (const auto counting : {Candidates::Counting::off, Candidates::Counting::on}) {
        const char* suffix = counting == Candidates::Counting::on ? "/counting:1" : "/counting:0";
        benchmark::RegisterBenchmark(
            ("lookup/" + name + suffix).c_str(),
            [&shape, counting](benchmark::State& s) { lookup(s, shape, counting); });
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
