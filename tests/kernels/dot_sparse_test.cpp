// Inner products of sparse vectors against sums in double precision, over the shapes that choose
// between their forms.
#include <slidekit/kernels/dot.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "guarded_buffer.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::dot_sparse_test {
namespace {

using test::Draw;
using test::Guard;
using test::GuardedBuffer;
using test::GuardedMatrix;

class DotSparseDense : public test::LevelTest {};
class DotSparseSparse : public test::LevelTest {};
class DotSparseRows : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(DotSparseDense);
SLIDEKIT_ON_EACH_LEVEL(DotSparseSparse);
SLIDEKIT_ON_EACH_LEVEL(DotSparseRows);

std::vector<std::uint32_t> ascending_ids(Draw& draw, std::size_t count, std::size_t bound) {
    std::set<std::uint32_t> ids;
    while (ids.size() < count) ids.insert(static_cast<std::uint32_t>(draw.below(bound)));
    return {ids.begin(), ids.end()};
}

struct Sparse {
    Sparse(std::vector<std::uint32_t> all, Draw& draw, Guard guard = Guard::after)
        : ids(all, guard), values(draw.normals(all.size()), guard) {}

    [[nodiscard]] SparseView view() const { return {ids.data(), values.data(), ids.size()}; }

    GuardedBuffer<std::uint32_t> ids;
    GuardedBuffer<float> values;
};

// What two sparse vectors have in common, by a map.
struct ExactDot {
    ExactDot(const Sparse& x, const Sparse& y) {
        std::map<std::uint32_t, double> other;
        for (std::size_t j = 0; j < y.ids.size(); ++j) other[y.ids[j]] = y.values[j];
        for (std::size_t i = 0; i < x.ids.size(); ++i) {
            const auto met = other.find(x.ids[i]);
            if (met == other.end()) continue;
            sum += static_cast<double>(x.values[i]) * met->second;
            magnitude += std::abs(static_cast<double>(x.values[i]) * met->second);
            ++matches;
        }
    }
    [[nodiscard]] double bound() const {
        return static_cast<double>(matches + 1) * std::numeric_limits<float>::epsilon() * magnitude;
    }

    double sum = 0;
    double magnitude = 0;
    std::size_t matches = 0;
};

TEST_P(DotSparseSparse, AgreesWithExactSumForAnyTwoLengths) {
    constexpr std::size_t kLengths[] = {0, 1, 7, 15, 16, 17, 33, 75, 130, 300, 700, 1100, 3000};
    Draw draw(1);
    for (const Guard guard : test::kGuards) {
        for (const std::size_t n : kLengths) {
            for (const std::size_t m : kLengths) {
                const std::size_t bound = std::max(n, m) * (1 + draw.below(4));
                const Sparse x(ascending_ids(draw, n, bound), draw, guard);
                const Sparse y(ascending_ids(draw, m, bound), draw, guard);
                const ExactDot exact(x, y);
                EXPECT_NEAR(dot_sparse_sparse(x.view(), y.view()), exact.sum, exact.bound())
                    << n << " x " << m;
            }
        }
    }
}

TEST_P(DotSparseSparse, MeetsTheOuterIdsAndNothingBesideThem) {
    constexpr std::uint32_t kLast = std::numeric_limits<std::uint32_t>::max();
    Draw draw(2);
    for (const std::size_t m : {15U, 16U, 80U, 512U, 513U, 2000U, 70000U}) {
        std::vector<std::uint32_t> ids(m);
        for (std::size_t j = 0; j < m; ++j) ids[j] = static_cast<std::uint32_t>(60000 * j);
        ids.back() = kLast;
        const Sparse y(ids, draw);
        const Sparse outer({0, kLast}, draw);
        const ExactDot exact(outer, y);
        EXPECT_NEAR(dot_sparse_sparse(outer.view(), y.view()), exact.sum, exact.bound()) << m;
        const Sparse beside({1, 59999, 60001, kLast - 1}, draw);
        EXPECT_EQ(dot_sparse_sparse(beside.view(), y.view()), 0) << m;
    }
}

TEST_P(DotSparseSparse, FormsNoProductOfCoordinatesThatOneLacks) {
    Draw draw(3);
    for (const std::size_t m : {3U, 40U, 900U, 5000U}) {
        const Sparse x(ascending_ids(draw, 30, 10000), draw);
        std::vector<std::uint32_t> ids = ascending_ids(draw, m, 10000);
        std::vector<std::uint32_t> others;
        std::set_difference(
            ids.begin(), ids.end(), x.ids.begin(), x.ids.end(), std::back_inserter(others));
        const Sparse y(others, draw);
        for (float& value : y.values) value = std::numeric_limits<float>::quiet_NaN();
        EXPECT_EQ(dot_sparse_sparse(x.view(), y.view()), 0) << m;
        EXPECT_EQ(dot_sparse_sparse(y.view(), x.view()), 0) << m;
    }
}

TEST_P(DotSparseDense, AddsRepeatedIdsInAnyOrder) {
    Draw draw(4);
    const std::vector<float> y = draw.normals(1000);
    for (const std::size_t nnz : test::kTailLengths) {
        std::vector<std::uint32_t> ids(nnz);
        for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(draw.below(30) * 33);
        const Sparse x(ids, draw);
        double sum = 0, magnitude = 0;
        for (std::size_t i = 0; i < nnz; ++i) {
            sum += static_cast<double>(x.values[i]) * static_cast<double>(y[ids[i]]);
            magnitude +=
                std::abs(static_cast<double>(x.values[i]) * static_cast<double>(y[ids[i]]));
        }
        const double bound = (static_cast<double>(nnz) + 1) * 1.2e-7 * magnitude;
        EXPECT_NEAR(dot_sparse_dense(x.view(), y.data(), y.size()), sum, bound) << nnz;
    }
}

// Few ids gather; many are laid out in full: both give what a product with each row gives.
TEST_P(DotSparseRows, AgreesWithDotSparseDenseOfEachRow) {
    Draw draw(5);
    for (const std::size_t dim : {40U, 1000U, 4096U, 5000U}) {
        const GuardedMatrix<float> rows(7, dim, Guard::after, [&] { return draw.normal(); });
        for (const std::size_t nnz : {0U, 1U, 5U, 16U, 75U, 600U}) {
            std::vector<std::uint32_t> ids(nnz);
            for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(draw.below(dim));
            const Sparse x(ids, draw);
            const std::vector<std::uint32_t> row_ids = {6, 0, 3, 3, 1, 5, 2, 4, 6, 0, 1};
            std::vector<float> out(row_ids.size());
            dot_sparse_rows(x.view(), rows.view(), row_ids.data(), out.size(), out.data());
            for (std::size_t i = 0; i < out.size(); ++i) {
                const float expected = dot_sparse_dense(x.view(), rows.view().row(row_ids[i]), dim);
                EXPECT_NEAR(out[i], expected, 1e-4) << "dim " << dim << ", nnz " << nnz;
            }
        }
    }
}

TEST_P(DotSparseRows, GivesTheSameBitsAloneAndBesideOthers) {
    Draw draw(6);
    for (const std::size_t dim : {100U, 1000U}) {
        const GuardedMatrix<float> rows(9, dim, Guard::after, [&] { return draw.normal(); });
        const Sparse x(ascending_ids(draw, 37, dim), draw);
        const std::vector<std::uint32_t> ids = {0, 1, 2, 3, 4, 5, 6, 7, 8};
        std::vector<float> together(9);
        dot_sparse_rows(x.view(), rows.view(), ids.data(), 9, together.data());
        for (std::size_t i = 0; i < 9; ++i) {
            float alone = 0;
            dot_sparse_rows(x.view(), rows.view(), &ids[i], 1, &alone);
            EXPECT_EQ(alone, together[i]) << "dim " << dim << ", row " << i;
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::dot_sparse_test
