// WTA: the kernel of DWTA under other functions. Golden keys, and the collision law of both.
#include <slidekit/kernels/hash.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::wta_test {
namespace {

using test::Draw;
using test::DwtaFunctions;
using test::WtaFunctions;

class HashWta : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(HashWta);

using Keys = std::vector<std::uint32_t>;

Keys keys_of(const DwtaPlan& plan, const std::vector<float>& x) {
    Keys keys(plan.l);
    hash_dwta(plan, x.data(), keys.data());
    return keys;
}

// Whoever changes one of these takes a decision, and says so in the commit.
TEST_P(HashWta, GivesTheGoldenKeys) {
    Draw draw(2020);
    const std::vector<float> x = draw.normals(128);
    EXPECT_EQ(keys_of(WtaFunctions(128, 6, 8, 3, 1).plan(), x),
              (Keys{44628, 179466, 3018, 220737, 148772, 136538, 184731, 182516}));
    EXPECT_EQ(keys_of(WtaFunctions(128, 6, 8, 2, 1).plan(), x),
              (Keys{2012, 6342, 438, 7889, 5332, 4574, 6511, 6476}));
}

TEST_P(HashWta, CodesTheLargestOfTheFirstEightOfAPermutation) {
    const WtaFunctions functions(300, 1, 400, 3, 2);
    Draw draw(2);
    const std::vector<float> x = draw.normals(300);
    const Keys keys = keys_of(functions.plan(), x);
    for (std::size_t code = 0; code < 400; ++code) {
        const auto first = functions.order().begin() + static_cast<std::ptrdiff_t>(8 * code);
        const auto largest =
            std::max_element(first, first + 8, [&](auto a, auto b) { return x[a] < x[b]; });
        EXPECT_EQ(keys[code], static_cast<std::uint32_t>(largest - first)) << code;
    }
}

// A code is the same in x and y where coordinate i is the largest of eight in both: the other seven
// come from those that i beats in both. Summed over i, of C(dim, 8) choices: exact, without ties.
double collision_rate(const std::vector<float>& x, const std::vector<float>& y) {
    double rate = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        std::size_t beaten = 0;
        for (std::size_t j = 0; j < x.size(); ++j) beaten += x[j] < x[i] && y[j] < y[i] ? 1U : 0U;
        // C(beaten, 7) / C(dim, 8).
        double choices = beaten < 7 ? 0 : 8.0 / static_cast<double>(x.size() - 7);
        for (std::size_t m = 0; m < 7 && choices > 0; ++m)
            choices *= static_cast<double>(beaten - m) / static_cast<double>(x.size() - m);
        rate += choices;
    }
    return rate;
}

std::vector<float> at_angle(Draw& draw, const std::vector<float>& x, float cosine) {
    std::vector<float> y = draw.normals(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
        y[i] = cosine * x[i] + std::sqrt(1 - cosine * cosine) * y[i];
    return y;
}

std::size_t equal_codes(const Keys& a, const Keys& b) {
    std::size_t equal = 0;
    for (std::size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i] ? 1U : 0U;
    return equal;
}

// Codes of WTA are independent, so 5 standard deviations bound the error but once in two million.
TEST_P(HashWta, CollidesAtTheRateOfCommonWinners) {
    constexpr std::uint32_t kCodes = 20'000;
    const WtaFunctions functions(128, 1, kCodes, 3, 3);
    Draw draw(3);
    for (const float cosine : {-0.5F, 0.0F, 0.5F, 0.9F, 0.99F}) {
        const std::vector<float> x = draw.normals(128);
        const std::vector<float> y = at_angle(draw, x, cosine);
        const double p = collision_rate(x, y);
        const double equal = static_cast<double>(
            equal_codes(keys_of(functions.plan(), x), keys_of(functions.plan(), y)));
        EXPECT_NEAR(equal / kCodes, p, 5 * std::sqrt(p * (1 - p) / kCodes)) << cosine;
    }
}

// A bin of DWTA is eight coordinates of a random order too. Bins of one permutation depend on each
// other, those of different ones do not: one of each.
TEST_P(HashWta, CollidesLikeDwta) {
    constexpr std::uint32_t kCodes = 20'000;
    constexpr std::uint32_t kBinsOfPermutation = 16;
    const DwtaFunctions functions(128, 1, kBinsOfPermutation * kCodes, 3, 4);
    Draw draw(4);
    const std::vector<float> x = draw.normals(128);
    const std::vector<float> y = at_angle(draw, x, 0.7F);
    const Keys a = keys_of(functions.plan(), x);
    const Keys b = keys_of(functions.plan(), y);
    double equal = 0;
    for (std::size_t code = 0; code < a.size(); code += kBinsOfPermutation)
        equal += a[code] == b[code] ? 1 : 0;
    const double p = collision_rate(x, y);
    EXPECT_NEAR(equal / kCodes, p, 5 * std::sqrt(p * (1 - p) / kCodes));
}

}  // namespace
}  // namespace slidekit::kernels::wta_test
