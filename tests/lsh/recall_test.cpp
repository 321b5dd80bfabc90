// Hash, build, look up: how often a neighbour at a known angle is found, against the theory.
//
// One code of SimHash collides with probability p = 1 - angle / pi (Charikar 2002), so one of L
// tables of K codes does with 1 - (1 - p^K)^L. Each trial draws functions and vectors of its own:
// trials are independent, and the number of those that find the neighbour is binomial.
#include <slidekit/lsh/candidates.hpp>
#include <slidekit/lsh/family.hpp>
#include <slidekit/lsh/tables.hpp>

#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::lsh::recall_test {
namespace {

constexpr std::uint32_t kDim = 96;
constexpr std::uint32_t kNeighbour = 17;
constexpr std::uint32_t kRows = 40;

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

Vector unit_vector(system::Stream& stream) {
    Vector x(kDim);
    for (double& value : x) value = static_cast<double>(stream.normal());
    const double length = std::sqrt(dot(x, x));
    for (double& value : x) value /= length;
    return x;
}

// A unit vector at `angle` from the unit vector x.
Vector at_angle(const Vector& x, double angle, system::Stream& stream) {
    Vector aside = unit_vector(stream);
    const double along = dot(aside, x);
    for (std::size_t c = 0; c < kDim; ++c) aside[c] -= along * x[c];
    const double length = std::sqrt(dot(aside, aside));
    Vector y(kDim);
    for (std::size_t c = 0; c < kDim; ++c)
        y[c] = std::cos(angle) * x[c] + std::sin(angle) * aside[c] / length;
    return y;
}

// The query, then kRows rows, of which kNeighbour is at `angle` from the query.
std::vector<float> draw_points(double angle, std::uint64_t trial) {
    system::Stream stream(1, system::Purpose::test, trial);
    const Vector query = unit_vector(stream);
    std::vector<float> points(query.begin(), query.end());
    for (std::uint32_t row = 0; row < kRows; ++row) {
        const Vector x = row == kNeighbour ? at_angle(query, angle, stream) : unit_vector(stream);
        points.insert(points.end(), x.begin(), x.end());
    }
    return points;
}

double share_found(std::uint32_t k, std::uint32_t l, double angle, std::uint32_t trials) {
    system::Runtime runtime({.threads = 1});
    Tables tables(runtime, {.tables = l, .key_bits = k, .capacity = kRows, .bucket_cap = 0});
    Candidates candidates(kRows, Candidates::Counting::off);
    std::vector<float> scratch(kernels::hash_scratch_floats(kDim));
    std::vector<std::uint32_t> ids(kRows);
    std::iota(ids.begin(), ids.end(), 0U);
    std::vector<std::uint32_t> row_keys(std::size_t{kRows} * l);
    std::vector<std::uint32_t> query_keys(l);
    std::uint32_t found = 0;
    for (std::uint32_t trial = 0; trial < trials; ++trial) {
        const Family family({.family = HashFamily::simhash, .k = k, .l = l, .seed = trial}, kDim);
        const std::vector<float> points = draw_points(angle, trial);
        family.hash_rows(
            {points.data(), 1, kDim, kDim}, nullptr, query_keys.data(), {l, 1}, scratch.data());
        family.hash_rows({points.data() + kDim, kRows, kDim, kDim},
                         nullptr,
                         row_keys.data(),
                         {1, kRows},
                         scratch.data());
        tables.rebuild(runtime.executor(), ids, row_keys.data(), kRows, trial);
        candidates.collect(tables, query_keys);
        found += candidates.contains(kNeighbour) ? 1 : 0;
    }
    return static_cast<double>(found) / trials;
}

TEST(Recall, IsWhatTheAnglesSay) {
    constexpr std::uint32_t kTrials = 800;
    struct Case {
        std::uint32_t k;
        std::uint32_t l;
        double angle;  // in units of pi
    };
    for (const Case c : {Case{1, 1, 0.25},
                         Case{4, 1, 0.2},
                         Case{4, 10, 0.3},
                         Case{8, 20, 0.25},
                         Case{9, 30, 0.4}}) {
        const double expected = 1 - std::pow(1 - std::pow(1 - c.angle, c.k), c.l);
        const double bound = 4 * std::sqrt(expected * (1 - expected) / kTrials);
        EXPECT_NEAR(share_found(c.k, c.l, c.angle * std::numbers::pi, kTrials), expected, bound)
            << "K = " << c.k << ", L = " << c.l << ", angle " << c.angle << " pi";
    }
}

}  // namespace
}  // namespace slidekit::lsh::recall_test
