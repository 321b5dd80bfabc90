// SimHash by bytes against SimHash by terms, and projections that are kept against fresh ones.
#include <slidekit/kernels/projections.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::projections_test {
namespace {

using test::Draw;
using test::SimHashFunctions;

class HashSimhashByBytes : public test::LevelTest {};
class Projections : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(HashSimhashByBytes);
SLIDEKIT_ON_EACH_LEVEL(Projections);

using Keys = std::vector<std::uint32_t>;

constexpr float kEpsilon = std::numeric_limits<float>::epsilon();

Keys keys_of(const SimHashPlan& plan, const std::vector<float>& x) {
    Keys keys(plan.l);
    hash_simhash(plan, x.data(), keys.data());
    return keys;
}

void expect_same_keys(const SimHashFunctions& functions, const std::vector<float>& x) {
    EXPECT_EQ(keys_of(functions.plan(), x), keys_of(functions.plan_of_terms(), x));
}

std::vector<float> projections_of(const SimHashFunctions& functions, const std::vector<float>& x) {
    std::vector<float> projections(std::size_t{functions.plan().k} * functions.plan().l);
    project_simhash(functions.plan(), x.data(), projections.data());
    return projections;
}

// Widths and numbers of terms about the limits of bytes, and projections about the ends of words.
TEST_P(HashSimhashByBytes, AgreesWithTermsOnEveryShape) {
    Draw draw(1);
    for (const std::uint32_t dim : {1U, 3U, 4U, 5U, 63U, 128U, 130U, 300U, 511U, 512U, 513U}) {
        for (const std::uint32_t nonzeros : {1U, 43U, 126U, 127U, 128U}) {
            for (const std::uint32_t l : {1U, 16U, 17U, 63U, 64U, 65U, 1023U, 1100U}) {
                if (nonzeros > dim) continue;
                SCOPED_TRACE(testing::Message() << dim << ' ' << nonzeros << ' ' << l);
                expect_same_keys({dim, 1, l, nonzeros, l}, draw.normals(dim));
            }
        }
    }
}

TEST_P(HashSimhashByBytes, AgreesWithTermsOnManyVectors) {
    const SimHashFunctions functions(128, 9, 50, 43, 2);
    Draw draw(2);
    for (int i = 0; i < 3000; ++i) {
        std::vector<float> x = draw.normals(128);
        for (float& value : x) value = i % 2 == 0 && value < 0 ? 0 : value;
        expect_same_keys(functions, x);
    }
}

// Sums that vanish, or all but: whole numbers, one large coordinate among small ones, and values
// whose rounding to bytes goes one way.
TEST_P(HashSimhashByBytes, AgreesWithTermsNextToZero) {
    const SimHashFunctions functions(128, 9, 50, 43, 3);
    Draw draw(3);
    for (int i = 0; i < 200; ++i) {
        std::vector<float> whole(128);
        std::vector<float> small = draw.normals(128);
        std::vector<float> halves(128);
        for (float& value : whole) value = static_cast<float>(draw.below(3)) - 1;
        for (float& value : small) value *= 1e-3F;
        small[draw.below(128)] = 1;
        for (float& value : halves) value = draw.below(2) == 0 ? 0.4999F : 1.5001F;
        halves[draw.below(128)] = 127;
        expect_same_keys(functions, whole);
        expect_same_keys(functions, small);
        expect_same_keys(functions, halves);
    }
}

TEST_P(HashSimhashByBytes, AgreesWithTermsAtTheEndsOfTheFloats) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    const SimHashFunctions functions(128, 9, 50, 43, 4);
    Draw draw(4);
    for (const float scale : {0.0F, 1e-45F, 1e-38F, 9e-31F, 1.1e-30F, 9e29F, 1.1e30F, 1e38F}) {
        std::vector<float> x = draw.normals(128);
        for (float& value : x) value *= scale;
        expect_same_keys(functions, x);
    }
    for (const float bad : {kInfinity, -kInfinity, kNan, -kNan, 3e38F, 1e-45F}) {
        std::vector<float> x = draw.normals(128);
        x[draw.below(128)] = bad;
        expect_same_keys(functions, x);
    }
}

TEST_P(Projections, AreExpandedTermByTerm) {
    const SimHashFunctions functions(10, 3, 7, 4, 5);
    const SimHashPlan plan = functions.plan();
    for (std::size_t bit = 0; bit < 21; ++bit) {
        std::vector<int> row(16);
        for (std::size_t j = 0; j < 4; ++j) {
            const std::size_t term = plan.terms[bit * 4 + j];
            const int sign = term < 10 ? 1 : -1;
            row[term % 10] += sign;
            row[12] -= sign;
        }
        for (std::size_t c = 0; c < 16; ++c) {
            const std::size_t at = ((bit / 16 * 4 + c / 4) * 16 + bit % 16) * 4 + c % 4;
            EXPECT_EQ(plan.coefficients[at], row[c]) << bit << ' ' << c;
        }
    }
    EXPECT_EQ(simhash_coefficients(10, 21), 2U * 4U * 64U);
}

TEST_P(Projections, HaveTheSignsOfTheKeys) {
    const SimHashFunctions functions(128, 9, 50, 43, 6);
    Draw draw(6);
    const std::vector<float> x = draw.normals(128);
    Keys keys(50);
    hash_projections(projections_of(functions, x).data(), nullptr, 9, 50, keys.data());
    EXPECT_EQ(keys, keys_of(functions.plan(), x));
}

// Whole numbers: centred sums are exact.
TEST_P(Projections, AreCentredByThoseOfTheCentre) {
    const SimHashFunctions functions(100, 7, 30, 33, 7);
    Draw draw(7);
    std::vector<float> x(100);
    std::vector<float> centre(100);
    std::vector<float> less(100);
    for (std::size_t c = 0; c < 100; ++c) {
        x[c] = static_cast<float>(draw.below(1000));
        centre[c] = static_cast<float>(draw.below(1000));
        less[c] = x[c] - centre[c];
    }
    Keys keys(30);
    hash_projections(projections_of(functions, x).data(),
                     projections_of(functions, centre).data(),
                     7,
                     30,
                     keys.data());
    EXPECT_EQ(keys, keys_of(functions.plan(), less));
}

TEST_P(Projections, CodeZeroAndNanAsZero) {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    const float projections[] = {1, 0, -0.0F, kNan, -1, 1e-45F};
    std::uint32_t key = 0;
    hash_projections(projections, nullptr, 6, 1, &key);
    EXPECT_EQ(key, 0b100001U);
}

TEST_P(Projections, UpdatedByWholeNumbersAreThoseOfTheChangedVector) {
    for (const std::uint32_t l : {1U, 8U, 15U, 16U, 17U, 100U, 150U}) {
        const SimHashFunctions functions(70, 3, l, 23, l);
        Draw draw(l);
        std::vector<float> x(70);
        for (float& value : x) value = static_cast<float>(draw.below(1000)) - 500;
        std::vector<float> projections = projections_of(functions, x);
        std::vector<std::uint32_t> ids;
        std::vector<float> values;
        for (int i = 0; i < 20; ++i) {  // repeats add up
            ids.push_back(static_cast<std::uint32_t>(draw.below(70)));
            values.push_back(static_cast<float>(draw.below(100)) - 50);
            x[ids.back()] += values.back();
        }
        update_projections(
            functions.projections(), {ids.data(), values.data(), ids.size()}, projections.data());
        EXPECT_EQ(projections, projections_of(functions, x));
    }
}

// Of n updates each rounds by half a unit of the sum at most, as do the terms of a fresh
// projection.
TEST_P(Projections, DriftByARoundingAnUpdate) {
    constexpr int kUpdates = 500;
    const SimHashFunctions functions(128, 9, 50, 43, 9);
    Draw draw(9);
    std::vector<float> x = draw.normals(128);
    std::vector<double> exact_x(x.begin(), x.end());
    std::vector<float> projections = projections_of(functions, x);
    for (int i = 0; i < kUpdates; ++i) {
        const auto id = static_cast<std::uint32_t>(draw.below(128));
        const float value = draw.normal() * 0.1F;
        exact_x[id] += double{value};
        update_projections(functions.projections(), {&id, &value, 1}, projections.data());
    }
    double magnitudes = 0;
    for (const double value : exact_x) magnitudes += std::abs(value);
    const SimHashPlan plan = functions.plan();
    for (std::size_t bit = 0; bit < projections.size(); ++bit) {
        double exact = 0;
        for (std::size_t j = 0; j < 43; ++j) {
            const std::size_t c = plan.terms[bit * 43 + j];
            exact += c < 128 ? exact_x[c] : -exact_x[c - 128];
        }
        EXPECT_NEAR(double{projections[bit]}, exact, (kUpdates + 43) * kEpsilon / 2 * magnitudes);
    }
}

}  // namespace
}  // namespace slidekit::kernels::projections_test
