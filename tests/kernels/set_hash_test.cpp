// Hashes whose codes are numbers of their own: special values, forms that have to agree, and keys
// that must never change (whoever changes one takes a decision, and says so in the commit).
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/doph.hpp>
#include <slidekit/kernels/mix.hpp>
#include <slidekit/kernels/pstable.hpp>
#include <slidekit/kernels/topk.hpp>

#include "hash_functions.hpp"
#include "level_test.hpp"
#include "set_hash_functions.hpp"

namespace slidekit::kernels::set_hash_test {
namespace {

using test::Draw;
using test::PStableFunctions;
using test::Stable;

class MixKeys : public test::LevelTest {};
class HashDoph : public test::LevelTest {};
class HashPstable : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(MixKeys);
SLIDEKIT_ON_EACH_LEVEL(HashDoph);
SLIDEKIT_ON_EACH_LEVEL(HashPstable);

using Keys = std::vector<std::uint32_t>;
using Vector = std::vector<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::uint32_t mixed(std::uint32_t x, std::uint32_t seed) {
    mix_keys(&x, 1, seed, &x);
    return x;
}

// --- mix_keys

// MurmurHash3_x86_32 of four bytes, but for its finaliser.
std::uint32_t before_finaliser(std::uint32_t block, std::uint32_t seed) {
    const std::uint32_t k = std::rotl(block * 0xcc9e2d51U, 15) * 0x1b873593U;
    return (std::rotl(seed ^ k, 13) * 5 + 0xe6546b64U) ^ 4U;
}

TEST_P(MixKeys, IsTheFinaliserOfMurmurHash3) {
    EXPECT_EQ(mixed(0, 0), 0U);
    EXPECT_EQ(mixed(0, 1), 0x514e28b7U);  // of nothing
    EXPECT_EQ(mixed(0, 0xffffffffU), 0x81f16f39U);
    EXPECT_EQ(mixed(before_finaliser(0xffffffffU, 0), 0), 0x76293b50U);
    EXPECT_EQ(mixed(before_finaliser(0x87654321U, 0), 0), 0xf55b516bU);
    EXPECT_EQ(mixed(before_finaliser(0x87654321U, 0x5082edeeU), 0), 0x2362f9deU);
    EXPECT_EQ(mixed(before_finaliser(0, 0), 0), 0x2362f9deU);
}

TEST_P(MixKeys, WritesOverItsKeys) {
    Keys keys(37);
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<std::uint32_t>(i * i);
    Keys expected(37);
    mix_keys(keys.data(), keys.size(), 5, expected.data());
    mix_keys(keys.data(), keys.size(), 5, keys.data());
    EXPECT_EQ(keys, expected);
    EXPECT_EQ(keys[36], mixed(36 * 36, 5));
}

// --- DOPH

Keys set_keys(const DophPlan& plan, const Keys& ids) {
    Keys keys(plan.l, 0xdeadbeef);
    Vector scratch(doph_scratch_floats(plan.k, plan.l, plan.top));
    hash_doph_set(plan, ids.data(), ids.size(), keys.data(), scratch.data());
    return keys;
}

Keys dense_keys(const DophPlan& plan, const Vector& x) {
    Keys keys(plan.l, 0xdeadbeef);
    Vector scratch(doph_scratch_floats(plan.k, plan.l, plan.top));
    hash_doph(plan, x.data(), x.size(), keys.data(), scratch.data());
    return keys;
}

constexpr DophPlan kPlan{.k = 6, .l = 8, .bits = 18, .top = 30, .seed = 1};

// As the header defines it: an empty bin walks until it meets one that is not.
Keys walked_keys(const DophPlan& plan, const Keys& ids) {
    const std::size_t bins = std::size_t{plan.k} * plan.l;
    Keys least(bins, 0xffffffffU);
    for (const std::uint32_t id : ids) {
        const std::uint32_t h = mixed(id, plan.seed);
        std::uint32_t& code = least[std::uint64_t{h} * bins >> 32];
        code = std::min(code, h);
    }
    Keys keys(plan.l);
    for (std::size_t t = 0; t < plan.l; ++t) {
        std::uint32_t h = plan.seed;
        for (std::size_t j = 0; j < plan.k; ++j) {
            std::size_t b = j * plan.l + t;
            if (plan.order != nullptr) b = plan.order[b];
            const std::uint32_t bits = mixed(static_cast<std::uint32_t>(b / 32), ~plan.seed);
            const std::size_t step = (bits >> b % 32 & 1) != 0 ? bins - 1 : 1;
            while (least[b] == 0xffffffffU && !ids.empty()) b = (b + step) % bins;
            h = mixed(least[b], h);
        }
        keys[t] = h >> (32 - plan.bits);
    }
    return keys;
}

TEST_P(HashDoph, BorrowsFromTheNearestBin) {
    Draw draw(31);
    for (const std::uint32_t l : {1U, 3U, 11U, 50U}) {
        for (const std::size_t size : {0U, 1U, 2U, 20U, 75U, 900U}) {
            const DophPlan plan{.k = 6, .l = l, .bits = 32, .seed = l};
            Keys ids(size);
            for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(draw.below(135'909));
            EXPECT_EQ(set_keys(plan, ids), walked_keys(plan, ids)) << l << ' ' << size;
            const test::DophFunctions scattered(6, l, 32, 0, l);
            EXPECT_EQ(set_keys(scattered.plan(), ids), walked_keys(scattered.plan(), ids));
        }
    }
}

TEST_P(HashDoph, SeesASetWithoutOrderOrRepeats) {
    const Keys keys = set_keys(kPlan, {7, 1000, 3, 0xffffffffU, 42});
    EXPECT_EQ(set_keys(kPlan, {42, 3, 7, 0xffffffffU, 1000, 7, 7, 42}), keys);
    EXPECT_NE(set_keys(kPlan, {7, 1000, 3, 42}), keys);
}

TEST_P(HashDoph, GivesKeysToSetsOfNoneAndOne) {
    std::uint32_t empty = 1;
    for (std::size_t j = 0; j < 6; ++j) empty = mixed(0xffffffffU, empty);
    EXPECT_EQ(set_keys(kPlan, {}), Keys(8, empty >> 14));
    const Keys one = set_keys(kPlan, {5});
    EXPECT_EQ(one, Keys(8, one[0]));
    EXPECT_EQ(dense_keys(kPlan, {}), Keys(8, empty >> 14));
}

// fmix32 is a permutation: one id is mixed to the number that stands for an empty bin.
TEST_P(HashDoph, PassesOverTheIdThatIsMixedToAnEmptyBin) {
    const auto undo_shift = [](std::uint32_t h, unsigned by) {
        std::uint32_t x = h;
        for (unsigned done = by; done < 32; done += by) x = h ^ x >> by;
        return x;
    };
    // Inverses of the multipliers modulo 2^32.
    std::uint32_t id = undo_shift(0xffffffffU, 16) * 0x7ed1b41dU;
    id = undo_shift(id, 13) * 0xa5cb9243U;
    id = undo_shift(id, 16) ^ kPlan.seed;
    ASSERT_EQ(mixed(id, kPlan.seed), 0xffffffffU);
    EXPECT_EQ(set_keys(kPlan, {id}), set_keys(kPlan, {}));
    EXPECT_EQ(set_keys(kPlan, {4, id}), set_keys(kPlan, {4}));
}

TEST_P(HashDoph, TakesTheTopValuesOfADenseVector) {
    Draw draw(32);
    const Vector x = draw.normals(128);
    Keys top(30);
    select_top_k(x.data(), x.size(), 30, top.data());
    EXPECT_EQ(dense_keys(kPlan, x), set_keys(kPlan, top));
}

TEST_P(HashDoph, GivesTiesToTheLowestCoordinatesAndNothingToNan) {
    DophPlan plan = kPlan;
    plan.top = 3;
    EXPECT_EQ(dense_keys(plan, {0, 0, 0, 0, 0, 0}), set_keys(plan, {0, 1, 2}));
    EXPECT_EQ(dense_keys(plan, {-0.0F, 0, -1, -0.0F, 0, 0}), set_keys(plan, {0, 1, 3}));
    EXPECT_EQ(dense_keys(plan, {kNan, 2, 5, 2, kNan, 2}), set_keys(plan, {1, 2, 3}));
    EXPECT_EQ(dense_keys(plan, {kNan, -kInfinity, kNan, kNan}), set_keys(plan, {0, 1, 2}));
    EXPECT_EQ(dense_keys(plan, {1, 2}), set_keys(plan, {0, 1}));
}

TEST_P(HashDoph, HashesRowsLessTheCentre) {
    Draw draw(33);
    const test::Rows rows = test::normal_rows(draw, 19, 40, 43);
    const Vector centre = draw.normals(40);
    Vector scratch(doph_scratch_floats(6, 8, 30) + 40);
    Keys keys(19 * 8);
    hash_doph_rows(kPlan, rows.view(), centre.data(), keys.data(), {1, 19}, scratch.data());
    for (std::size_t r = 0; r < 19; ++r) {
        Vector x(rows.row(r), rows.row(r) + 40);
        for (std::size_t c = 0; c < 40; ++c) x[c] -= centre[c];
        const Keys expected = dense_keys(kPlan, x);
        for (std::size_t t = 0; t < 8; ++t) EXPECT_EQ(keys[t * 19 + r], expected[t]);
    }
}

TEST_P(HashDoph, HasGoldenKeys) {
    Keys ids(75);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::uint32_t>(1811 * i);
    EXPECT_EQ(set_keys(kPlan, ids),
              (Keys{96198, 101221, 88676, 217629, 255571, 87216, 170775, 144598}));
    Draw draw(2020);
    Vector x = draw.normals(128);
    for (float& value : x) value = std::max(value, 0.0F);
    EXPECT_EQ(dense_keys(kPlan, x),
              (Keys{73687, 118244, 215406, 156652, 230024, 232962, 1538, 164070}));
}

// --- p-stable projections

Keys stable_keys(const PStablePlan& plan, const Vector& x) {
    Keys keys(plan.l, 0xdeadbeef);
    hash_pstable(plan, x.data(), keys.data());
    return keys;
}

// One table of one code over one coordinate: cell = floor(x / 2).
std::uint32_t cell_key(float x) {
    Vector projections(16, kNan);
    Vector offsets(16, kNan);
    projections[0] = 1;
    offsets[0] = 0;
    const PStablePlan plan{.dim = 1,
                           .k = 1,
                           .l = 1,
                           .bits = 32,
                           .seed = 9,
                           .width = 2,
                           .projections = projections.data(),
                           .offsets = offsets.data()};
    return stable_keys(plan, {x})[0];
}

TEST_P(HashPstable, RoundsCellsDown) {
    const auto cell = [](std::int32_t code) { return mixed(static_cast<std::uint32_t>(code), 9); };
    for (const auto& [x, code] : {std::pair{0.0F, 0},
                                  {-0.0F, 0},
                                  {1.99F, 0},
                                  {2.0F, 1},
                                  {-1e-30F, -1},
                                  {-2.0F, -1},
                                  {-2.1F, -2},
                                  {33554430.0F, 16777215},
                                  {-33554430.0F, -16777215}})
        EXPECT_EQ(cell_key(x), cell(code)) << x;
}

TEST_P(HashPstable, BoundsCellsByWhatThirtyTwoBitsHold) {
    const std::uint32_t least = mixed(0x80000000U, 9);
    const std::uint32_t most = mixed(0x7fffff80U, 9);
    for (const float x : {kNan, -kNan, -kInfinity, -1e30F, -4294967296.0F})
        EXPECT_EQ(cell_key(x), least) << x;
    for (const float x : {kInfinity, 1e30F, 4294967296.0F, 4294967040.0F})
        EXPECT_EQ(cell_key(x), most) << x;
}

TEST_P(HashPstable, HashesRowsLessTheCentre) {
    Draw draw(34);
    const PStableFunctions functions(40, 3, 21, 18, 4, Stable::normal, 34);
    const test::Rows rows = test::normal_rows(draw, 19, 40, 43);
    const Vector centre = draw.normals(40);
    Vector scratch(hash_scratch_floats(40));
    Keys keys(19 * 21);
    hash_pstable_rows(
        functions.plan(), rows.view(), centre.data(), keys.data(), {1, 19}, scratch.data());
    for (std::size_t r = 0; r < 19; ++r) {
        Vector x(rows.row(r), rows.row(r) + 40);
        for (std::size_t c = 0; c < 40; ++c) x[c] -= centre[c];
        const Keys expected = stable_keys(functions.plan(), x);
        for (std::size_t t = 0; t < 21; ++t) EXPECT_EQ(keys[t * 19 + r], expected[t]);
    }
}

TEST_P(HashPstable, HasGoldenKeys) {
    Draw draw(2020);
    const Vector x = draw.normals(128);
    const PStableFunctions l2(128, 6, 8, 18, 4, Stable::normal, 1);
    EXPECT_EQ(stable_keys(l2.plan(), x),
              (Keys{152492, 199322, 152430, 248151, 50591, 205873, 151307, 22585}));
    const PStableFunctions l1(128, 6, 8, 18, 64, Stable::cauchy, 1);
    EXPECT_EQ(stable_keys(l1.plan(), x),
              (Keys{47654, 223295, 114199, 139450, 120777, 175059, 179050, 216588}));
    const Keys zero = stable_keys(l2.plan(), Vector(128));
    EXPECT_EQ(zero, stable_keys(l2.plan(), Vector(128, -0.0F)));
}

}  // namespace
}  // namespace slidekit::kernels::set_hash_test
