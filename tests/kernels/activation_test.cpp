// ReLU and softmax: against exponentials in double precision, with NaN, -0 and infinities where a
// contract speaks of them.
#include <slidekit/kernels/activation.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "guarded_buffer.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::activation_test {
namespace {

using test::Draw;
using test::Guard;
using test::GuardedBuffer;
using test::GuardedMatrix;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
// Results below the least normal number may become 0.
constexpr double kTiny = std::numeric_limits<float>::min();

class Relu : public test::LevelTest {};
class MaxValue : public test::LevelTest {};
class ExpSum : public test::LevelTest {};
class SoftmaxColumns : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(Relu);
SLIDEKIT_ON_EACH_LEVEL(MaxValue);
SLIDEKIT_ON_EACH_LEVEL(ExpSum);
SLIDEKIT_ON_EACH_LEVEL(SoftmaxColumns);

TEST_P(Relu, ClearsAllButPositiveNumbers) {
    Draw draw(1);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            const GuardedBuffer<float> x(draw.normals(dim), guard);
            for (std::size_t k = 0; k < dim; k += 5) x[k] = k % 2 == 0 ? kNan : -0.0F;
            const std::vector<float> before = x.values();
            relu(x.data(), dim);
            for (std::size_t k = 0; k < dim; ++k) {
                EXPECT_EQ(x[k], before[k] > 0 ? before[k] : 0.0F) << "dim " << dim << ", at " << k;
                EXPECT_FALSE(std::signbit(x[k]));
            }
        }
    }
}

TEST_P(Relu, GradientPassesOnlyWhereActive) {
    Draw draw(2);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            const GuardedBuffer<float> activation(draw.normals(dim), guard);
            relu(activation.data(), dim);
            const GuardedBuffer<float> gradient(draw.normals(dim), guard);
            for (std::size_t k = 0; k < dim; k += 7)
                gradient[k] = activation[k] > 0 ? gradient[k] : kNan;
            const std::vector<float> before = gradient.values();
            relu_gradient(activation.data(), gradient.data(), dim);
            for (std::size_t k = 0; k < dim; ++k)
                EXPECT_EQ(gradient[k], activation[k] > 0 ? before[k] : 0.0F);
        }
    }
}

TEST_P(MaxValue, PassesOverNanOnEveryTail) {
    Draw draw(3);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t count : test::kTailLengths) {
            const GuardedBuffer<float> x(draw.normals(count), guard);
            for (float& value : x) value -= 100;
            float largest = -kInfinity;
            for (std::size_t i = 0; i < count; ++i) {
                if (i % 3 == 1) x[i] = kNan;
                if (x[i] > largest) largest = x[i];
            }
            EXPECT_EQ(max_value(x.data(), count), largest) << "count " << count;
        }
    }
}

TEST_P(MaxValue, OfNothingOrOnlyNanIsMinusInfinity) {
    EXPECT_EQ(max_value(nullptr, 0), -kInfinity);
    const std::vector<float> nans(21, kNan);
    EXPECT_EQ(max_value(nans.data(), nans.size()), -kInfinity);
}

TEST_P(ExpSum, StaysWithinFourUlpOnEveryTail) {
    Draw draw(4);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t count : test::kTailLengths) {
            const GuardedBuffer<float> x(count, guard);
            for (float& value : x) value = 45 * (draw.uniform() - 1);  // down to -90
            const std::vector<float> before = x.values();
            const float sum = exp_sum(x.data(), count, 1.5F);
            double exact = 0;
            for (std::size_t i = 0; i < count; ++i) {
                const double e = std::exp(static_cast<double>(before[i] - 1.5F));
                ASSERT_NEAR(x[i], e, 4 * kEpsilon * e + kTiny) << "exp(" << before[i] << " - 1.5)";
                exact += e;
            }
            EXPECT_NEAR(sum, exact, (static_cast<double>(count) + 4) * kEpsilon * exact + kTiny)
                << "count " << count;
        }
    }
}

TEST_P(ExpSum, OfVeryNegativeNumbersIsZero) {
    std::vector<float> x(20, -200.0F);
    x[3] = -kInfinity;
    x[17] = -3e38F;
    EXPECT_EQ(exp_sum(x.data(), x.size(), 0), 0);
    for (const float value : x) EXPECT_EQ(value, 0);
}

TEST_P(ExpSum, ScaleTurnsItIntoASoftmax) {
    Draw draw(5);
    std::vector<float> x = draw.normals(77);
    const float sum = exp_sum(x.data(), x.size(), max_value(x.data(), x.size()));
    scale(1 / sum, x.data(), x.size());
    double total = 0;
    for (const float value : x) total += static_cast<double>(value);
    EXPECT_NEAR(total, 1, 77 * kEpsilon);
}

// Softmax over the rows of each column, in double precision.
std::vector<double> exact_softmax(const GuardedMatrix<float>& logits,
                                  std::size_t rows,
                                  std::size_t columns) {
    std::vector<double> result(rows * columns);
    for (std::size_t c = 0; c < columns; ++c) {
        double largest = -std::numeric_limits<double>::infinity();
        for (std::size_t r = 0; r < rows; ++r)
            largest = std::max(largest, static_cast<double>(logits.at(r, c)));
        double sum = 0;
        for (std::size_t r = 0; r < rows; ++r) {
            sum += result[r * columns + c] =
                std::exp(static_cast<double>(logits.at(r, c)) - largest);
        }
        for (std::size_t r = 0; r < rows; ++r) result[r * columns + c] /= sum;
    }
    return result;
}

TEST_P(SoftmaxColumns, FoldedBlockByBlockThenAppliedGiveASoftmax) {
    constexpr std::size_t kRows = 37;
    Draw draw(6);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t columns : test::kTailLengths) {
            const GuardedMatrix<float> logits(
                kRows, columns, guard, [&] { return 8 * draw.normal(); });
            const std::vector<double> exact = exact_softmax(logits, kRows, columns);
            const GuardedBuffer<float> max(columns, guard, -kInfinity);
            const GuardedBuffer<float> sum(columns, guard);
            const RowMatrix<float> all = logits.view();
            for (const auto& [from, count] : {std::pair{0, 1}, {1, 0}, {1, 20}, {21, 16}}) {
                const auto rows = static_cast<std::size_t>(count);
                fold_softmax_columns(
                    {all.row(static_cast<std::size_t>(from)), rows, columns, all.stride},
                    max.data(),
                    sum.data());
            }
            for (float& value : sum) value = 1 / value;
            apply_softmax_columns(all, max.data(), sum.data());
            for (std::size_t r = 0; r < kRows; ++r) {
                for (std::size_t c = 0; c < columns; ++c) {
                    const double e = exact[r * columns + c];
                    // The arguments of the exponentials, up to 60, are rounded too.
                    ASSERT_NEAR(logits.at(r, c), e, 150 * kEpsilon * e + kTiny)
                        << columns << " columns";
                }
            }
            EXPECT_TRUE(logits.padding_is_untouched());
        }
    }
}

TEST_P(SoftmaxColumns, ColumnsOfMinusInfinityStayEmptyWithoutNan) {
    constexpr std::size_t kColumns = 21;
    const GuardedMatrix<float> logits(3, kColumns, Guard::after, [] { return -kInfinity; });
    logits.at(1, 4) = 2.0F;
    std::vector<float> max(kColumns, -kInfinity);
    std::vector<float> sum(kColumns, 0.0F);
    fold_softmax_columns(logits.view(), max.data(), sum.data());
    for (std::size_t c = 0; c < kColumns; ++c) {
        EXPECT_EQ(max[c], c == 4 ? 2.0F : -kInfinity);
        EXPECT_EQ(sum[c], c == 4 ? 1.0F : 0.0F);
    }
    const std::vector<float> factor(kColumns, 1.0F);
    apply_softmax_columns(logits.view(), max.data(), factor.data());
    for (std::size_t c = 0; c < kColumns; ++c) EXPECT_EQ(logits.at(1, c), c == 4 ? 1.0F : 0.0F);
}

}  // namespace
}  // namespace slidekit::kernels::activation_test
