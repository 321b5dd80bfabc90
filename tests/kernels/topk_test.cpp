// Selection against a stable sort and a plain double loop, on every level.
#include <slidekit/kernels/topk.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "guarded_buffer.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::topk_test {
namespace {

using test::Draw;
using test::Guard;
using test::GuardedBuffer;

class SelectTopK : public test::LevelTest {};
class FindAboveColumns : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(SelectTopK);
SLIDEKIT_ON_EACH_LEVEL(FindAboveColumns);

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<std::uint32_t> sorted_top(const std::vector<float>& scores, std::size_t k) {
    std::vector<std::uint32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        if (std::isnan(scores[b])) return !std::isnan(scores[a]);
        return scores[a] > scores[b];
    });
    order.resize(std::min(k, order.size()));
    std::sort(order.begin(), order.end());
    return order;
}

// Both arrays end before an unmapped page, and begin on no boundary.
void expect_top(const std::vector<float>& scores, std::size_t k) {
    SCOPED_TRACE(testing::Message() << k << " of " << scores.size());
    const std::size_t room = std::min(k, scores.size());
    const GuardedBuffer<float> in(scores, Guard::after);
    const GuardedBuffer<std::uint32_t> out(room, Guard::after);
    EXPECT_EQ(select_top_k(in.data(), scores.size(), k, out.data()), room);
    EXPECT_EQ(out.values(), sorted_top(scores, k));
}

TEST_P(SelectTopK, AgreesWithSortOnEveryCount) {
    Draw draw(1);
    for (const std::size_t count :
         {0U, 1U, 2U, 7U, 8U, 9U, 15U, 16U, 17U, 31U, 33U, 67U, 128U, 1000U, 3001U}) {
        const std::vector<float> scores = draw.normals(count);
        for (const std::size_t k : {0U, 1U, 2U, 5U, 16U, 200U, 999U}) expect_top(scores, k);
        expect_top(scores, count / 2);
        expect_top(scores, count);
        expect_top(scores, count + 1);
    }
}

TEST_P(SelectTopK, TakesTheLowestPositionsOfTies) {
    Draw draw(2);
    for (const std::size_t levels : {1U, 2U, 3U, 10U}) {
        std::vector<float> scores(213);
        for (float& x : scores) x = static_cast<float>(draw.below(levels)) - 1;
        for (std::size_t k = 0; k <= scores.size(); k += 3) expect_top(scores, k);
    }
}

TEST_P(SelectTopK, RanksNanLowestAndZerosAsEquals) {
    Draw draw(3);
    const float odd[] = {
        0.0F, -0.0F, kNan, -kNan, kInfinity, -kInfinity, 1e-45F, -1e-45F, 3e38F, -3e38F, 1.0F};
    for (int trial = 0; trial < 20; ++trial) {
        std::vector<float> scores(37 + static_cast<std::size_t>(trial));
        for (float& x : scores) x = odd[draw.below(std::size(odd))];
        for (std::size_t k = 0; k <= scores.size(); ++k) expect_top(scores, k);
    }
    for (const float x : odd) expect_top(std::vector<float>(20, x), 7);
}

TEST_P(SelectTopK, SeparatesNeighbouringFloats) {
    std::vector<float> scores(100);
    float x = -1e-44F;
    for (float& score : scores) score = x = std::nextafter(x, 1.0F);
    std::reverse(scores.begin(), scores.end());
    for (std::size_t k = 0; k <= scores.size(); ++k) expect_top(scores, k);
}

TEST_P(FindAboveColumns, ListsWhatAPlainLoopLists) {
    Draw draw(4);
    for (const std::size_t dim :
         {1U, 7U, 8U, 15U, 16U, 17U, 32U, 63U, 64U, 65U, 128U, 130U, 256U}) {
        for (const float bound : {-9.0F, 0.0F, 2.0F, 9.0F}) {
            SCOPED_TRACE(testing::Message() << dim << " columns above " << bound);
            constexpr std::size_t kRows = 9;
            const GuardedBuffer<float> block((kRows - 1) * (dim + 3) + dim, Guard::after);
            const GuardedBuffer<float> threshold(dim, Guard::after);
            for (std::size_t i = 0; i < (kRows - 1) * (dim + 3) + dim; ++i)
                block.data()[i] = draw.normal();
            for (std::size_t c = 0; c < dim; ++c) threshold.data()[c] = bound + draw.normal();
            const RowMatrix<const float> view{block.data(), kRows, dim, dim + 3};
            std::vector<Hit> hits(kRows * dim);
            hits.resize(find_above_columns(view, threshold.data(), hits.data()));
            std::size_t n = 0;
            for (std::uint32_t r = 0; r < kRows; ++r) {
                for (std::uint32_t c = 0; c < dim; ++c) {
                    const float x = view.row(r)[c];
                    if (!(x > threshold.data()[c])) continue;
                    ASSERT_LT(n, hits.size());
                    EXPECT_EQ(hits[n].row, r);
                    EXPECT_EQ(hits[n].column, c);
                    EXPECT_EQ(hits[n].value, x);
                    ++n;
                }
            }
            EXPECT_EQ(n, hits.size());
        }
    }
}

TEST_P(FindAboveColumns, PassesOverEqualsAndNan) {
    const float block[] = {1, 2, kNan, 2, kInfinity, -0.0F};
    const float threshold[] = {1, 1, 1, kNan, kInfinity, 0};
    Hit hits[6];
    ASSERT_EQ(find_above_columns({block, 1, 6, 6}, threshold, hits), 1U);
    EXPECT_EQ(hits[0].column, 1U);
}

}  // namespace
}  // namespace slidekit::kernels::topk_test
