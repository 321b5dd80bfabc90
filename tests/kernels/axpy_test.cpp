// Scaled sums of rows, against the scalar level and within a bound on its rounding.
#include <slidekit/kernels/axpy.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "guarded_buffer.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::axpy_test {
namespace {

using test::Draw;
using test::Guard;
using test::GuardedBuffer;
using test::GuardedMatrix;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr std::size_t kRows = 9;

class Axpy : public test::LevelTest {};
class BagRows : public test::LevelTest {};
class ScatterRows : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(Axpy);
SLIDEKIT_ON_EACH_LEVEL(BagRows);
SLIDEKIT_ON_EACH_LEVEL(ScatterRows);

std::vector<std::uint32_t> random_ids(Draw& draw, std::size_t count) {
    std::vector<std::uint32_t> ids(count);
    for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(draw.below(kRows));
    return ids;
}

TEST_P(Axpy, AddsTheScaledVectorOnEveryTail) {
    Draw draw(1);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            const GuardedBuffer<float> x(draw.normals(dim), guard);
            const GuardedBuffer<float> y(draw.normals(dim), guard);
            const std::vector<float> before = y.values();
            axpy(0.7F, x.data(), y.data(), dim);
            for (std::size_t k = 0; k < dim; ++k) {
                const double product = static_cast<double>(0.7F) * static_cast<double>(x[k]);
                const double old = static_cast<double>(before[k]);
                EXPECT_NEAR(y[k], old + product, kEpsilon * (std::abs(old) + std::abs(product)))
                    << "dim " << dim;
            }
        }
    }
}

TEST_P(BagRows, AddsEveryRowTimesItsValue) {
    Draw draw(2);
    const auto normal = [&] { return draw.normal(); };
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            for (const std::size_t nnz : {0U, 1U, 15U, 16U, 75U}) {
                const GuardedMatrix<float> rows(kRows, dim, guard, normal);
                const GuardedBuffer<std::uint32_t> ids(random_ids(draw, nnz), guard);
                const GuardedBuffer<float> values(draw.normals(nnz), guard);
                const GuardedBuffer<float> out(draw.normals(dim), guard);
                const std::vector<float> before = out.values();
                bag_rows({ids.data(), values.data(), nnz}, rows.view(), out.data());
                for (std::size_t k = 0; k < dim; ++k) {
                    double sum = static_cast<double>(before[k]);
                    double magnitude = std::abs(sum);
                    for (std::size_t i = 0; i < nnz; ++i) {
                        const double product = static_cast<double>(values[i]) *
                                               static_cast<double>(rows.at(ids[i], k));
                        sum += product;
                        magnitude += std::abs(product);
                    }
                    ASSERT_NEAR(out[k], sum, static_cast<double>(nnz + 1) * kEpsilon * magnitude)
                        << "dim " << dim;
                }
            }
        }
    }
}

TEST_P(ScatterRows, EqualsAxpyRowByRowRepeatsIncluded) {
    Draw draw(3);
    const auto normal = [&] { return draw.normal(); };
    for (const Guard guard : test::kGuards) {
        for (const std::size_t dim : test::kTailLengths) {
            const GuardedMatrix<float> rows(kRows, dim, guard, normal);
            const GuardedMatrix<float> expected(kRows, dim, guard);
            expected.copy(rows);
            const GuardedBuffer<float> x(draw.normals(dim), guard);
            const GuardedBuffer<std::uint32_t> ids(random_ids(draw, 40), guard);
            const GuardedBuffer<float> values(draw.normals(40), guard);
            scatter_rows({ids.data(), values.data(), 40}, x.data(), rows.view());
            for (std::size_t i = 0; i < 40; ++i)
                axpy(values[i], x.data(), expected.view().row(ids[i]), dim);
            for (std::size_t i = 0; i < kRows; ++i) {
                for (std::size_t k = 0; k < dim; ++k)
                    ASSERT_EQ(rows.at(i, k), expected.at(i, k)) << "dim " << dim;
            }
            EXPECT_TRUE(rows.padding_is_untouched());
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::axpy_test
