// Keys that must never change: files of hash tables, and runs that are compared with each other,
// rely on them. Whoever changes one takes a decision, and says so in the commit.
#include <slidekit/kernels/hash.hpp>

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::hash_golden_test {
namespace {

using test::Draw;
using test::DwtaFunctions;
using test::SimHashFunctions;

class GoldenKeys : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(GoldenKeys);

using Keys = std::vector<std::uint32_t>;

// An activation: 128 values, half of them zeros after ReLU.
std::vector<float> activation() {
    Draw draw(2020);
    std::vector<float> x = draw.normals(128);
    for (float& value : x) value = value > 0 ? value : 0;
    return x;
}

// Both forms must give the same keys: all-zero rows about it show a row that got its neighbour's
// key.
template <class Plan, class One, class Rows>
void expect_keys(const Plan& plan, One one, Rows rows, const Keys& expected) {
    const std::vector<float> x = activation();
    std::vector<float> block(3 * 128);
    std::copy(x.begin(), x.end(), block.begin() + 128);
    std::vector<float> scratch(hash_scratch_floats(128));
    Keys keys(plan.l);
    one(plan, x.data(), keys.data());
    EXPECT_EQ(keys, expected);
    Keys all(3 * plan.l);
    rows(plan,
         {block.data(), 3, 128, 128},
         nullptr,
         all.data(),
         {.row_stride = plan.l},
         scratch.data());
    EXPECT_EQ(Keys(all.begin() + plan.l, all.begin() + 2 * plan.l), expected);
}

TEST_P(GoldenKeys, OfSimhash) {
    const SimHashFunctions functions(128, 12, 8, 43, 1);
    expect_keys(functions.plan(),
                hash_simhash,
                hash_simhash_rows,
                {342, 2846, 924, 490, 3482, 906, 3274, 1660});
}

TEST_P(GoldenKeys, OfDwtaConcatenated) {
    const DwtaFunctions functions(128, 6, 8, 3, 1);
    expect_keys(functions.plan(),
                hash_dwta,
                hash_dwta_rows,
                {33383, 259159, 27721, 235392, 123933, 38244, 222339, 93422});
}

TEST_P(GoldenKeys, OfDwtaPackedAsInTheReleasedSlide) {
    const DwtaFunctions functions(128, 6, 8, 2, 1);
    expect_keys(functions.plan(),
                hash_dwta,
                hash_dwta_rows,
                {1127, 9119, 1941, 7712, 4753, 1508, 7843, 4042});
}

}  // namespace
}  // namespace slidekit::kernels::hash_golden_test
