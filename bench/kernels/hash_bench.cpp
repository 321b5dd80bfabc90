// DWTA and SimHash keys of dense vectors of 128, one at a time, in batches, and against the
// textbook loops.
//
// Items are vectors. Shapes: DWTA K=6 L=50 and SimHash K=9 L=50 as SLIDE ran them on Amazon-670K,
// SimHash K=12 L=50 as slidekit does. Rows: 256 stay in L2, 262144 (134 MB) come from DRAM.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/isa.hpp>

#include "hash_functions.hpp"

namespace {

using namespace slidekit::kernels;
using slidekit::test::Draw;
using slidekit::test::DwtaFunctions;
using slidekit::test::Rows;
using slidekit::test::SimHashFunctions;

constexpr std::uint32_t kDim = 128;
constexpr std::uint32_t kNonzeros = 43;
constexpr std::uint32_t kTables = 50;
constexpr std::size_t kWarmRows = 256;
constexpr std::size_t kColdRows = 262'144;

// As the textbook has it (and the released SLIDE): every permutation runs over the vector and keeps
// the best of each bin; the first of equals stays, which is the one of the lowest coordinate.
class TextbookDwta {
public:
    explicit TextbookDwta(const DwtaFunctions& functions)
        : plan_(functions.plan()), places_(functions.order().size()) {
        const std::vector<std::uint16_t>& order = functions.order();
        for (std::size_t i = 0; i < order.size(); ++i) {
            places_[i / kDim * kDim + order[i]] = static_cast<std::uint32_t>(i);
        }
    }

    void operator()(const float* x, std::uint32_t* keys) const {
        const std::size_t bins = places_.size() / DwtaPlan::kBinSize;
        std::vector<float> best(bins, -std::numeric_limits<float>::infinity());
        std::vector<std::uint32_t> codes(bins);
        for (std::size_t first = 0; first < places_.size(); first += kDim) {
            for (std::size_t c = 0; c < kDim; ++c) {
                const std::uint32_t place = places_[first + c];
                const std::uint32_t bin = place / DwtaPlan::kBinSize;
                if (x[c] > best[bin]) {
                    best[bin] = x[c];
                    codes[bin] = place % DwtaPlan::kBinSize;
                }
            }
        }
        for (std::size_t t = 0; t < plan_.l; ++t) {
            std::uint32_t key = 0;
            for (std::size_t j = 0; j < plan_.k; ++j)
                key = (key << plan_.shift) + codes[t * plan_.k + j];
            keys[t] = key;
        }
    }

private:
    DwtaPlan plan_;
    std::vector<std::uint32_t> places_;
};

// Sparse projections one after the other, the sign looked up beside the coordinate.
struct TextbookSimHash {
    explicit TextbookSimHash(const SimHashFunctions& functions) : plan(functions.plan()) {}

    void operator()(const float* x, std::uint32_t* keys) const {
        for (std::size_t t = 0; t < plan.l; ++t) {
            std::uint32_t key = 0;
            for (std::size_t bit = t * plan.k; bit < (t + 1) * plan.k; ++bit) {
                float sum = 0;
                for (std::size_t j = 0; j < plan.nonzeros; ++j) {
                    const std::size_t term = plan.terms[bit * plan.nonzeros + j];
                    if (term < kDim) {
                        sum += x[term];
                    } else {
                        sum -= x[term - kDim];
                    }
                }
                key = key << 1 | (sum > 0 ? 1U : 0U);
            }
            keys[t] = key;
        }
    }

    SimHashPlan plan;
};

// What differs between the two families, by one set of names.
struct Dwta {
    using Plan = DwtaPlan;
    using Textbook = TextbookDwta;
    static DwtaFunctions draw(std::uint32_t k) { return {kDim, k, kTables, 3, 1}; }
    static constexpr auto one = &hash_dwta;
    static constexpr auto rows = &hash_dwta_rows;
};
struct SimHash {
    using Plan = SimHashPlan;
    using Textbook = TextbookSimHash;
    static SimHashFunctions draw(std::uint32_t k) { return {kDim, k, kTables, kNonzeros, 1}; }
    static constexpr auto one = &hash_simhash;
    static constexpr auto rows = &hash_simhash_rows;
};

// Activations after ReLU.
const Rows& warm_rows() {
    static const Rows rows = [] {
        Draw draw(7);
        Rows drawn = slidekit::test::normal_rows(draw, kWarmRows, kDim, kDim);
        for (float& x : drawn.data) x = x > 0 ? x : 0;
        return drawn;
    }();
    return rows;
}

// Weight rows: the warm ones, over and over, as what they hold does not matter.
const Rows& cold_rows() {
    static const Rows rows = [] {
        Rows many{{}, kColdRows, kDim, kDim};
        many.data.reserve(kColdRows * kDim);
        while (many.data.size() < kColdRows * kDim) {
            many.data.insert(many.data.end(), warm_rows().data.begin(), warm_rows().data.end());
        }
        return many;
    }();
    return rows;
}

void finish(benchmark::State& state, std::size_t rows) {
    const auto vectors = static_cast<std::int64_t>(rows) * state.iterations();
    state.SetItemsProcessed(vectors);
    state.SetBytesProcessed(vectors * kDim * static_cast<std::int64_t>(sizeof(float)));
    state.SetLabel(std::string(isa_name(active_isa())));
}

template <class Family>
void hash_one(benchmark::State& state) {
    const auto functions = Family::draw(static_cast<std::uint32_t>(state.range(0)));
    const auto plan = functions.plan();
    const typename Family::Textbook textbook(functions);
    std::vector<std::uint32_t> keys(kTables);
    std::vector<std::uint32_t> expected(kTables);
    for (std::size_t r = 0; r < kWarmRows; ++r) {
        Family::one(plan, warm_rows().row(r), keys.data());
        textbook(warm_rows().row(r), expected.data());
        if (keys != expected) return state.SkipWithError("keys differ from the textbook's");
    }
    std::size_t r = 0;
    for (auto _ : state) {
        Family::one(plan, warm_rows().row(r++ % kWarmRows), keys.data());
        benchmark::DoNotOptimize(keys.data());
        benchmark::ClobberMemory();
    }
    finish(state, 1);
}

template <class Family>
void hash_rows(benchmark::State& state) {
    const auto functions = Family::draw(static_cast<std::uint32_t>(state.range(0)));
    const auto plan = functions.plan();
    const Rows& rows =
        static_cast<std::size_t>(state.range(1)) == kWarmRows ? warm_rows() : cold_rows();
    const typename Family::Textbook textbook(functions);
    std::vector<float> scratch(hash_scratch_floats(kDim));
    std::vector<std::uint32_t> keys(rows.rows * kTables);
    std::vector<std::uint32_t> expected(kTables);
    const auto run = [&] {
        Family::rows(
            plan, rows.view(), nullptr, keys.data(), {.row_stride = kTables}, scratch.data());
    };
    run();
    for (std::size_t r = 0; r < rows.rows; r += rows.rows / kWarmRows + 1) {
        textbook(rows.row(r), expected.data());
        const std::uint32_t* const of_row = keys.data() + r * kTables;
        if (!std::equal(expected.begin(), expected.end(), of_row)) {
            return state.SkipWithError("keys differ from the textbook's");
        }
    }
    for (auto _ : state) {
        run();
        benchmark::ClobberMemory();
    }
    finish(state, rows.rows);
}

template <class Family>
void hash_textbook(benchmark::State& state) {
    const auto functions = Family::draw(static_cast<std::uint32_t>(state.range(0)));
    const typename Family::Textbook textbook(functions);
    std::vector<std::uint32_t> keys(kTables);
    std::size_t r = 0;
    for (auto _ : state) {
        textbook(warm_rows().row(r++ % kWarmRows), keys.data());
        benchmark::DoNotOptimize(keys.data());
        benchmark::ClobberMemory();
    }
    finish(state, 1);
    state.SetLabel("textbook");
}

BENCHMARK(hash_textbook<Dwta>)->Name("hash_dwta_textbook_f32")->ArgName("K")->Arg(6);
BENCHMARK(hash_one<Dwta>)->Name("hash_dwta_f32")->ArgName("K")->Arg(6);
BENCHMARK(hash_rows<Dwta>)
    ->Name("hash_dwta_rows_f32")
    ->ArgNames({"K", "rows"})
    ->Args({6, kWarmRows})
    ->Args({6, kColdRows});
BENCHMARK(hash_textbook<SimHash>)->Name("hash_simhash_textbook_f32")->ArgName("K")->Arg(9)->Arg(12);
BENCHMARK(hash_one<SimHash>)->Name("hash_simhash_f32")->ArgName("K")->Arg(9)->Arg(12);
BENCHMARK(hash_rows<SimHash>)
    ->Name("hash_simhash_rows_f32")
    ->ArgNames({"K", "rows"})
    ->Args({9, kWarmRows})
    ->Args({12, kWarmRows})
    ->Args({9, kColdRows})
    ->Args({12, kColdRows});

}  // namespace
