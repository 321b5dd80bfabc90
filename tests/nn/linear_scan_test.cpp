// The linear scan: the best of all rows against brute force, and standout's frequencies against
// their law.
#include "nn/linear_scan.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn::linear_scan_test {
namespace {

using kernels::RowMatrix;
using Sets = std::vector<std::vector<std::uint32_t>>;

enum class Values { whole, normal };

// A layer with its copies. Whole numbers up to 127, which each row has, are copied without loss.
struct Layer {
    Layer(std::uint32_t count, std::uint32_t dim, Values values, unsigned threads = 2)
        : runtime({.threads = threads}),
          parameters(runtime, "output", count, dim, Optimizer::sgd, Bias::per_row),
          copies(runtime, count, dim) {
        for (std::uint32_t i = 0; i < count; ++i) {
            system::Stream stream(count, system::Purpose::test, i);
            float* const row = parameters.weights().row(i);
            for (std::size_t k = 0; k < dim; ++k)
                row[k] = values == Values::normal ? 0.1F * stream.normal()
                                                  : static_cast<float>(stream.below(5)) - 2;
            if (values == Values::whole) row[i % dim] = 127;
            parameters.bias()[i] = values == Values::normal ? 0.1F * stream.normal()
                                                            : static_cast<float>(stream.below(9));
            copies.refresh(i, row, parameters.bias()[i]);
        }
    }
    [[nodiscard]] LinearScan scan(const std::vector<std::uint32_t>& rows) {
        return {runtime.executor(), parameters, copies, rows};
    }

    system::Runtime runtime;
    Parameters parameters;
    RankRows copies;
};

struct Samples {
    Samples(std::size_t count, std::size_t width, Values values)
        : dim(width), stride(padded_stride(width)), numbers(count * stride) {
        for (std::size_t s = 0; s < count; ++s) {
            system::Stream stream(9, system::Purpose::test, s);
            for (std::size_t k = 0; k < dim; ++k) {
                const float whole = k == s % dim ? 127 : static_cast<float>(stream.below(3));
                numbers[s * stride + k] =
                    values == Values::whole ? whole : std::max(0.0F, stream.normal());
            }
        }
    }
    [[nodiscard]] RowMatrix<const float> view() const {
        return {numbers.data(), numbers.size() / stride, dim, stride};
    }
    std::size_t dim;
    std::size_t stride;
    std::vector<float> numbers;
};

std::vector<std::uint32_t> all_of(std::uint32_t count) {
    std::vector<std::uint32_t> rows(count);
    std::iota(rows.begin(), rows.end(), 0U);
    return rows;
}

// Room for what a scan lists, and the lists as sets.
struct Lists {
    Lists(std::size_t samples, std::size_t room) : entries(samples * room), counts(samples) {
        view = {entries.data(), counts.data(), room};
    }
    [[nodiscard]] std::vector<Found> of(std::size_t sample) const {
        return {view.of(sample).begin(), view.of(sample).end()};
    }
    [[nodiscard]] Sets sets() const {
        Sets sets(counts.size());
        for (std::size_t s = 0; s < counts.size(); ++s)
            for (const Found& found : view.of(s)) sets[s].push_back(found.id);
        return sets;
    }

    std::vector<Found> entries;
    std::vector<std::uint32_t> counts;
    FoundLists view;
};

Sets top_of(LinearScan& scan,
            const Samples& samples,
            std::size_t count,
            Rank rank = Rank::dot_fp32) {
    Lists lists(samples.view().rows, LinearScan::listed(count, rank));
    scan.top(samples.view(), count, rank, lists.view);
    Sets sets;
    std::vector<std::uint64_t> keys;
    for (std::size_t s = 0; s < samples.view().rows; ++s) {
        std::vector<Found> best = lists.of(s);
        keep_best(best, count, &Found::again, keys);
        sets.emplace_back();
        for (const Found& found : best) sets.back().push_back(found.id);
    }
    return sets;
}

Sets standout_of(LinearScan& scan, const Samples& samples, const Standout& rule) {
    const std::size_t room = std::min<std::size_t>(rule.most, 5000);
    Lists lists(samples.view().rows, room);
    scan.standout(samples.view(), rule, lists.view);
    return lists.sets();
}

Sets brute_force(const Layer& layer,
                 const std::vector<std::uint32_t>& rows,
                 const Samples& samples,
                 std::size_t count) {
    Sets sets;
    const RowMatrix<const float> weights = layer.parameters.weights();
    for (std::size_t s = 0; s < samples.view().rows; ++s) {
        const float* const x = samples.view().row(s);
        std::vector<std::uint32_t> order = rows;
        std::vector<float> logits(layer.parameters.rows());
        for (const std::uint32_t id : rows) {
            const float* const row = weights.row(id);
            logits[id] = std::inner_product(x, x + samples.dim, row, layer.parameters.bias()[id]);
        }
        std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return logits[a] > logits[b];
        });
        order.resize(std::min(count, order.size()));
        std::sort(order.begin(), order.end());
        sets.push_back(order);
    }
    return sets;
}

TEST(LinearScan, TopIsThatOfBruteForceTiesToTheLowerId) {
    for (const std::uint32_t dim : {1U, 3U, 19U, 64U, 65U}) {
        for (const std::size_t samples : {1U, 33U, 127U, 128U, 129U, 260U}) {
            Layer layer(700, dim, Values::whole);
            const Samples some(samples, dim, Values::whole);
            const std::vector<std::uint32_t> rows = all_of(700);
            LinearScan scan = layer.scan(rows);
            for (const std::size_t count : {1U, 20U, 200U})
                for (const Rank rank : {Rank::dot, Rank::dot_fp32})
                    ASSERT_EQ(top_of(scan, some, count, rank),
                              brute_force(layer, rows, some, count))
                        << dim << " wide, " << samples << " samples, " << count << " wanted";
        }
    }
}

// Every sixteenth row scores far above the others, and only these are looked at to find a
// threshold.
TEST(LinearScan, FindsTheRestWhereItsFirstLookMisleads) {
    Layer layer(700, 16, Values::whole);
    const std::vector<std::uint32_t> rows = all_of(700);
    for (std::uint32_t id = 0; id < 700; id += 16) {
        layer.parameters.bias()[id] = 1e5F;
        layer.copies.refresh(id, layer.parameters.weights().row(id), 1e5F);
    }
    const Samples some(130, 16, Values::whole);
    LinearScan scan = layer.scan(rows);
    for (const Rank rank : {Rank::dot, Rank::dot_fp32})
        EXPECT_EQ(top_of(scan, some, 200, rank), brute_force(layer, rows, some, 200));
}

TEST(LinearScan, LooksAtItsRowsOnly) {
    Layer layer(300, 16, Values::whole);
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 2; row < 300; row += 7) rows.push_back(row);
    const Samples some(5, 16, Values::whole);
    LinearScan scan = layer.scan(rows);
    EXPECT_EQ(top_of(scan, some, 10), brute_force(layer, rows, some, 10));
    EXPECT_EQ(top_of(scan, some, 1000), Sets(5, rows));
    EXPECT_EQ(top_of(scan, some, 0), Sets(5));
    LinearScan none = layer.scan({});
    EXPECT_EQ(top_of(none, some, 3), Sets(5));
}

TEST(LinearScan, TopOfRoundedRowsMissesFewerThanOneInAThousand) {
    Layer layer(5000, 128, Values::normal);
    const Samples some(64, 128, Values::normal);
    const std::vector<std::uint32_t> rows = all_of(5000);
    LinearScan scan = layer.scan(rows);
    const Sets exact = brute_force(layer, rows, some, 100);
    const Sets found = top_of(scan, some, 100);
    std::size_t shared = 0;
    for (std::size_t s = 0; s < exact.size(); ++s) {
        ASSERT_EQ(found[s].size(), 100U);
        for (const std::uint32_t id : found[s])
            shared += std::binary_search(exact[s].begin(), exact[s].end(), id) ? 1 : 0;
    }
    EXPECT_GE(shared, 6400U * 999 / 1000);
}

TEST(LinearScan, GivesTheSameForAnyNumberOfThreads) {
    const Samples some(300, 19, Values::normal);
    std::vector<Sets> top;
    std::vector<Sets> kept;
    for (const unsigned threads : {1U, 2U, 3U, 4U}) {
        Layer layer(900, 19, Values::normal, threads);
        LinearScan scan = layer.scan(all_of(900));
        top.push_back(top_of(scan, some, 30));
        kept.push_back(standout_of(scan, some, {.alpha = 2, .beta = -3, .most = 50, .seed = 1}));
    }
    for (const Sets& other : top) EXPECT_EQ(other, top.front());
    for (const Sets& other : kept) EXPECT_EQ(other, kept.front());
}

// How often each neuron was kept for one sample, in `draws` independent ones.
std::vector<double> frequencies(Layer& layer, const Samples& same, Standout rule, int steps) {
    LinearScan scan = layer.scan(all_of(layer.parameters.rows()));
    std::vector<double> kept(layer.parameters.rows());
    for (int step = 0; step < steps; ++step) {
        rule.step = static_cast<std::uint64_t>(step);
        for (const std::vector<std::uint32_t>& ids : standout_of(scan, same, rule)) {
            for (const std::uint32_t id : ids) ++kept[id];
            EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
        }
    }
    return kept;
}

Samples one_sample_again(std::size_t count, std::size_t dim) {
    Samples same(count, dim, Values::whole);
    for (std::size_t s = 1; s < count; ++s)
        std::copy_n(same.numbers.begin(), dim, &same.numbers[s * same.stride]);
    return same;
}

// Five deviations: one in two million where the law holds.
TEST(Standout, KeepsEachNeuronWithItsProbability) {
    constexpr int kSteps = 60;
    constexpr double kDraws = 70.0 * kSteps;
    Layer layer(300, 16, Values::whole);
    const Samples same = one_sample_again(70, 16);
    const Standout rule{.alpha = 0.005F, .beta = -5, .seed = 3};
    const std::vector<double> kept = frequencies(layer, same, rule, kSteps);
    double rare = 0;
    double expected_rare = 0;
    for (std::uint32_t id = 0; id < 300; ++id) {
        const float* const row = layer.parameters.weights().row(id);
        const double logit = std::inner_product(
            row, row + 16, same.numbers.begin(), static_cast<double>(layer.parameters.bias()[id]));
        const double p = 1 / (1 + std::exp(5 - 0.005 * logit));
        ASSERT_NEAR(kept[id], p * kDraws, 5 * std::sqrt(p * (1 - p) * kDraws) + 1) << id;
        if (p >= 1.0 / 256) continue;
        rare += kept[id];
        expected_rare += p * kDraws;
    }
    EXPECT_GT(expected_rare, 500);
    EXPECT_NEAR(rare, expected_rare, 5 * std::sqrt(expected_rare));
}

TEST(Standout, DropsAnyNeuronsAlikeWhereTooManyAreKept) {
    constexpr int kSteps = 60;
    constexpr double kDraws = 70.0 * kSteps;
    Layer layer(100, 16, Values::whole);
    const Standout rule{.alpha = 0.01F, .beta = 40, .most = 10, .seed = 4};
    const std::vector<double> kept = frequencies(layer, one_sample_again(70, 16), rule, kSteps);
    EXPECT_EQ(std::accumulate(kept.begin(), kept.end(), 0.0), 10 * kDraws);
    for (const double times : kept) ASSERT_NEAR(times, 0.1 * kDraws, 5 * std::sqrt(0.09 * kDraws));
}

TEST(Standout, DrawsDifferBySampleStepAndSeed) {
    Layer layer(200, 16, Values::whole);
    const Samples same = one_sample_again(3, 16);
    LinearScan scan = layer.scan(all_of(200));
    const auto kept = [&](std::uint64_t seed, std::uint64_t step) {
        return standout_of(scan, same, {.alpha = 1e-3F, .beta = 0, .seed = seed, .step = step});
    };
    const Sets first = kept(1, 1);
    EXPECT_NE(first[0], first[1]);
    EXPECT_EQ(kept(1, 1), first);
    EXPECT_NE(kept(1, 2)[0], first[0]);
    EXPECT_NE(kept(2, 1)[0], first[0]);
}

}  // namespace
}  // namespace slidekit::nn::linear_scan_test
