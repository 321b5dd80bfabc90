// Structured SimHash: golden keys, the rounds against the matrix that they stand for, special
// values, and what the family promises (collision rate, blocks without relation).
#include <slidekit/kernels/hadamard.hpp>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::hadamard_test {
namespace {

using test::Draw;
using test::HadamardFunctions;
using test::normal_rows;
using test::Rows;

class HashHadamard : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(HashHadamard);

using Keys = std::vector<std::uint32_t>;

Keys keys_of(const HadamardPlan& plan, const float* x) {
    Keys keys(plan.l);
    hash_hadamard(plan, x, keys.data());
    return keys;
}

Keys keys_of_rows(const HadamardPlan& plan, const Rows& rows, const float* centre) {
    Keys keys(rows.rows * plan.l);
    std::vector<float> scratch(hash_scratch_floats(plan.padded));
    hash_hadamard_rows(
        plan, rows.view(), centre, keys.data(), {.row_stride = plan.l}, scratch.data());
    return keys;
}

Keys scalar_keys(const HadamardPlan& plan, const Rows& rows, const float* centre) {
    const Isa level = active_isa();
    select_isa(Isa::scalar);
    const Keys keys = keys_of_rows(plan, rows, centre);
    select_isa(level);
    return keys;
}

// Keys that must never change: see hash_golden_test.cpp.
TEST_P(HashHadamard, KeepsItsGoldenKeys) {
    Draw draw(2020);
    std::vector<float> x = draw.normals(300);
    for (float& value : x) value = value > 0 ? value : 0;
    EXPECT_EQ(keys_of(HadamardFunctions(128, 12, 12, 1).plan(), x.data()),
              (Keys{809, 1822, 1433, 3476, 3801, 2190, 3543, 1768, 215, 1410, 292, 2564}));
    EXPECT_EQ(keys_of(HadamardFunctions(300, 20, 6, 1).plan(), x.data()),
              (Keys{799928, 397687, 220443, 510561, 872811, 235087}));
}

// Entry (i, j) of the transform is -1 to the number of ones that i and j have in common.
TEST_P(HashHadamard, AgreesWithTheMatricesInDoublePrecision) {
    const HadamardFunctions functions(50, 1, 150, 2);
    const HadamardPlan plan = functions.plan();
    Draw draw(2);
    const std::vector<float> x = draw.normals(50);
    const auto round = [&](std::size_t r, const std::vector<double>& in) {
        std::vector<double> out(64);
        for (std::size_t i = 0; i < 64; ++i) {
            for (std::size_t j = 0; j < 64; ++j) {
                const bool flip = plan.signs[r * 64 + j] != 0;
                out[i] += (std::popcount(i & j) % 2 == 1) != flip ? -in[j] : in[j];
            }
        }
        return out;
    };
    std::vector<double> shared(x.begin(), x.end());
    shared.resize(64);
    shared = round(1, round(0, shared));
    const Keys keys = keys_of(plan, x.data());
    for (std::size_t bit = 0; bit < 150; ++bit) {
        const double projection = round(2 + bit / 64, shared)[bit % 64];
        ASSERT_GT(std::abs(projection), 1e-2);  // rounding, at 64^1.5, stays far below
        EXPECT_EQ(keys[bit], projection > 0 ? 1U : 0U) << bit;
    }
}

TEST_P(HashHadamard, AgreesWithOracleOnLongVectors) {
    Draw draw(3);
    for (const std::uint32_t dim : {257U, 512U, 1000U, 2048U, 4095U, 4096U}) {
        SCOPED_TRACE(dim);
        const HadamardFunctions functions(dim, 13, 700, dim);
        const Rows rows = normal_rows(draw, 3, dim, dim + 1);
        const std::vector<float> centre = draw.normals(dim);
        const HadamardPlan plan = functions.plan();
        EXPECT_EQ(keys_of_rows(plan, rows, nullptr), scalar_keys(plan, rows, nullptr));
        EXPECT_EQ(keys_of_rows(plan, rows, centre.data()), scalar_keys(plan, rows, centre.data()));
    }
}

TEST_P(HashHadamard, AgreesWithOracleOnEveryPacking) {
    Draw draw(4);
    for (std::uint32_t k = 1; k <= 24; ++k) {
        for (const std::uint32_t l : {1U, 3U, 16U, 17U, 50U, 1500U}) {
            SCOPED_TRACE(testing::Message() << "K " << k << " L " << l);
            const HadamardFunctions functions(20, k, l, k);
            const Rows rows = normal_rows(draw, 18, 20, 20);
            EXPECT_EQ(keys_of_rows(functions.plan(), rows, nullptr),
                      scalar_keys(functions.plan(), rows, nullptr));
        }
    }
}

TEST_P(HashHadamard, OfRowsIsThatOfEachRow) {
    Draw draw(5);
    const HadamardFunctions functions(100, 9, 50, 5);
    Rows rows = normal_rows(draw, 37, 100, 103);
    const std::vector<float> centre = draw.normals(100);
    const Keys keys = keys_of_rows(functions.plan(), rows, centre.data());
    for (std::size_t r = 0; r < rows.rows; ++r) {
        std::vector<float> less(rows.row(r), rows.row(r) + 100);
        for (std::size_t c = 0; c < 100; ++c) less[c] -= centre[c];
        EXPECT_EQ(Keys(keys.begin() + static_cast<std::ptrdiff_t>(r * 50),
                       keys.begin() + static_cast<std::ptrdiff_t>(r * 50 + 50)),
                  keys_of(functions.plan(), less.data()));
    }
}

TEST_P(HashHadamard, GivesZerosToZeroAndToWhatIsNoNumber) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    const HadamardFunctions functions(40, 24, 20, 6);
    Draw draw(6);
    std::vector<float> x(40);
    EXPECT_EQ(keys_of(functions.plan(), x.data()), Keys(20));
    for (const float bad : {-0.0F, kNan, -kNan, kInfinity, -kInfinity}) {
        x = draw.normals(40);
        if (bad == 0) x.assign(40, bad);
        x[17] = bad;
        EXPECT_EQ(keys_of(functions.plan(), x.data()), Keys(20)) << bad;
    }
}

// Every plan is one draw: the mean over plans errs by the spread of the plans, which is what the
// sample shows, divided by the root of their number; six times it bounds the error all but surely.
// Of sparse vectors the rounds have to make dense ones first.
TEST_P(HashHadamard, CollidesAtTheRateOfTheAngle) {
    constexpr std::size_t kDim = 128;
    constexpr int kPlans = 200;
    for (const double angle : {0.1, 0.5, 1.0, 1.5707963, 2.5}) {
        for (const std::size_t nonzeros : {2U, 128U}) {
            double sum = 0;
            double squares = 0;
            for (int seed = 0; seed < kPlans; ++seed) {
                Draw draw(1000 + static_cast<std::uint64_t>(seed));
                std::vector<float> x(kDim);
                std::vector<float> y(kDim);
                for (std::size_t i = 0; i < nonzeros; i += 2) {  // turned in the planes (i, i + 1)
                    const double a = 6 * double{draw.uniform()};
                    x[i] = static_cast<float>(std::cos(a));
                    x[i + 1] = static_cast<float>(std::sin(a));
                    y[i] = static_cast<float>(std::cos(a + angle));
                    y[i + 1] = static_cast<float>(std::sin(a + angle));
                }
                const HadamardFunctions functions(kDim, 1, 450, draw.bits());
                const Keys a = keys_of(functions.plan(), x.data());
                const Keys b = keys_of(functions.plan(), y.data());
                double equal = 0;
                for (std::size_t i = 0; i < 450; ++i) equal += a[i] == b[i] ? 1.0 / 450 : 0;
                sum += equal;
                squares += equal * equal;
            }
            const double mean = sum / kPlans;
            const double spread = std::sqrt((squares / kPlans - mean * mean) / (kPlans - 1));
            EXPECT_NEAR(mean, 1 - angle / std::acos(-1.0), 6 * spread) << angle << ' ' << nonzeros;
            EXPECT_LT(spread, 2 * std::sqrt(0.25 / 450 / kPlans));
        }
    }
}

// Bits of two random directions correlate by 2 asin(rho) / pi, where rho^2 is 1 / n on average: so
// a square correlation of (2 / pi)^2 / n, and 1 / vectors more by counting. The mean over all pairs
// of bits of two blocks errs by less than a fifth (its parts are 128^2 / 2 degrees of freedom at
// least for directions, and the counts are many more).
TEST_P(HashHadamard, RelatesBlocksNoMoreThanRandomDirections) {
    constexpr std::size_t kDim = 128;
    constexpr std::size_t kVectors = 2048;
    const HadamardFunctions functions(kDim, 1, 2 * kDim, 8);
    Draw draw(8);
    std::vector<Keys> bits;
    for (std::size_t v = 0; v < kVectors; ++v) {
        bits.push_back(keys_of(functions.plan(), draw.normals(kDim).data()));
    }
    double mean_square = 0;
    for (std::size_t i = 0; i < kDim; ++i) {
        for (std::size_t j = kDim; j < 2 * kDim; ++j) {
            double correlation = 0;
            for (const Keys& of_vector : bits) correlation += of_vector[i] == of_vector[j] ? 1 : -1;
            correlation /= kVectors;
            mean_square += correlation * correlation / (kDim * kDim);
        }
    }
    const double pi = std::acos(-1.0);
    const double expected = 4 / (pi * pi) / kDim + 1.0 / kVectors;
    EXPECT_NEAR(mean_square, expected, 0.2 * expected);
}

}  // namespace
}  // namespace slidekit::kernels::hadamard_test
