// DWTA of sparse vectors: what it owes to the dense form, how bins borrow, and keys that must never
// change.
#include <slidekit/kernels/sparse_dwta.hpp>

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/hash.hpp>

#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::sparse_dwta_test {
namespace {

using test::Draw;
using test::DwtaFunctions;
using test::SparseDwtaFunctions;

class HashDwtaSparse : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(HashDwtaSparse);

using Keys = std::vector<std::uint32_t>;
using Ids = std::vector<std::uint32_t>;

Keys keys_of(const SparseDwtaPlan& plan, const Ids& ids, const std::vector<float>& values) {
    // What scratch held before must not matter.
    std::vector<std::uint64_t> scratch(std::size_t{plan.k} * plan.l, ~std::uint64_t{0});
    Keys keys(plan.l, 0xdeadbeef);
    hash_dwta_sparse(plan, {ids.data(), values.data(), ids.size()}, keys.data(), scratch.data());
    return keys;
}

// Zeros of both signs, equal values and NaN, among others.
std::vector<float> awkward_values(Draw& draw, std::size_t n) {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const float awkward[] = {0.0F, -0.0F, 1.0F, -1.0F, kNan, kInfinity, -kInfinity, 1e-42F};
    std::vector<float> values = draw.normals(n);
    for (float& x : values) {
        if (draw.below(2) == 0) x = awkward[draw.below(std::size(awkward))];
    }
    return values;
}

TEST_P(HashDwtaSparse, GivesTheKeysOfTheDenseFormWhereAllCoordinatesAreListed) {
    Draw draw(1);
    for (const std::uint32_t dim : {8U, 9U, 100U, 128U, 300U}) {
        for (const std::uint32_t shift : {2U, 3U}) {
            SCOPED_TRACE(dim);
            const DwtaFunctions dense(dim, 6, 50, shift, dim);
            const SparseDwtaFunctions sparse(dim, 6, 50, shift, dim);
            Ids ids(dim);
            std::iota(ids.begin(), ids.end(), 0U);
            const std::vector<float> x = awkward_values(draw, dim);
            Keys expected(50);
            hash_dwta(dense.plan(), x.data(), expected.data());
            EXPECT_EQ(keys_of(sparse.plan(), ids, x), expected);
        }
    }
}

TEST_P(HashDwtaSparse, KnowsNoOrderOfIds) {
    Draw draw(2);
    const SparseDwtaFunctions functions(500, 6, 50, 3, 2);
    Ids ids = draw.order<std::uint32_t>(500, 75);
    std::vector<float> values = awkward_values(draw, 75);
    const Keys expected = keys_of(functions.plan(), ids, values);
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        const std::size_t j = i + draw.below(ids.size() - i);
        std::swap(ids[i], ids[j]);
        std::swap(values[i], values[j]);
    }
    EXPECT_EQ(keys_of(functions.plan(), ids, values), expected);
}

TEST_P(HashDwtaSparse, CountsTheLargestOfRepeats) {
    const SparseDwtaFunctions functions(64, 4, 20, 3, 3);
    const Keys expected = keys_of(functions.plan(), {3, 9, 40}, {2, 1, 0.5F});
    EXPECT_EQ(keys_of(functions.plan(), {3, 9, 3, 40, 3}, {-1, 1, 2, 0.5F, 0}), expected);
}

// A listed 0 is a value: it beats -1 in its bin, as it does in the dense form.
TEST_P(HashDwtaSparse, CountsZerosThatAreListed) {
    std::vector<std::uint32_t> places = {0 * 8 + 5, 0 * 8 + 2};
    const SparseDwtaPlan plan{.dim = 2, .k = 1, .l = 1, .permutations = 1, .places = places.data()};
    EXPECT_EQ(keys_of(plan, {0}, {-1}), Keys{5});
    EXPECT_EQ(keys_of(plan, {0, 1}, {-1, 0}), Keys{2});
    EXPECT_EQ(keys_of(plan, {1, 0}, {-0.0F, 0}), Keys{5});
    EXPECT_EQ(keys_of(plan, {1}, {std::numeric_limits<float>::quiet_NaN()}), Keys{2});
}

TEST_P(HashDwtaSparse, GivesZeroToAVectorWithoutCoordinates) {
    const SparseDwtaFunctions functions(1000, 6, 10, 3, 4);
    EXPECT_EQ(keys_of(functions.plan(), {}, {}), Keys(10, 0));
}

// Also where coordinates are listed, but no permutation gives them a bin.
TEST_P(HashDwtaSparse, GivesZeroWhereNoListedCoordinateHasABin) {
    std::vector<std::uint32_t> places = {16, 0xffffffff};
    const SparseDwtaPlan plan{.dim = 2, .k = 2, .l = 1, .permutations = 1, .places = places.data()};
    EXPECT_EQ(keys_of(plan, {0, 1}, {1, 2}), Keys{0});
}

// One bin of many has a code: all borrow it, by a probe or by walking on.
TEST_P(HashDwtaSparse, BorrowsTheOnlyCodeThereIs) {
    constexpr std::uint32_t kTables = 100;
    for (const std::uint32_t bin : {0U, 37U, 2 * kTables - 1}) {
        std::vector<std::uint32_t> places = {8 * bin + 6};
        const SparseDwtaPlan plan{
            .dim = 1, .k = 2, .l = kTables, .permutations = 1, .places = places.data()};
        EXPECT_EQ(keys_of(plan, {0}, {1}), Keys(kTables, 6 * 8 + 6)) << bin;
    }
}

// Restated from the documentation, from the bins' own codes.
TEST_P(HashDwtaSparse, BorrowsFromTheFirstProbeThatFindsACode) {
    constexpr std::uint32_t kBins = 300;
    std::vector<std::uint32_t> places;
    std::vector<int> code_of(kBins, -1);
    Draw draw(5);
    for (std::uint32_t c = 0; c < 12; ++c) {
        const auto bin = static_cast<std::uint32_t>(25 * c + draw.below(25));
        code_of[bin] = static_cast<int>(c % 8);
        places.push_back(8 * bin + c % 8);
    }
    const SparseDwtaPlan plan{
        .dim = 12, .k = 1, .l = kBins, .permutations = 1, .places = places.data()};
    Ids ids(12);
    std::iota(ids.begin(), ids.end(), 0U);
    const Keys keys = keys_of(plan, ids, std::vector<float>(12, 1));
    std::size_t walked = 0;
    for (std::uint32_t bin = 0; bin < kBins; ++bin) {
        std::uint32_t from = bin;
        std::uint32_t attempt = 0;
        while (code_of[from] < 0 && attempt < 16) from = dwta_probe(bin, attempt++, kBins);
        if (code_of[from] < 0) ++walked;
        if (code_of[from] < 0) from = bin;
        while (code_of[from] < 0) from = (from + 1) % kBins;
        EXPECT_EQ(keys[bin], static_cast<std::uint32_t>(code_of[from])) << bin;
    }
    EXPECT_GT(walked, 0U);
}

TEST(DwtaProbe, StaysBelowTheBinsAndReachesAllOfThem) {
    for (const std::uint32_t bins : {1U, 2U, 255U, 300U, 1000U}) {
        std::set<std::uint32_t> reached;
        for (std::uint32_t bin = 0; bin < bins; ++bin) {
            for (std::uint32_t a = 0; a < SparseDwtaPlan::kProbes; ++a)
                reached.insert(dwta_probe(bin, a, bins));
        }
        EXPECT_EQ(reached.size(), bins);
        EXPECT_LT(*reached.rbegin(), bins);
    }
}

// A bin listed by both of two vectors agrees on its code where the same coordinate wins. Vectors
// that share their support and their order agree everywhere, whatever is borrowed.
TEST_P(HashDwtaSparse, SeesTheOrderOfValuesOnly) {
    Draw draw(6);
    const SparseDwtaFunctions functions(135'909, 6, 50, 3, 6);
    const Ids ids = draw.order<std::uint32_t>(135'909, 2000);
    std::vector<float> values = draw.normals(2000);
    const Keys keys = keys_of(functions.plan(), ids, values);
    for (float& x : values) x = x * 0.25F;
    EXPECT_EQ(keys_of(functions.plan(), ids, values), keys);
}

// Whoever changes one of these takes a decision, and says so in the commit.
TEST_P(HashDwtaSparse, GivesTheGoldenKeys) {
    Draw draw(2020);
    const Ids ids = draw.order<std::uint32_t>(2000, 75);
    const std::vector<float> values = draw.normals(75);
    const SparseDwtaFunctions concatenated(2000, 6, 8, 3, 1);
    EXPECT_EQ(keys_of(concatenated.plan(), ids, values),
              (Keys{186077, 75629, 88797, 150690, 140635, 121258, 177812, 140598}));
    const SparseDwtaFunctions overlapping(2000, 6, 8, 2, 1);
    EXPECT_EQ(keys_of(overlapping.plan(), ids, values),
              (Keys{6657, 2857, 3713, 5554, 4831, 4726, 6124, 4830}));
}

}  // namespace
}  // namespace slidekit::kernels::sparse_dwta_test
