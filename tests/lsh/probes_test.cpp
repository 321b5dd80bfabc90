// Multi-probe against every set of flips there is, and cross-polytope codes by their definition.
#include "lsh/directions.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/lsh/family.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::lsh::probes_test {
namespace {

using Keys = std::vector<std::uint32_t>;

std::vector<float> normals(std::size_t count, std::uint64_t seed) {
    system::Stream stream(seed, system::Purpose::test);
    std::vector<float> x(count);
    for (float& value : x) value = stream.normal();
    return x;
}

double cost_of(const std::vector<float>& bits, std::uint32_t flips) {
    double cost = 0;
    for (std::size_t j = 0; j < bits.size(); ++j)
        if ((flips >> (bits.size() - 1 - j) & 1) != 0)
            cost += static_cast<double>(bits[j]) * static_cast<double>(bits[j]);
    return cost;
}

std::vector<double> cheapest_by_hand(const std::vector<float>& bits, std::uint32_t count) {
    std::vector<double> costs;
    for (std::uint32_t flips = 0; flips < 1U << bits.size(); ++flips)
        costs.push_back(cost_of(bits, flips));
    std::sort(costs.begin(), costs.end());
    costs.resize(count);
    return costs;
}

void expect_cheapest(std::uint32_t k, std::uint32_t probes) {
    constexpr std::uint32_t kTables = 21;  // a block, and part of one
    const auto projections = normals(k * kTables + Directions::kReadAhead, k);
    Keys keys(kTables * probes, 5);
    order_probes(projections.data(), k, kTables, probes, keys.data());
    for (std::uint32_t t = 0; t < kTables; ++t) {
        std::vector<float> bits(k);
        for (std::uint32_t j = 0; j < k; ++j) bits[j] = projections[j * kTables + t];
        const std::vector<double> costs = cheapest_by_hand(bits, probes);
        Keys own(keys.begin() + t * probes, keys.begin() + (t + 1) * probes);
        for (std::uint32_t p = 0; p < probes; ++p)
            EXPECT_NEAR(cost_of(bits, own[p] ^ 5), costs[p], 1e-5 * (1 + costs[p]))
                << k << ", " << p;
        std::sort(own.begin(), own.end());
        EXPECT_EQ(std::unique(own.begin(), own.end()), own.end());
    }
}

TEST(OrderProbes, GivesTheCheapestOfAllFlips) {
    for (const std::uint32_t k : {1U, 2U, 3U, 4U, 9U, 12U})
        for (std::uint32_t probes = 1; probes <= std::min(kMaxProbes, 1U << k); ++probes)
            expect_cheapest(k, probes);
}

TEST(OrderProbes, KeysDifferWhateverTheNumbers) {
    std::vector<float> projections(4 + Directions::kReadAhead, 0.0F);
    for (const float value : {0.0F, std::nanf(""), INFINITY}) {
        projections[1] = value;
        Keys keys(16);
        order_probes(projections.data(), 4, 1, 16, keys.data());
        std::sort(keys.begin(), keys.end());
        for (std::uint32_t p = 0; p < 16; ++p) EXPECT_EQ(keys[p], p);
    }
}

TEST(PolytopeCode, IsThePlaceAndSignOfTheLargestMagnitude) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        std::vector<float> x = normals(kPolytopeWidth, seed);
        const std::uint32_t place = seed % kPolytopeWidth;
        x[place] = seed % 3 == 0 ? 9.0F : -9.0F;
        EXPECT_EQ(polytope_code(x.data()), 2 * place + (seed % 3 == 0 ? 1 : 0));
    }
}

struct Queries {
    explicit Queries(const HashConfig& config, std::size_t count = 70) : family(config, 100) {
        const std::vector<float> x = normals(count * 100, 3);
        const std::vector<float> centre = normals(100, 4);
        std::vector<float> scratch(family.scratch_floats());
        keys.resize(count * config.l * config.probes);
        family.hash_queries(
            {x.data(), count, 100, 100}, centre.data(), keys.data(), scratch.data());
        row_keys.resize(count * config.l);
        family.hash_rows({x.data(), count, 100, 100},
                         centre.data(),
                         row_keys.data(),
                         {.row_stride = config.l, .table_stride = 1},
                         scratch.data());
    }
    Family family;
    Keys keys;
    Keys row_keys;
};

TEST(HashQueries, BeginWithTheKeyOfARow) {
    for (const HashFamily family : {HashFamily::simhash, HashFamily::hadamard}) {
        const Queries one({.family = family, .k = 7, .l = 19});
        EXPECT_EQ(one.keys, one.row_keys);
        const Queries four({.family = family, .k = 7, .l = 19, .probes = 4});
        EXPECT_EQ(four.row_keys, one.row_keys);
        for (std::size_t i = 0; i < one.keys.size(); ++i) EXPECT_EQ(four.keys[4 * i], one.keys[i]);
    }
}

// The bit of the second probe is the one whose flip takes the shortest step: a little less of the
// vector's part along it, and the key is that probe.
TEST(HashQueries, SecondProbesAreTheKeysOfVectorsNearBy) {
    for (const HashFamily family : {HashFamily::simhash, HashFamily::hadamard}) {
        const HashConfig config{.family = family, .k = 7, .l = 40, .probes = 2};
        const Family drawn(config, 100);
        const std::vector<float> x = normals(100, 5);
        std::vector<float> scratch(drawn.scratch_floats());
        Keys keys(80);
        drawn.hash_queries({x.data(), 1, 100, 100}, nullptr, keys.data(), scratch.data());
        std::vector<std::uint32_t> second(40);
        for (std::uint64_t trial = 0; trial < 400; ++trial) {
            std::vector<float> near = normals(100, 100 + trial);
            for (std::size_t c = 0; c < 100; ++c) near[c] = x[c] + 0.1F * near[c];
            Keys own(40);
            drawn.hash_rows(
                {near.data(), 1, 100, 100}, nullptr, own.data(), {40, 1}, scratch.data());
            for (std::size_t t = 0; t < 40; ++t) second[t] += own[t] == keys[2 * t + 1] ? 1U : 0U;
        }
        const std::uint32_t total = std::accumulate(second.begin(), second.end(), 0U);
        EXPECT_GT(total, 400U * 40U / 20U);  // 127 other keys share what the first leaves
    }
}

TEST(HashQueries, DoNotDependOnTheirNeighbours) {
    const Queries many({.k = 9, .l = 30, .probes = 8}, 70);
    const Queries few({.k = 9, .l = 30, .probes = 8}, 3);
    EXPECT_TRUE(std::equal(few.keys.begin(), few.keys.end(), many.keys.begin()));
    const HashConfig polytope{.family = HashFamily::crosspolytope, .k = 2, .l = 30};
    const Queries codes(polytope, 70);
    const Queries one(polytope, 1);
    EXPECT_TRUE(std::equal(one.keys.begin(), one.keys.end(), codes.keys.begin()));
}

}  // namespace
}  // namespace slidekit::lsh::probes_test
