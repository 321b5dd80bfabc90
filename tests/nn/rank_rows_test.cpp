// 8-bit rank rows: the order of the best candidates hardly differs from that of fp32.
#include "nn/rank_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn::rank_rows_test {
namespace {

// Rows of normal weights with a bias each, and their 8-bit copies.
struct Rows {
    Rows(system::Runtime& runtime, std::uint32_t count, std::uint32_t width)
        : dim(width),
          weights(std::size_t{count} * width),
          bias(count),
          ids(count),
          copies(runtime, count, width) {
        for (std::uint32_t i = 0; i < count; ++i) {
            system::Stream stream(1, system::Purpose::test, i);
            for (std::size_t k = 0; k < dim; ++k) weights[i * dim + k] = 0.1F * stream.normal();
            bias[i] = 0.1F * stream.normal();
            copies.refresh(i, weights.data() + i * dim, bias[i]);
        }
        std::iota(ids.begin(), ids.end(), 0U);
    }

    [[nodiscard]] std::vector<float> exact(const std::vector<float>& activation) const {
        std::vector<float> scores(ids.size());
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const float* row = weights.data() + ids[i] * dim;
            scores[i] = std::inner_product(activation.begin(), activation.end(), row, bias[ids[i]]);
        }
        return scores;
    }
    [[nodiscard]] std::vector<float> rough(const std::vector<float>& activation) const {
        std::vector<std::uint8_t> quantized(dim);
        std::vector<float> scores(ids.size());
        copies.score(activation.data(), ids, quantized.data(), scores.data());
        return scores;
    }

    std::size_t dim;
    std::vector<float> weights;
    std::vector<float> bias;
    std::vector<std::uint32_t> ids;
    RankRows copies;
};

std::vector<float> random_activation(std::size_t dim, std::uint64_t index) {
    system::Stream stream(2, system::Purpose::test, index);
    std::vector<float> activation(dim);
    for (float& value : activation) value = std::max(0.0F, stream.normal());
    return activation;
}

std::vector<std::uint32_t> best(const std::vector<float>& scores, std::size_t count) {
    std::vector<std::uint32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return scores[a] > scores[b];
    });
    order.resize(count);
    std::sort(order.begin(), order.end());
    return order;
}

TEST(RankRows, TopSetOverlapsThatOfFp32ByNineteenInTwenty) {
    system::Runtime runtime({.threads = 1});
    const Rows rows(runtime, 4000, 128);
    for (const std::size_t top : {20U, 200U}) {
        std::size_t shared = 0;
        for (std::uint64_t query = 0; query < 20; ++query) {
            const std::vector<float> activation = random_activation(rows.dim, query);
            const auto exact = best(rows.exact(activation), top);
            const auto rough = best(rows.rough(activation), top);
            std::vector<std::uint32_t> both;
            std::set_intersection(
                exact.begin(), exact.end(), rough.begin(), rough.end(), std::back_inserter(both));
            shared += both.size();
        }
        EXPECT_GE(shared, 20 * top * 95 / 100) << top;
    }
}

// Each weight is off by half a step of its row's largest / 127 at most, each activation likewise.
TEST(RankRows, ScoresAreWithinTheRoundingOfBothFactors) {
    system::Runtime runtime({.threads = 1});
    for (const std::uint32_t dim : {1U, 15U, 16U, 17U, 63U, 64U, 65U, 127U, 129U}) {
        const Rows rows(runtime, 50, dim);
        const std::vector<float> activation = random_activation(dim, dim);
        const float largest = *std::max_element(activation.begin(), activation.end());
        const float total = std::accumulate(activation.begin(), activation.end(), 0.0F);
        const std::vector<float> exact = rows.exact(activation);
        const std::vector<float> rough = rows.rough(activation);
        for (std::size_t i = 0; i < exact.size(); ++i) {
            float peak = 0;
            float sum = 0;
            for (std::size_t k = 0; k < dim; ++k) {
                peak = std::max(peak, std::abs(rows.weights[i * dim + k]));
                sum += std::abs(rows.weights[i * dim + k]);
            }
            const float half_steps = (peak * total + largest * sum) / 254 +
                                     static_cast<float>(dim) * peak * largest / (254 * 254);
            ASSERT_NEAR(rough[i], exact[i], 1.001F * half_steps + 1e-5F) << dim;
        }
    }
}

TEST(RankRows, ZeroRowsAndZeroActivationsScoreTheBias) {
    system::Runtime runtime({.threads = 1});
    Rows rows(runtime, 3, 20);
    const std::vector<float> zeros(rows.dim);
    EXPECT_EQ(rows.rough(zeros), rows.bias);
    for (std::uint32_t id = 0; id < 3; ++id) rows.copies.refresh(id, zeros.data(), rows.bias[id]);
    EXPECT_EQ(rows.rough(random_activation(rows.dim, 1)), rows.bias);
}

TEST(RankRows, RefreshReplacesOneRowAlone) {
    system::Runtime runtime({.threads = 1});
    Rows rows(runtime, 3, 20);
    const std::vector<float> activation = random_activation(rows.dim, 1);
    const std::vector<float> before = rows.rough(activation);
    rows.copies.refresh(1, rows.weights.data(), rows.bias[1]);
    const std::vector<float> after = rows.rough(activation);
    EXPECT_EQ(after[0], before[0]);
    EXPECT_EQ(after[2], before[2]);
    EXPECT_NEAR(after[1] - rows.bias[1], before[0] - rows.bias[0], 1e-5);
}

}  // namespace
}  // namespace slidekit::nn::rank_rows_test
