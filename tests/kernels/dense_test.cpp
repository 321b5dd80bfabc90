// The dense product against sums in double precision, plain and transposed, and transposes.
#include <slidekit/kernels/dense.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "guarded_buffer.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::dense_test {
namespace {

using test::Draw;
using test::Guard;
using test::GuardedMatrix;

class MultiplyAdd : public test::LevelTest {};
class Transpose : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(MultiplyAdd);
SLIDEKIT_ON_EACH_LEVEL(Transpose);

enum class Left { plain, transposed };

struct Shape {
    std::size_t rows;
    std::size_t depth;
    std::size_t columns;
    Guard guard;
};

void expect_product(Draw& draw, const Shape& shape, Left left) {
    const auto normal = [&] { return draw.normal(); };
    const bool plain = left == Left::plain;
    const GuardedMatrix<float> a(
        plain ? shape.rows : shape.depth, plain ? shape.depth : shape.rows, shape.guard, normal);
    const GuardedMatrix<float> b(shape.depth, shape.columns, shape.guard, normal);
    const GuardedMatrix<float> c(shape.rows, shape.columns, shape.guard, normal);
    const GuardedMatrix<float> before(shape.rows, shape.columns, shape.guard);
    before.copy(c);
    const std::size_t stride = a.view().stride;
    multiply_add({.data = a.view().data,
                  .rows = shape.rows,
                  .columns = shape.depth,
                  .row_stride = plain ? stride : 1,
                  .column_stride = plain ? 1 : stride},
                 b.view(),
                 c.view());
    for (std::size_t i = 0; i < shape.rows; ++i) {
        for (std::size_t j = 0; j < shape.columns; ++j) {
            double sum = static_cast<double>(before.at(i, j));
            double magnitude = std::abs(sum);
            for (std::size_t k = 0; k < shape.depth; ++k) {
                const double factor = static_cast<double>(plain ? a.at(i, k) : a.at(k, i));
                const double product = factor * static_cast<double>(b.at(k, j));
                sum += product;
                magnitude += std::abs(product);
            }
            const double bound = static_cast<double>(shape.depth + 1) *
                                 std::numeric_limits<float>::epsilon() * magnitude;
            ASSERT_NEAR(c.at(i, j), sum, bound)
                << shape.rows << " x " << shape.depth << " x " << shape.columns;
        }
    }
    EXPECT_TRUE(c.padding_is_untouched());
}

TEST_P(MultiplyAdd, AgreesWithExactSumOnTailsOfAllThreeLengths) {
    Draw draw(1);
    for (const Guard guard : test::kGuards) {
        for (const Left left : {Left::plain, Left::transposed}) {
            for (const std::size_t rows : {1U, 2U, 5U, 6U, 7U, 13U, 32U}) {
                for (const std::size_t columns :
                     {1U, 7U, 8U, 16U, 17U, 63U, 64U, 65U, 100U, 129U}) {
                    for (const std::size_t depth : {0U, 1U, 15U, 33U}) {
                        expect_product(draw, {rows, depth, columns, guard}, left);
                    }
                }
            }
        }
    }
}

TEST_P(MultiplyAdd, AgreesWithExactSumBeyondOneBlock) {
    Draw draw(2);
    for (const Left left : {Left::plain, Left::transposed}) {
        expect_product(
            draw, {.rows = 70, .depth = 600, .columns = 150, .guard = Guard::after}, left);
        expect_product(
            draw, {.rows = 300, .depth = 128, .columns = 20, .guard = Guard::after}, left);
    }
}

TEST_P(Transpose, MovesEveryElementAndNothingElse) {
    Draw draw(3);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t rows : {0U, 1U, 7U, 8U, 9U, 15U, 16U, 17U, 40U}) {
            for (const std::size_t columns : {0U, 1U, 7U, 8U, 9U, 15U, 16U, 17U, 100U}) {
                const GuardedMatrix<float> in(rows, columns, guard, [&] { return draw.normal(); });
                const GuardedMatrix<float> out(columns, rows, guard);
                transpose(in.view(), out.view());
                for (std::size_t r = 0; r < rows; ++r) {
                    for (std::size_t c = 0; c < columns; ++c) ASSERT_EQ(out.at(c, r), in.at(r, c));
                }
                EXPECT_TRUE(out.padding_is_untouched()) << rows << " x " << columns;
            }
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::dense_test
