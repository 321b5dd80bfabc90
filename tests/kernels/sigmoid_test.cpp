// Sigmoid, tanh, their gradients and the softmax of one list, against double precision over sweeps
// of all magnitudes that floats have.
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/activation.hpp>

#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::sigmoid_test {
namespace {

using test::Draw;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

class Sigmoid : public test::LevelTest {};
class Tanh : public test::LevelTest {};
class Softmax : public test::LevelTest {};
SLIDEKIT_ON_EACH_LEVEL(Sigmoid);
SLIDEKIT_ON_EACH_LEVEL(Tanh);
SLIDEKIT_ON_EACH_LEVEL(Softmax);

// Every 997th float of both signs, infinities included.
std::vector<float> sweep() {
    std::vector<float> x;
    for (std::uint32_t bits = 0; bits <= std::bit_cast<std::uint32_t>(kInfinity); bits += 997) {
        x.push_back(std::bit_cast<float>(bits));
        x.push_back(-x.back());
    }
    x.push_back(kInfinity);
    x.push_back(-kInfinity);
    return x;
}

// Of the last place that a float near the exact value has; less than normal ones count as 0.
double ulps(float got, double exact) {
    const double magnitude = std::abs(exact);
    if (magnitude < static_cast<double>(std::numeric_limits<float>::min()))
        return std::abs(static_cast<double>(got)) <= 2 * magnitude ? 0 : kNan;
    return std::abs(static_cast<double>(got) - exact) / std::ldexp(1, std::ilogb(exact) - 23);
}

TEST_P(Sigmoid, IsWithinTwoAndAHalfUlpOfAllNumbers) {
    const std::vector<float> x = sweep();
    std::vector<float> y = x;
    sigmoid(y.data(), y.size());
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double error = ulps(y[i], 1 / (1 + std::exp(-static_cast<double>(x[i]))));
        ASSERT_LE(error, 2.5) << x[i] << " gave " << y[i];
        worst = std::max(worst, error);
    }
    RecordProperty("worst_ulp", std::to_string(worst));
}

TEST_P(Tanh, IsWithinTwoAndAHalfUlpOfAllNumbers) {
    const std::vector<float> x = sweep();
    std::vector<float> y = x;
    tanh(y.data(), y.size());
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double exact = std::tanh(static_cast<double>(x[i]));
        const bool tiny = std::abs(exact) < static_cast<double>(std::numeric_limits<float>::min());
        const double error = tiny ? (y[i] == x[i] ? 0 : kNan) : ulps(y[i], exact);
        ASSERT_LE(error, 2.5) << x[i] << " gave " << y[i];
        ASSERT_EQ(std::signbit(y[i]), std::signbit(x[i])) << x[i];
        worst = std::max(worst, error);
    }
    RecordProperty("worst_ulp", std::to_string(worst));
}

TEST_P(Sigmoid, AndTanhKeepNan) {
    std::vector<float> x(20, kNan), y(20, kNan);
    sigmoid(x.data(), x.size());
    tanh(y.data(), y.size());
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_TRUE(std::isnan(x[i]) && std::isnan(y[i]));
}

TEST_P(Sigmoid, GradientIsTheSlopeOfTheCurve) {
    constexpr double kStep = 1e-4;
    const auto curve = [](double t) { return 1 / (1 + std::exp(-t)); };
    Draw draw(1);
    const std::vector<float> x = draw.normals(133);
    std::vector<float> y = x, gradient(x.size(), 2.0F);
    sigmoid(y.data(), y.size());
    sigmoid_gradient(y.data(), gradient.data(), y.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto t = static_cast<double>(x[i]);
        EXPECT_NEAR(gradient[i], (curve(t + kStep) - curve(t - kStep)) / kStep, 1e-6);
    }
}

TEST_P(Tanh, GradientIsTheSlopeOfTheCurve) {
    constexpr double kStep = 1e-4;
    Draw draw(2);
    const std::vector<float> x = draw.normals(133);
    std::vector<float> y = x, gradient(x.size(), 2.0F);
    tanh(y.data(), y.size());
    tanh_gradient(y.data(), gradient.data(), y.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto t = static_cast<double>(x[i]);
        EXPECT_NEAR(gradient[i], (std::tanh(t + kStep) - std::tanh(t - kStep)) / kStep, 1e-6);
    }
}

TEST_P(Softmax, AgreesWithDoublePrecisionWhereExponentialsOverflow) {
    Draw draw(3);
    for (const std::size_t count : {1U, 16U, 77U, 300U}) {
        std::vector<float> x = draw.normals(count);
        for (float& value : x) value = 1000 + 10 * value;
        std::vector<double> e;
        double sum = 0;
        for (const float value : x)
            sum += e.emplace_back(std::exp(static_cast<double>(value) - 1000));
        const float log_sum = softmax(x.data(), count);
        EXPECT_NEAR(log_sum, 1000 + std::log(sum), 1000 * kEpsilon);
        for (std::size_t i = 0; i < count; ++i)
            EXPECT_NEAR(x[i], e[i] / sum, 400 * kEpsilon * e[i] / sum + 1e-37);
    }
}

TEST_P(Softmax, OfNothingOrMinusInfinitiesIsZero) {
    EXPECT_EQ(softmax(nullptr, 0), -kInfinity);
    std::vector<float> x(20, -kInfinity);
    EXPECT_EQ(softmax(x.data(), x.size()), -kInfinity);
    EXPECT_EQ(x, std::vector<float>(20, 0.0F));
}

}  // namespace
}  // namespace slidekit::kernels::sigmoid_test
