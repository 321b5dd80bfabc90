// How often codes of two vectors agree, against the formula of each family.
//
// Seeds are fixed, so a test gives one number for ever. Trials are independent functions, so the
// share that agrees has the standard deviation sqrt(p (1 - p) / n), and five of these are allowed:
// a correct kernel misses them once in two million seeds. Every level gives the same bits
// (levels_test.cpp): one level is enough here.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/doph.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/pstable.hpp>

#include "hash_functions.hpp"
#include "set_hash_functions.hpp"

namespace slidekit::kernels::collision_test {
namespace {

using test::Draw;
using test::DwtaFunctions;
using test::PStableFunctions;
using test::SimHashFunctions;
using test::Stable;

using Keys = std::vector<std::uint32_t>;
using Vector = std::vector<float>;

const double kPi = std::acos(-1.0);

double bound(double p, std::size_t trials) {
    return 5 * std::sqrt(p * (1 - p) / static_cast<double>(trials));
}

double share_equal(const Keys& a, const Keys& b) {
    std::size_t equal = 0;
    for (std::size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i] ? 1U : 0U;
    return static_cast<double>(equal) / static_cast<double>(a.size());
}

// A vector whose correlation with x is about `share`.
Vector relative(Draw& draw, const Vector& x, float share) {
    Vector y = draw.normals(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
        y[i] = share * x[i] + std::sqrt(1 - share * share) * y[i];
    return y;
}

double angle(const Vector& x, const Vector& y) {
    double xx = 0;
    double yy = 0;
    double xy = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        xx += double{x[i]} * double{x[i]};
        yy += double{y[i]} * double{y[i]};
        xy += double{x[i]} * double{y[i]};
    }
    return std::acos(xy / std::sqrt(xx * yy));
}

// --- SimHash

Keys simhash_codes(const SimHashFunctions& functions, std::size_t bits, const Vector& x) {
    Keys codes(bits);
    hash_simhash(functions.plan(), x.data(), codes.data());
    return codes;
}

// A sum of 200 signs among 600 is normal but for an excess of the order of 1/200, which moves the
// probability by less than a tenth of the bound.
TEST(CollisionOfSimhash, FollowsTheAngle) {
    constexpr std::uint32_t kBits = 10'000;
    const SimHashFunctions functions(600, 1, kBits, 200, 21);
    Draw draw(21);
    const Vector x = draw.normals(600);
    for (const float share : {-0.9F, -0.3F, 0.0F, 0.4F, 0.8F, 0.97F}) {
        const Vector y = relative(draw, x, share);
        const double p = 1 - angle(x, y) / kPi;
        EXPECT_NEAR(
            share_equal(simhash_codes(functions, kBits, x), simhash_codes(functions, kBits, y)),
            p,
            bound(p, kBits))
            << share;
    }
}

// All projections of three signs among eight coordinates: 56 choices, 8 patterns of signs.
double simhash_probability(const Vector& x, const Vector& y) {
    std::size_t agree = 0;
    std::size_t all = 0;
    for (unsigned chosen = 0; chosen < 256; ++chosen) {
        if (std::popcount(chosen) != 3) continue;
        for (unsigned signs = 0; signs < 8; ++signs, ++all) {
            double sums[2] = {0, 0};
            unsigned sign = signs;
            for (std::size_t c = 0; c < 8; ++c) {
                if ((chosen >> c & 1) == 0) continue;
                const double factor = (sign & 1) != 0 ? 1 : -1;
                sums[0] += factor * double{x[c]};
                sums[1] += factor * double{y[c]};
                sign >>= 1;
            }
            agree += (sums[0] > 0) == (sums[1] > 0) ? 1U : 0U;
        }
    }
    return static_cast<double>(agree) / static_cast<double>(all);
}

TEST(CollisionOfSimhash, IsThatOfAllSparseProjections) {
    constexpr std::uint32_t kBits = 20'000;
    const SimHashFunctions functions(8, 1, kBits, 3, 22);
    Draw draw(22);
    for (const float share : {0.0F, 0.5F, 0.9F}) {
        const Vector x = draw.normals(8);
        const Vector y = relative(draw, x, share);
        const double p = simhash_probability(x, y);
        EXPECT_NEAR(
            share_equal(simhash_codes(functions, kBits, x), simhash_codes(functions, kBits, y)),
            p,
            bound(p, kBits))
            << share;
    }
}

// --- DWTA

constexpr std::size_t kDwtaTrials = 4000;

// Of one bin each of as many functions.
double dwta_share(const Vector& x, const Vector& y) {
    std::size_t equal = 0;
    for (std::size_t seed = 0; seed < kDwtaTrials; ++seed) {
        const DwtaFunctions functions(static_cast<std::uint32_t>(x.size()), 1, 1, 3, seed);
        std::uint32_t a = 0;
        std::uint32_t b = 0;
        hash_dwta(functions.plan(), x.data(), &a);
        hash_dwta(functions.plan(), y.data(), &b);
        equal += a == b ? 1U : 0U;
    }
    return static_cast<double>(equal) / kDwtaTrials;
}

std::size_t winner(const Vector& x, unsigned chosen) {
    std::size_t best = x.size();
    for (std::size_t c = 0; c < x.size(); ++c) {
        if ((chosen >> c & 1) != 0 && (best == x.size() || x[c] > x[best])) best = c;
    }
    return best;
}

// The ordinal similarity of two vectors: in how many of all choices of 8 coordinates the same one
// is largest.
double dwta_probability(const Vector& x, const Vector& y) {
    std::size_t agree = 0;
    std::size_t all = 0;
    for (unsigned chosen = 0; chosen < 1U << x.size(); ++chosen) {
        if (std::popcount(chosen) != 8) continue;
        ++all;
        agree += winner(x, chosen) == winner(y, chosen) ? 1U : 0U;
    }
    return static_cast<double>(agree) / static_cast<double>(all);
}

TEST(CollisionOfDwta, IsThatOfAllBins) {
    Draw draw(23);
    for (const float share : {0.0F, 0.5F, 0.9F, 0.99F}) {
        const Vector x = draw.normals(14);
        const Vector y = relative(draw, x, share);
        const double p = dwta_probability(x, y);
        EXPECT_NEAR(dwta_share(x, y), p, bound(p, kDwtaTrials)) << share;
    }
}

// With ties, of which the lowest coordinate wins: what ReLU makes of activations.
TEST(CollisionOfDwta, IsThatOfAllBinsOfRectifiedVectors) {
    Draw draw(24);
    for (const float share : {0.3F, 0.9F}) {
        Vector x = draw.normals(14);
        Vector y = relative(draw, x, share);
        for (float& value : x) value = std::max(value, 0.0F);
        for (float& value : y) value = std::max(value, 0.0F);
        const double p = dwta_probability(x, y);
        EXPECT_NEAR(dwta_share(x, y), p, bound(p, kDwtaTrials)) << share;
    }
}

TEST(CollisionOfDwta, IsOneInEightForUnrelatedVectors) {
    constexpr std::size_t kTrials = 20'000;
    const DwtaFunctions functions(64, 1, 1, 3, 25);
    Draw draw(25);
    std::size_t equal = 0;
    for (std::size_t i = 0; i < kTrials; ++i) {
        std::uint32_t a = 0;
        std::uint32_t b = 0;
        hash_dwta(functions.plan(), draw.normals(64).data(), &a);
        hash_dwta(functions.plan(), draw.normals(64).data(), &b);
        equal += a == b ? 1U : 0U;
    }
    EXPECT_NEAR(static_cast<double>(equal) / kTrials, 1 / 8.0, bound(1 / 8.0, kTrials));
}

TEST(CollisionOfDwta, IsCertainForMonotoneTransforms) {
    Draw draw(26);
    const DwtaFunctions functions(128, 6, 50, 3, 26);
    const Vector x = draw.normals(128);
    Vector y = x;
    for (float& value : y) value = 4 * value * std::abs(value) - 1;
    Keys a(50);
    Keys b(50);
    hash_dwta(functions.plan(), x.data(), a.data());
    hash_dwta(functions.plan(), y.data(), b.data());
    EXPECT_EQ(a, b);
}

// --- DOPH

struct Sets {
    std::size_t shared;
    std::size_t own;  // of each
    [[nodiscard]] double jaccard() const {
        return static_cast<double>(shared) / static_cast<double>(shared + 2 * own);
    }
};

// Codes of one permutation are not independent, but their mean varies no more than one of them:
// trials are permutations.
double doph_share(Draw& draw, const Sets& sets, std::uint32_t bins, std::size_t permutations) {
    Keys a(bins);
    Keys b(bins);
    Vector scratch(doph_scratch_floats(1, bins, 0));
    double sum = 0;
    for (std::size_t i = 0; i < permutations; ++i) {
        Keys ids;
        for (std::size_t n = 0; n < sets.shared + 2 * sets.own; ++n)
            ids.push_back(static_cast<std::uint32_t>(n * 1009 + draw.below(1009)));
        const DophPlan plan{
            .k = 1, .l = bins, .bits = 32, .seed = static_cast<std::uint32_t>(draw.bits())};
        const std::size_t size = sets.shared + sets.own;
        hash_doph_set(plan, ids.data(), size, a.data(), scratch.data());
        hash_doph_set(plan, ids.data() + sets.own, size, b.data(), scratch.data());
        sum += share_equal(a, b);
    }
    return sum / static_cast<double>(permutations);
}

TEST(CollisionOfDoph, IsTheJaccardSimilarity) {
    constexpr std::size_t kPermutations = 3000;
    Draw draw(27);
    // Bins mostly empty, mostly filled, and all but one of them empty.
    for (const std::uint32_t bins : {300U, 16U, 1000U}) {
        for (const Sets& sets : {Sets{50, 25}, Sets{10, 65}, Sets{70, 5}, Sets{1, 1}, Sets{0, 9}}) {
            const double p = sets.jaccard();
            EXPECT_NEAR(
                doph_share(draw, sets, bins, kPermutations), p, bound(p, kPermutations) + 1e-9)
                << bins << " bins, " << sets.shared << " shared, " << sets.own << " own";
        }
    }
}

// --- L2 and L1

double l2_probability(double c, double w) {
    const double phi = std::erfc(w / c / std::sqrt(2.0)) / 2;  // below -w/c
    return 1 - 2 * phi - 2 * c / (std::sqrt(2 * kPi) * w) * (1 - std::exp(-w * w / (2 * c * c)));
}

double l1_probability(double c, double w) {
    return 2 / kPi * std::atan(w / c) - c / (kPi * w) * std::log(1 + w * w / (c * c));
}

constexpr std::uint32_t kProjections = 20'000;
constexpr std::uint32_t kStableDim = 24;
constexpr float kWidth = 4;

// A key of one code is a permutation of it: equal keys, equal codes.
double pstable_share(const PStableFunctions& functions, const Vector& x, const Vector& y) {
    Keys a(kProjections);
    Keys b(kProjections);
    hash_pstable(functions.plan(), x.data(), a.data());
    hash_pstable(functions.plan(), y.data(), b.data());
    return share_equal(a, b);
}

// At distances from far below the width to above it; `norm` is what a coordinate adds to them. A
// sum of 24 products of twelve uniforms each is normal to within a thirtieth of the bound, and a
// quotient of uniforms of the disc is Cauchy.
template <class Norm>
void expect_curve(Stable law, Norm norm, double (*probability)(double, double)) {
    const PStableFunctions functions(kStableDim, 1, kProjections, 32, kWidth, law, 28);
    Draw draw(28);
    for (const float step : {0.05F, 0.2F, 0.5F, 1.0F, 3.0F}) {
        const Vector x = draw.normals(kStableDim);
        Vector y = draw.normals(kStableDim);
        double distance = 0;
        for (std::size_t c = 0; c < kStableDim; ++c) {
            y[c] = x[c] + step * y[c];
            distance += norm(double{y[c]} - double{x[c]});
        }
        if (law == Stable::normal) distance = std::sqrt(distance);
        const double p = probability(distance, double{kWidth});
        EXPECT_NEAR(pstable_share(functions, x, y), p, bound(p, kProjections)) << distance;
    }
}

TEST(CollisionOfPstable, FollowsTheCurveOfTheL2Distance) {
    expect_curve(
        Stable::normal, [](double d) { return d * d; }, l2_probability);
}

TEST(CollisionOfPstable, FollowsTheCurveOfTheL1Distance) {
    expect_curve(
        Stable::cauchy, [](double d) { return std::abs(d); }, l1_probability);
}

}  // namespace
}  // namespace slidekit::kernels::collision_test
