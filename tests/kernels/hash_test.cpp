// SimHash and DWTA: every level, one vector or many, against the scalar oracle, and the oracle
// against what the two families promise (collision rates, order of ties, reachable buckets).
#include <slidekit/kernels/hash.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "guarded_buffer.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::hash_test {
namespace {

using test::Draw;
using test::DwtaFunctions;
using test::Guard;
using test::GuardedBuffer;
using test::normal_rows;
using test::Rows;
using test::SimHashFunctions;

class HashSimhash : public test::LevelTest {};
class HashDwta : public test::LevelTest {};
class Hash : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(HashSimhash);
SLIDEKIT_ON_EACH_LEVEL(HashDwta);
SLIDEKIT_ON_EACH_LEVEL(Hash);

using Keys = std::vector<std::uint32_t>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

void hash_one(const SimHashPlan& plan, const float* x, std::uint32_t* keys) {
    hash_simhash(plan, x, keys);
}
void hash_one(const DwtaPlan& plan, const float* x, std::uint32_t* keys) {
    hash_dwta(plan, x, keys);
}
void hash_rows(const SimHashPlan& plan,
               RowMatrix<const float> rows,
               const float* centre,
               std::uint32_t* keys,
               KeyLayout layout,
               float* scratch) {
    hash_simhash_rows(plan, rows, centre, keys, layout, scratch);
}
void hash_rows(const DwtaPlan& plan,
               RowMatrix<const float> rows,
               const float* centre,
               std::uint32_t* keys,
               KeyLayout layout,
               float* scratch) {
    hash_dwta_rows(plan, rows, centre, keys, layout, scratch);
}

// All arrays start on no boundary, and end before a page that nobody may touch.
template <class Plan>
Keys keys_of_rows(const Plan& plan, const Rows& rows, const float* centre = nullptr) {
    const std::size_t padding = rows.stride - rows.dim;
    const std::size_t used = rows.rows == 0 ? 0 : rows.rows * rows.stride - padding;
    const GuardedBuffer<float> data(
        {rows.data.begin(), rows.data.begin() + static_cast<std::ptrdiff_t>(used)}, Guard::after);
    const GuardedBuffer<float> scratch(hash_scratch_floats(plan.dim), Guard::after);
    const GuardedBuffer<std::uint32_t> keys(rows.rows * plan.l, Guard::after, 0xdeadbeef);
    const KeyLayout by_row{.row_stride = plan.l, .table_stride = 1};
    hash_rows(plan,
              {data.data(), rows.rows, rows.dim, rows.stride},
              centre,
              keys.data(),
              by_row,
              scratch.data());
    return keys.values();
}

template <class Plan>
Keys keys_one_by_one(const Plan& plan, const Rows& rows) {
    const GuardedBuffer<float> x(rows.dim, Guard::after);
    const GuardedBuffer<std::uint32_t> keys(plan.l, Guard::after, 0xdeadbeef);
    Keys all;
    for (std::size_t r = 0; r < rows.rows; ++r) {
        std::copy_n(rows.row(r), rows.dim, x.data());
        hash_one(plan, x.data(), keys.data());
        all.insert(all.end(), keys.begin(), keys.end());
    }
    return all;
}

// The awkward values that a trained network does produce: zeros after ReLU, of both signs, equal
// values, and, when something went wrong, NaN and infinity.
void spoil(Draw& draw, Rows& rows) {
    // clang-format off
    const float awkward[] = {0.0F, 0.0F, 0.0F, -0.0F, 1.0F, 1.0F, -1.0F, kNan, -kNan,
                             kInfinity, -kInfinity, 1e-42F, -1e-42F};
    // clang-format on
    for (float& x : rows.data) {
        if (draw.below(2) == 0) x = awkward[draw.below(std::size(awkward))];
    }
}

template <class Plan>
void expect_scalar_keys(const Plan& plan, const Rows& rows, const float* centre) {
    const Isa level = active_isa();
    select_isa(Isa::scalar);
    const Keys expected = keys_of_rows(plan, rows, centre);
    select_isa(level);
    EXPECT_EQ(keys_of_rows(plan, rows, centre), expected);
    if (centre == nullptr) {
        EXPECT_EQ(keys_one_by_one(plan, rows), expected);
    }
}

constexpr std::size_t kDims[] = {1,  2,  7,   8,   9,   15,  16,  17,  31,  33, 63,
                                 64, 65, 100, 127, 128, 129, 192, 255, 256, 300};

std::uint32_t third(std::size_t dim) {
    return static_cast<std::uint32_t>(std::max<std::size_t>(1, (dim + 1) / 3));
}

TEST_P(HashSimhash, AgreesWithOracleOnEveryWidth) {
    Draw draw(1);
    for (const std::size_t dim : kDims) {
        SCOPED_TRACE(dim);
        const SimHashFunctions functions(static_cast<std::uint32_t>(dim), 9, 7, third(dim), dim);
        const Rows rows = normal_rows(draw, 19, dim, dim + 3);
        const std::vector<float> centre = draw.normals(dim);
        expect_scalar_keys(functions.plan(), rows, nullptr);
        expect_scalar_keys(functions.plan(), rows, centre.data());
    }
}

TEST_P(HashDwta, AgreesWithOracleOnEveryWidth) {
    Draw draw(2);
    for (const std::size_t dim : kDims) {
        SCOPED_TRACE(dim);
        const DwtaFunctions functions(static_cast<std::uint32_t>(dim), 6, 7, 3, dim);
        const Rows rows = normal_rows(draw, 19, dim, dim + 3);
        const std::vector<float> centre = draw.normals(dim);
        expect_scalar_keys(functions.plan(), rows, nullptr);
        expect_scalar_keys(functions.plan(), rows, centre.data());
    }
}

TEST_P(Hash, AgreesWithOracleAboveTheTableOnTheStack) {
    Draw draw(3);
    for (const std::uint32_t dim : {512U, 513U, 2000U}) {
        const Rows rows = normal_rows(draw, 3, dim, dim);
        expect_scalar_keys(SimHashFunctions(dim, 5, 3, dim / 3, dim).plan(), rows, nullptr);
        expect_scalar_keys(DwtaFunctions(dim, 5, 3, 3, dim).plan(), rows, nullptr);
    }
}

TEST_P(Hash, AgreesWithOracleOnEveryPlan) {
    Draw draw(4);
    const Rows rows = normal_rows(draw, 5, 128, 128);
    for (std::uint32_t k = 1; k <= 24; ++k) {
        for (const std::uint32_t l : {1U, 2U, 3U, 5U, 16U, 50U}) {
            SCOPED_TRACE(testing::Message() << "K " << k << " L " << l);
            expect_scalar_keys(SimHashFunctions(128, k, l, 11, k).plan(), rows, nullptr);
            if (k > 12) continue;
            expect_scalar_keys(DwtaFunctions(128, k, l, 2, k).plan(), rows, nullptr);
            expect_scalar_keys(DwtaFunctions(128, std::min(k, 8U), l, 3, k).plan(), rows, nullptr);
        }
    }
}

TEST_P(Hash, AgreesWithOracleOnEveryNumberOfRows) {
    Draw draw(5);
    const SimHashFunctions simhash(40, 6, 5, 13, 5);
    const DwtaFunctions dwta(40, 4, 5, 3, 5);
    for (const std::size_t count : {0U, 1U, 7U, 8U, 9U, 15U, 16U, 17U, 31U, 32U, 33U, 67U}) {
        SCOPED_TRACE(count);
        const Rows rows = normal_rows(draw, count, 40, 48);
        expect_scalar_keys(simhash.plan(), rows, nullptr);
        expect_scalar_keys(dwta.plan(), rows, nullptr);
    }
}

TEST_P(Hash, AgreesWithOracleOnTiesZerosAndNan) {
    Draw draw(6);
    for (const std::uint32_t dim : {16U, 100U, 128U, 200U}) {
        SCOPED_TRACE(dim);
        Rows rows = normal_rows(draw, 200, dim, dim);
        spoil(draw, rows);
        expect_scalar_keys(SimHashFunctions(dim, 9, 5, third(dim), dim).plan(), rows, nullptr);
        expect_scalar_keys(DwtaFunctions(dim, 6, 50, 3, dim).plan(), rows, nullptr);
        expect_scalar_keys(DwtaFunctions(dim, 6, 50, 3, dim).plan(), rows, rows.row(7));
    }
}

// The textbook runs over a permutation and keeps, a bin, the best value that it meets.
TEST_P(HashDwta, AgreesWithTheTextbook) {
    constexpr std::size_t kBins = 6 * 50;
    const DwtaFunctions functions(128, 6, 50, 3, 14);
    Draw draw(14);
    const std::vector<float> x = draw.normals(128);
    Keys expected(50);
    for (std::size_t bin = 0; bin < kBins; ++bin) {
        const std::uint16_t* const candidates = functions.order().data() + bin * DwtaPlan::kBinSize;
        std::uint32_t code = 0;
        for (std::uint32_t p = 1; p < DwtaPlan::kBinSize; ++p) {
            if (x[candidates[p]] > x[candidates[code]]) code = p;
        }
        expected[bin / 6] = expected[bin / 6] << 3 | code;
    }
    Keys keys(50);
    hash_dwta(functions.plan(), x.data(), keys.data());
    EXPECT_EQ(keys, expected);
}

// Values that differ in their last bit only: a comparison on fewer bits would call them level.
TEST_P(HashDwta, TellsNeighbouringFloatsApart) {
    Draw draw(7);
    Rows rows = normal_rows(draw, 64, 128, 128);
    for (float& x : rows.data) {
        const float base = draw.below(2) == 0 ? 1.0F : -1.0F;
        x = base + static_cast<float>(draw.below(9)) * std::numeric_limits<float>::epsilon() / 2;
    }
    expect_scalar_keys(DwtaFunctions(128, 6, 50, 3, 7).plan(), rows, nullptr);
}

TEST_P(Hash, WritesKeysWhereTheLayoutSays) {
    Draw draw(8);
    const SimHashFunctions functions(32, 4, 5, 10, 8);
    const Rows rows = normal_rows(draw, 37, 32, 32);
    const Keys by_row = keys_of_rows(functions.plan(), rows);
    std::vector<float> scratch(hash_scratch_floats(32));
    Keys by_table(rows.rows * 5);
    hash_simhash_rows(functions.plan(),
                      rows.view(),
                      nullptr,
                      by_table.data(),
                      {.row_stride = 1, .table_stride = rows.rows},
                      scratch.data());
    for (std::size_t r = 0; r < rows.rows; ++r) {
        for (std::size_t t = 0; t < 5; ++t)
            EXPECT_EQ(by_table[t * rows.rows + r], by_row[r * 5 + t]);
    }
}

TEST_P(Hash, TakesTheCentreOffInOneRounding) {
    Draw draw(9);
    const DwtaFunctions dwta(24, 4, 6, 3, 9);
    const SimHashFunctions simhash(24, 8, 6, 8, 9);
    const Rows rows = normal_rows(draw, 21, 24, 24);
    const std::vector<float> centre = draw.normals(24);
    Rows less = rows;
    for (std::size_t i = 0; i < less.data.size(); ++i) less.data[i] = rows.data[i] - centre[i % 24];
    EXPECT_EQ(keys_of_rows(dwta.plan(), rows, centre.data()), keys_of_rows(dwta.plan(), less));
    EXPECT_EQ(keys_of_rows(simhash.plan(), rows, centre.data()),
              keys_of_rows(simhash.plan(), less));
}

TEST_P(HashSimhash, CodesOnePositiveProjectionsOnly) {
    // One coordinate, +1 and -1: the key is (x > 0) << 1 | (-x > 0).
    const std::uint16_t terms[] = {0, 1};
    const SimHashPlan plan{.dim = 1, .k = 2, .l = 1, .nonzeros = 1, .terms = terms};
    for (const auto& [x, expected] :
         {std::pair{1.0F, 2U}, {-1.0F, 1U}, {0.0F, 0U}, {-0.0F, 0U}, {kNan, 0U}, {1e-45F, 2U}}) {
        std::uint32_t key = 7;
        hash_simhash(plan, &x, &key);
        EXPECT_EQ(key, expected) << x;
    }
}

// One bin over coordinates 0..7 in reverse: coordinate c stands at position 7 - c.
std::uint32_t reversed_bin_code(const float (&x)[8]) {
    std::uint16_t coordinates[8 * 16] = {};
    std::uint8_t positions[8 * 16] = {};
    for (std::uint16_t c = 0; c < 8; ++c) {
        coordinates[c * 16] = c;
        positions[c * 16] = static_cast<std::uint8_t>(7 - c);
    }
    const DwtaPlan plan{
        .dim = 8, .k = 1, .l = 1, .bins = 16, .coordinates = coordinates, .positions = positions};
    std::uint32_t key = 99;
    hash_dwta(plan, x, &key);
    return key;
}

TEST_P(HashDwta, GivesTiesToTheLowestCoordinateAndNothingToNan) {
    EXPECT_EQ(reversed_bin_code({0, 0, 0, 0, 0, 0, 0, 0}), 7U);
    EXPECT_EQ(reversed_bin_code({-0.0F, 0, -0.0F, 0, 0, 0, 0, 0}), 7U);
    EXPECT_EQ(reversed_bin_code({-1, 0, -0.0F, 0, -1, 0, -3, 0}), 6U);
    EXPECT_EQ(reversed_bin_code({1, 2, 3, 3, 2, 1, 3, 0}), 5U);
    EXPECT_EQ(reversed_bin_code({kNan, -kNan, -kInfinity, -kInfinity, kNan, kNan, kNan, kNan}), 5U);
    EXPECT_EQ(reversed_bin_code({kNan, kNan, kNan, kNan, kNan, kNan, kNan, kNan}), 7U);
    EXPECT_EQ(reversed_bin_code({kNan, -5, -4, kNan, -4, kInfinity, kNan, kInfinity}), 2U);
}

// The share of codes that differ estimates the angle. Codes of one projection are Bernoulli
// variables and the projections are independent, so 5 standard deviations bound the error but once
// in two million; a third of 300 signs is dense enough that the sum is normal to within the same.
TEST_P(HashSimhash, CollidesAtTheRateOfTheAngle) {
    constexpr std::uint32_t kDim = 300;
    constexpr std::uint32_t kBits = 20'000;
    const SimHashFunctions functions(kDim, 1, kBits, kDim / 3, 10);
    Draw draw(10);
    for (const float cosine : {-0.5F, 0.0F, 0.5F, 0.9F, 0.99F}) {
        const std::vector<float> x = draw.normals(kDim);
        std::vector<float> y = draw.normals(kDim);
        double xx = 0;
        double yy = 0;
        double xy = 0;
        for (std::size_t i = 0; i < kDim; ++i) {
            y[i] = cosine * x[i] + std::sqrt(1 - cosine * cosine) * y[i];
            xx += double{x[i]} * double{x[i]};
            yy += double{y[i]} * double{y[i]};
            xy += double{x[i]} * double{y[i]};
        }
        const double p = 1 - std::acos(xy / std::sqrt(xx * yy)) / std::acos(-1.0);
        Keys a(kBits);
        Keys b(kBits);
        hash_simhash(functions.plan(), x.data(), a.data());
        hash_simhash(functions.plan(), y.data(), b.data());
        double equal = 0;
        for (std::size_t i = 0; i < kBits; ++i) equal += a[i] == b[i] ? 1 : 0;
        EXPECT_NEAR(equal / kBits, p, 5 * std::sqrt(p * (1 - p) / kBits)) << cosine;
    }
}

// The winner of a bin of independent values stands at each position with probability 1/8, and so do
// the winners of two vectors without relation agree. One bin and fresh vectors: Bernoulli trials.
TEST_P(HashDwta, CodesAreUniformAndIndependentOfUnrelatedVectors) {
    constexpr int kTrials = 20'000;
    const DwtaFunctions functions(128, 1, 1, 3, 11);
    Draw draw(11);
    double third_position = 0;
    double equal = 0;
    for (int i = 0; i < kTrials; ++i) {
        std::uint32_t a = 0;
        std::uint32_t b = 0;
        hash_dwta(functions.plan(), draw.normals(128).data(), &a);
        hash_dwta(functions.plan(), draw.normals(128).data(), &b);
        third_position += a == 3 ? 1 : 0;
        equal += a == b ? 1 : 0;
    }
    const double bound = 5 * std::sqrt(kTrials / 8.0 * 7 / 8);
    EXPECT_NEAR(third_position, kTrials / 8.0, bound);
    EXPECT_NEAR(equal, kTrials / 8.0, bound);
}

TEST_P(HashDwta, SeesTheOrderOfValuesOnly) {
    const DwtaFunctions functions(128, 6, 50, 3, 13);
    Draw draw(13);
    Rows rows = normal_rows(draw, 20, 128, 128);
    const Keys keys = keys_of_rows(functions.plan(), rows);
    for (float& x : rows.data) x = x * 0.25F;
    EXPECT_EQ(keys_of_rows(functions.plan(), rows), keys);
}

// Codes 0..7 two bits apart: the released SLIDE reaches 9,556 of its 2^18 buckets, at K = 6.
TEST_P(HashDwta, OverlappingPackingReachesFewBuckets) {
    std::set<std::uint32_t> expected;
    for (std::uint32_t codes = 0; codes < 1U << 18; ++codes) {
        std::uint32_t key = 0;
        for (std::uint32_t j = 0; j < 6; ++j) key = (key << 2) + (codes >> 3 * j & 7);
        expected.insert(key);
    }
    ASSERT_EQ(expected.size(), 9'556U);

    const DwtaFunctions functions(128, 6, 3000, 2, 12);
    Draw draw(12);
    const Rows rows = normal_rows(draw, 32, 128, 128);
    const Keys keys = keys_of_rows(functions.plan(), rows);
    const std::set<std::uint32_t> reached(keys.begin(), keys.end());
    EXPECT_TRUE(std::includes(expected.begin(), expected.end(), reached.begin(), reached.end()));
    EXPECT_GT(reached.size(), 9'000U);
}

}  // namespace
}  // namespace slidekit::kernels::hash_test
