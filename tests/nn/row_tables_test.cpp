// Rebuilds in slices: however they are cut, they end in the tables of a rebuild at once; which rows
// they hash, and when their tables take over.
#include "nn/row_tables.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/nn/network.hpp>

namespace slidekit::nn::row_tables_test {
namespace {

constexpr std::uint32_t kRows = 1000;
constexpr std::uint32_t kDim = 24;

using Contents = std::vector<std::vector<std::uint32_t>>;

Contents contents_of(const RowTables& rows) {
    Contents contents;
    const lsh::TablesConfig& config = rows.tables(0).config();
    for (std::uint32_t table = 0; table < config.tables; ++table) {
        for (std::uint32_t key = 0; key < 1U << config.key_bits; ++key) {
            const auto bucket = rows.tables(0).bucket(table, key);
            contents.emplace_back(bucket.begin(), bucket.end());
        }
    }
    return contents;
}

LshOutput config_of(Centre centre) {
    LshOutput config;
    config.hash = {.k = 6, .l = 10};
    config.centre = centre;
    config.bucket_cap = 20;
    return config;
}

/// A layer of drawn rows, three quarters of them in tables.
struct Layer {
    explicit Layer(unsigned threads = 2, Centre centre = Centre::on)
        : runtime({.threads = threads}),
          parameters(runtime, "output", kRows, kDim, Optimizer::sgd, Bias::per_row),
          rows(runtime, parameters, config_of(centre), met(), 1, blocks, in_process()) {
        parameters.initialize(runtime.executor(), 1, 0, 1);
    }

    static std::vector<std::uint32_t> met() {
        std::vector<std::uint32_t> ids;
        for (std::uint32_t id = 0; id < kRows; ++id) {
            if (id % 4 != 1) ids.push_back(id);
        }
        return ids;
    }

    /// Turns `count` rows of the tables round, and tells.
    void move(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t id = rows.met()[i * 7 % rows.met().size()];
            for (std::uint32_t c = 0; c < kDim; ++c) parameters.weights().row(id)[c] *= -1;
            rows.touch(id);
        }
    }
    void slice() {
        rows.run_round(RowTables::Round::first);
        rows.run_round(RowTables::Round::second);
    }
    RebuildReport rebuild(const RebuildPlan& plan) {
        rows.begin(plan);
        for (std::uint32_t step = 0; step < plan.steps; ++step) slice();
        return rows.finish();
    }

    system::Runtime runtime;
    [[nodiscard]] std::size_t slice_pieces() const {
        return rows.pieces(0, RowTables::Round::first) + rows.pieces(0, RowTables::Round::second);
    }

    Parameters parameters;
    Blocks blocks{kRows, 1};
    RowTables rows;
};

TEST(RowTables, AnyNumberOfSlicesGivesTheSameTables) {
    Layer at_once;
    EXPECT_EQ(at_once.rebuild({}).rows, at_once.rows.met().size());
    for (const std::uint32_t steps : {1U, 2U, 3U, 4U, 5U, 17U, 200U}) {
        for (const unsigned threads : {1U, 3U}) {
            Layer layer(threads);
            const RebuildReport report = layer.rebuild({.steps = steps});
            EXPECT_EQ(report.steps, steps);
            EXPECT_EQ(report.rows, layer.rows.met().size());
            EXPECT_EQ(contents_of(layer.rows), contents_of(at_once.rows)) << steps;
        }
    }
}

TEST(RowTables, EveryPieceOfWorkIsInOneSlice) {
    std::vector<std::size_t> pieces(60);
    for (std::uint32_t steps = 3; steps < 60; ++steps) {
        Layer layer(1);
        layer.rows.begin({.steps = steps});
        for (std::uint32_t step = 0; step < steps; ++step) {
            pieces[steps] += layer.slice_pieces();
            layer.slice();
        }
        EXPECT_EQ(layer.slice_pieces(), 0U);
        EXPECT_EQ(pieces[steps], pieces[3]) << steps;
        layer.rows.finish();
    }
}

TEST(RowTables, OldTablesServeUntilTheRebuildIsFinished) {
    Layer layer;
    layer.rebuild({});
    const Contents old = contents_of(layer.rows);
    layer.move(300);
    layer.rows.begin({.steps = 8, .functions = HashFunctions::redraw});
    const lsh::Family* family = &layer.rows.family();
    for (int step = 0; step < 8; ++step) {
        layer.slice();
        ASSERT_EQ(contents_of(layer.rows), old);
        ASSERT_EQ(&layer.rows.family(), family);
    }
    layer.rows.finish();
    EXPECT_NE(contents_of(layer.rows), old);
}

TEST(RowTables, HashOnlyWhatWasTouchedAndMissNothing) {
    for (const std::uint32_t steps : {0U, 6U}) {
        Layer layer(2, Centre::off);
        layer.rebuild({});
        layer.move(100);
        EXPECT_EQ(layer.rebuild({.steps = steps}).rows, 100U);
        Layer whole(2, Centre::off);
        whole.rebuild({});
        whole.move(100);
        EXPECT_EQ(whole.rebuild({.rows = RebuildRows::all}).rows, whole.rows.met().size());
        EXPECT_EQ(contents_of(layer.rows), contents_of(whole.rows));
        EXPECT_EQ(layer.rebuild({}).rows, 0U);
    }
}

TEST(RowTables, RowsTouchedBehindTheHashingWaitForTheNextRebuild) {
    Layer layer(1, Centre::off);
    layer.rows.begin({.steps = 3});
    layer.slice();
    layer.slice();  // all are hashed
    layer.move(40);
    EXPECT_EQ(layer.rows.finish().rows, layer.rows.met().size());
    EXPECT_EQ(layer.rebuild({}).rows, 40U);
    Layer moved(1, Centre::off);
    moved.move(40);
    moved.rebuild({});
    moved.rebuild({});  // the generation that caps the buckets
    EXPECT_EQ(contents_of(layer.rows), contents_of(moved.rows));
}

TEST(RowTables, RedrawnFunctionsHashAllRowsAndFollowFromTheSeed) {
    const auto redrawn = [](int times) {
        Layer layer;
        for (int i = 0; i < 3 - times; ++i) layer.rebuild({.rows = RebuildRows::all});
        for (int i = 0; i < times; ++i) {
            const RebuildReport report = layer.rebuild({.functions = HashFunctions::redraw});
            EXPECT_EQ(report.rows, layer.rows.met().size());
        }
        return contents_of(layer.rows);
    };
    EXPECT_EQ(redrawn(1), redrawn(1));
    EXPECT_NE(redrawn(1), redrawn(0));
    EXPECT_NE(redrawn(2), redrawn(1));
}

TEST(RowTables, DriftIsTheShareOfChangedKeys) {
    Layer layer(2, Centre::off);
    layer.rebuild({});
    EXPECT_EQ(layer.rows.drift(), 0);
    layer.move(layer.rows.met().size() / 2);  // a row turned round has another key in every table
    EXPECT_NEAR(layer.rows.drift(), 0.5, 0.05);
    layer.rebuild({.steps = 5});
    EXPECT_EQ(layer.rows.drift(), 0);
}

TEST(RowTables, WithoutRowsAreEmpty) {
    system::Runtime runtime({.threads = 2});
    const Parameters parameters(runtime, "output", 5, kDim, Optimizer::sgd, Bias::per_row);
    const Blocks blocks(5, 1);
    RowTables rows(runtime, parameters, LshOutput{}, {}, 1, blocks, in_process());
    rows.begin({});
    EXPECT_EQ(rows.finish().occupancy.ids, 0U);
    EXPECT_EQ(rows.drift(), 0);
}

}  // namespace
}  // namespace slidekit::nn::row_tables_test
