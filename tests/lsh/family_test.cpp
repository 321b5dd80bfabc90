// The drawn functions seen from outside: golden keys, the shape of what was drawn, and refusals.
//
// The golden keys were computed by a second program, in Python, from the description of the draws
// alone. A projection is read off by hashing unit vectors of both signs, a permutation by watching
// which bin's code a lone large coordinate changes.
#include <slidekit/lsh/family.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::lsh::family_test {
namespace {

constexpr HashFamily kFamilies[] = {HashFamily::simhash,
                                    HashFamily::hadamard,
                                    HashFamily::dwta,
                                    HashFamily::wta,
                                    HashFamily::doph,
                                    HashFamily::pstable,
                                    HashFamily::crosspolytope};

using Keys = std::vector<std::uint32_t>;

static_assert(noexcept(std::declval<const Family&>().hash_rows({}, nullptr, nullptr, {}, nullptr)));

Keys hash(const Family& family, const std::vector<float>& rows, const float* centre = nullptr) {
    const std::size_t dim = family.dim();
    const std::size_t tables = family.config().l;
    std::vector<float> scratch(family.scratch_floats());
    Keys keys(rows.size() / dim * tables);
    family.hash_rows({rows.data(), rows.size() / dim, dim, dim},
                     centre,
                     keys.data(),
                     {.row_stride = tables, .table_stride = 1},
                     scratch.data());
    return keys;
}

// For golden keys: whole numbers, whose sums are exact in any order, and no stream.
std::vector<float> quadratic(std::uint32_t count) {
    std::vector<float> x(count);
    for (std::uint32_t c = 0; c < count; ++c)
        x[c] = static_cast<float>((37 * c * c + 91 * c) % 2001) - 1000.0F;
    return x;
}

std::vector<float> whole_numbers(std::size_t count, std::uint64_t seed) {
    system::Stream stream(seed, system::Purpose::test);
    std::vector<float> x(count);
    for (float& value : x) value = static_cast<float>(stream.below(2001)) - 1000.0F;
    return x;
}

std::vector<float> unit(std::size_t dim, std::size_t coordinate, float value) {
    std::vector<float> x(dim);
    x[coordinate] = value;
    return x;
}

std::string refusal(const HashConfig& config, std::uint32_t dim = 128) {
    try {
        const Family family(config, dim);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        return error.what();
    }
    return "not refused";
}

TEST(Family, SimHashGolden) {
    const Family family({.family = HashFamily::simhash, .k = 12, .l = 6, .seed = 7}, 128);
    EXPECT_EQ(hash(family, quadratic(128)), (Keys{1240, 905, 1453, 2634, 96, 4048}));
}

TEST(Family, DwtaGolden) {
    const Family family({.family = HashFamily::dwta, .k = 4, .l = 6, .seed = 7}, 128);
    EXPECT_EQ(hash(family, quadratic(128)), (Keys{2048, 623, 909, 3966, 1627, 750}));
}

TEST(Family, DwtaGoldenWhereTheWidthFillsNoBins) {
    const Family family({.family = HashFamily::dwta, .k = 4, .l = 6, .seed = 7}, 5);
    EXPECT_EQ(hash(family, quadratic(5)), (Keys{1109, 794, 140, 2378, 2690, 1931}));
}

TEST(Family, DependsOnTheSeed) {
    const std::vector<float> x = whole_numbers(128, 2);
    for (const HashFamily family : kFamilies) {
        const Keys first = hash(Family({.family = family, .k = 4, .l = 20, .seed = 1}, 128), x);
        EXPECT_EQ(first, hash(Family({.family = family, .k = 4, .l = 20, .seed = 1}, 128), x));
        EXPECT_NE(first, hash(Family({.family = family, .k = 4, .l = 20, .seed = 2}, 128), x));
    }
}

TEST(Family, MoreTablesBeginWithTheSameOnes) {
    const std::vector<float> x = whole_numbers(100, 3);
    for (const HashFamily family : kFamilies) {
        if (family == HashFamily::doph) continue;  // more codes are shorter bins
        const Keys few = hash(Family({.family = family, .k = 4, .l = 3}, 100), x);
        Keys many = hash(Family({.family = family, .k = 4, .l = 40}, 100), x);
        many.resize(3);
        EXPECT_EQ(few, many);
    }
}

TEST(Family, KeysFitTheirBits) {
    const HashConfig configs[] = {
        {.family = HashFamily::simhash, .k = 9, .l = 50},
        {.family = HashFamily::hadamard, .k = 9, .l = 50},
        {.family = HashFamily::dwta, .k = 3, .l = 50},
        {.family = HashFamily::wta, .k = 3, .l = 50},
        {.family = HashFamily::doph, .k = 2, .l = 50, .bits = 7},
        {.family = HashFamily::pstable, .k = 2, .l = 50, .bits = 7, .width = 100},
        {.family = HashFamily::dwta, .k = 1, .l = 50, .packing = Packing::slide_compat},
        {.family = HashFamily::dwta, .k = 3, .l = 50, .packing = Packing::slide_compat},
    };
    for (const HashConfig& config : configs) {
        for (const std::uint32_t key : hash(Family(config, 64), whole_numbers(64 * 200, 4))) {
            ASSERT_LT(key, 1U << key_bits(config));
        }
    }
}

TEST(Family, ProjectionsHaveAThirdOfTheCoordinatesAndFairSigns) {
    constexpr std::uint32_t kProjections = 200;
    for (const std::uint32_t dim : {1U, 2U, 4U, 5U, 100U, 128U}) {
        const Family family({.family = HashFamily::simhash, .k = 1, .l = kProjections}, dim);
        std::vector<std::uint32_t> nonzeros(kProjections);
        double plus = 0;
        for (std::size_t c = 0; c < dim; ++c) {
            const Keys up = hash(family, unit(dim, c, 1));
            const Keys down = hash(family, unit(dim, c, -1));
            for (std::size_t p = 0; p < kProjections; ++p) {
                nonzeros[p] += up[p] + down[p];
                plus += up[p];
            }
        }
        const std::uint32_t expected = dim == 1 || dim == 2 || dim == 4 ? 1
                                       : dim == 5                       ? 2
                                       : dim == 100                     ? 33
                                                                        : 43;
        EXPECT_EQ(nonzeros, Keys(kProjections, expected)) << dim;
        const double terms = double{kProjections} * expected;
        EXPECT_NEAR(plus, terms / 2, 5 * std::sqrt(terms) / 2) << dim;
    }
}

TEST(Family, APermutationPutsEachCoordinateInOneBin) {
    constexpr std::uint32_t kDim = 128;
    constexpr std::uint32_t kBins = 16;  // exactly one permutation
    const Family family({.family = HashFamily::dwta, .k = 1, .l = kBins}, kDim);
    const Keys resting =
        hash(family, std::vector<float>(kDim));  // ties: each bin's lowest coordinate
    std::vector<std::uint32_t> seen_in_bin(kBins);
    for (std::size_t c = 0; c < kDim; ++c) {
        const Keys keys = hash(family, unit(kDim, c, 1));
        std::uint32_t changed = 0;
        for (std::size_t bin = 0; bin < kBins; ++bin) {
            if (keys[bin] == resting[bin]) continue;
            ++changed;
            seen_in_bin[bin] |= 1U << keys[bin];
        }
        EXPECT_LE(changed, 1U) << c;
    }
    for (std::size_t bin = 0; bin < kBins; ++bin)
        EXPECT_EQ(seen_in_bin[bin] | 1U << resting[bin], 0xffU) << bin;
}

TEST(Family, SlideCompatAddsTheSameCodesTwoBitsApart) {
    HashConfig config{.family = HashFamily::dwta, .k = 4, .l = 50};
    const std::vector<float> x = whole_numbers(128, 5);
    Keys expected = hash(Family(config, 128), x);
    for (std::uint32_t& key : expected) {
        const std::uint32_t concat = key;
        key = 0;
        for (std::uint32_t code = 0; code < 4; ++code)
            key += (concat >> (3 * code) & 7U) << (2 * code);
    }
    config.packing = Packing::slide_compat;
    EXPECT_EQ(hash(Family(config, 128), x), expected);
}

TEST(Family, TakesTheCentreOff) {
    const std::vector<float> x = whole_numbers(128, 6);
    const std::vector<float> centre = whole_numbers(128, 7);
    std::vector<float> centred = x;
    for (std::size_t c = 0; c < 128; ++c) centred[c] -= centre[c];
    for (const HashFamily family : kFamilies) {
        const Family drawn({.family = family, .k = 4, .l = 30}, 128);
        EXPECT_EQ(hash(drawn, x, centre.data()), hash(drawn, centred));
    }
}

TEST(Family, NearVectorsMeetMoreOftenThanFarOnes) {
    const std::vector<float> x = whole_numbers(128, 8);
    const std::vector<float> far = whole_numbers(128, 9);
    std::vector<float> near = x;
    for (std::size_t c = 0; c < 128; ++c) near[c] += far[c] / 20;
    for (const HashFamily family : kFamilies) {
        const Family drawn({.family = family, .k = 2, .l = 400, .width = 4000}, 128);
        const Keys own = hash(drawn, x);
        const auto met = [&](const Keys& keys) {
            std::uint32_t count = 0;
            for (std::size_t t = 0; t < keys.size(); ++t) count += keys[t] == own[t] ? 1U : 0U;
            return count;
        };
        EXPECT_GT(met(hash(drawn, near)), 2 * met(hash(drawn, far))) << static_cast<int>(family);
    }
}

TEST(Family, AWtaCodeSeesEveryCoordinateOfAWidthOfEight) {
    const Family family({.family = HashFamily::wta, .k = 1, .l = 30}, 8);
    std::vector<Keys> keys;
    for (std::size_t c = 0; c < 8; ++c) keys.push_back(hash(family, unit(8, c, 1)));
    for (std::size_t t = 0; t < 30; ++t) {
        std::uint32_t seen = 0;
        for (const Keys& of_coordinate : keys) seen |= 1U << of_coordinate[t];
        EXPECT_EQ(seen, 0xffU) << t;
    }
}

TEST(Family, HashesNoRows) {
    const Family family({.k = 4, .l = 3}, 16);
    EXPECT_TRUE(hash(family, {}).empty());
}

TEST(KeyBits, FollowFamilyAndPacking) {
    EXPECT_EQ(key_bits({.family = HashFamily::simhash, .k = 1}), 1U);
    EXPECT_EQ(key_bits({.family = HashFamily::simhash, .k = 24}), 24U);
    EXPECT_EQ(key_bits({.family = HashFamily::dwta, .k = 8}), 24U);
    EXPECT_EQ(key_bits({.family = HashFamily::dwta, .k = 1, .packing = Packing::slide_compat}), 3U);
    for (std::uint32_t k = 2; k <= 11; ++k) {
        const std::uint32_t largest = 7 * ((1U << (2 * k)) - 1) / 3;
        const auto bits = static_cast<std::uint32_t>(std::bit_width(largest));
        EXPECT_EQ(key_bits({.family = HashFamily::dwta, .k = k, .packing = Packing::slide_compat}),
                  bits);
    }
}

TEST(KeyBits, RefuseWhatCannotBeAndSayWhatCan) {
    EXPECT_EQ(refusal({.k = 0}), "hash k: 0 codes a table make no key; at least 1 is needed");
    EXPECT_EQ(refusal({.l = 0}), "hash l: 0 tables; 1 to 4096 are possible");
    EXPECT_EQ(refusal({.l = 5000}), "hash l: 5000 tables; 1 to 4096 are possible");
    EXPECT_EQ(
        refusal({.k = 25}),
        "hash k: 25 codes of SimHash make keys of 25 bits, at most 24 are possible; use k <= 24");
    EXPECT_EQ(refusal({.family = HashFamily::dwta, .k = 9}),
              "hash k: 9 codes of DWTA with concat packing make keys of 27 bits, at most 24 are "
              "possible; "
              "use k <= 8");
    EXPECT_EQ(refusal({.family = HashFamily::dwta, .k = 12, .packing = Packing::slide_compat}),
              "hash k: 12 codes of DWTA with slide-compat packing make keys of 26 bits, at most 24 "
              "are possible; "
              "use k <= 11");
    EXPECT_EQ(refusal({.family = HashFamily::dwta, .k = 0xffffffff}),
              "hash k: 4294967295 codes of DWTA with concat packing make keys of 12884901885 bits, "
              "at most 24 are "
              "possible; use k <= 8");
}

TEST(KeyBits, OfMixedCodesAreThoseAskedFor) {
    EXPECT_EQ(key_bits({.family = HashFamily::doph, .k = 3, .bits = 14}), 14U);
    EXPECT_EQ(key_bits({.family = HashFamily::pstable, .k = 3, .bits = 9}), 9U);
    EXPECT_EQ(refusal({.family = HashFamily::doph, .k = 65}),
              "hash k: 65 codes of DOPH; 1 to 64 are possible");
    EXPECT_EQ(refusal({.family = HashFamily::pstable, .k = 2, .bits = 25}),
              "hash bits: keys of 25 bits; 1 to 24 are possible");
    EXPECT_EQ(refusal({.family = HashFamily::pstable, .k = 2, .width = 0}),
              "hash width: cells of width 0; a positive number is needed");
}

TEST(Family, RefusesWidthsThatItCannotHash) {
    EXPECT_EQ(refusal({.family = HashFamily::hadamard}, 4097),
              "hash: vectors of 4097 coordinates; 1 to 4096 can be hashed by Hadamard; sparse DWTA "
              "takes any "
              "width");
    EXPECT_EQ(refusal({}, 0),
              "hash: vectors of 0 coordinates; 1 to 32768 can be hashed by SimHash; sparse DWTA "
              "takes any "
              "width");
    EXPECT_EQ(refusal({}, 32769),
              "hash: vectors of 32769 coordinates; 1 to 32768 can be hashed by SimHash; sparse "
              "DWTA takes "
              "any width");
    EXPECT_EQ(refusal({.k = 1, .l = 1}, 32768), "not refused");
}

}  // namespace
}  // namespace slidekit::lsh::family_test
