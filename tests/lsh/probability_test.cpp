// The law of retrieval against tables that are really built: an estimator divides by it.
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/lsh/candidates.hpp>
#include <slidekit/lsh/family.hpp>
#include <slidekit/lsh/probability.hpp>
#include <slidekit/lsh/tables.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::lsh::probability_test {
namespace {

constexpr std::uint32_t kDim = 64;
constexpr std::uint32_t kRows = 500;

std::vector<float> normals(std::size_t count, std::uint64_t index) {
    system::Stream stream(11, system::Purpose::test, index);
    std::vector<float> values(count);
    for (float& value : values) value = stream.normal();
    return values;
}

double dot(const float* a, const float* b) {
    return std::inner_product(a, a + kDim, b, 0.0, std::plus<>(), [](float x, float y) {
        return static_cast<double>(x) * static_cast<double>(y);
    });
}

TEST(RetrievalProbability, KnowsItsEnds) {
    EXPECT_DOUBLE_EQ(simhash_collision(1), 1);
    EXPECT_DOUBLE_EQ(simhash_collision(0), 0.5);
    EXPECT_DOUBLE_EQ(simhash_collision(-1), 0);
    EXPECT_DOUBLE_EQ(retrieval_probability(1, 12, 50), 1);
    EXPECT_DOUBLE_EQ(retrieval_probability(-1, 12, 50), 0);
    EXPECT_NEAR(retrieval_probability(0, 3, 2), 1 - std::pow(1 - 0.125, 2), 1e-12);
    EXPECT_NEAR(
        retrieval_probability(-0.99, 20, 1) / std::pow(simhash_collision(-0.99), 20), 1, 1e-9);
}

// sum over the candidates of e^z / q, with a draw of functions each time: its mean is the sum over
// all rows of e^z (partition functions, arXiv 1703.05160, section 3).
TEST(RetrievalProbability, MakesTheEstimateOfAPartitionFunctionUnbiased) {
    constexpr std::uint32_t kK = 4;
    constexpr std::uint32_t kL = 8;
    constexpr int kDraws = 400;
    const std::vector<float> rows = normals(std::size_t{kRows} * kDim, 0);
    const std::vector<float> query = normals(kDim, 1);
    std::vector<double> term(kRows), probability(kRows);
    for (std::uint32_t i = 0; i < kRows; ++i) {
        const float* row = rows.data() + std::size_t{i} * kDim;
        const double product = dot(row, query.data());
        term[i] = std::exp(product / 8);
        probability[i] = retrieval_probability(
            product / std::sqrt(dot(row, row) * dot(query.data(), query.data())), kK, kL);
    }
    const double truth = std::accumulate(term.begin(), term.end(), 0.0);

    system::Runtime runtime({.threads = 1});
    Tables tables(runtime,
                  {.tables = kL, .key_bits = kK, .capacity = kRows, .bucket_cap = 0, .seed = 1});
    Candidates candidates(kRows, Candidates::Counting::off);
    std::vector<std::uint32_t> ids(kRows);
    std::iota(ids.begin(), ids.end(), 0U);
    std::vector<float> scratch(kernels::hash_scratch_floats(kDim));
    double sum = 0, squares = 0;
    for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
        const Family family({.k = kK, .l = kL, .seed = draw}, kDim);
        std::vector<std::uint32_t> keys(std::size_t{kRows} * kL), own(kL);
        family.hash_rows({rows.data(), kRows, kDim, kDim},
                         nullptr,
                         keys.data(),
                         {.row_stride = 1, .table_stride = kRows},
                         scratch.data());
        family.hash_rows({query.data(), 1, kDim, kDim},
                         nullptr,
                         own.data(),
                         {.row_stride = kL, .table_stride = 1},
                         scratch.data());
        tables.rebuild(runtime.executor(), ids, keys.data(), kRows, draw);
        double estimate = 0;
        for (const std::uint32_t id : candidates.collect(tables, own))
            estimate += term[id] / probability[id];
        sum += estimate;
        squares += estimate * estimate;
    }
    const double mean = sum / kDraws;
    const double deviation = std::sqrt((squares / kDraws - mean * mean) / kDraws);
    // Sparse projections obey the law only nearly: a percent beside four deviations of the mean.
    EXPECT_NEAR(mean, truth, 4 * deviation + 0.01 * truth);
    EXPECT_LT(deviation, 0.05 * truth);
}

}  // namespace
}  // namespace slidekit::lsh::probability_test
