// Choice of the level: by name, by code and, in runs of their own, by SLIDEKIT_ISA.
//
// That a level is really the one that runs is seen in its arithmetic: only the scalar level rounds
// products before it adds them, each width has an order of sums of its own, and the instruction for
// products of bf16 takes the smallest numbers for zeros.
#include <slidekit/kernels/isa.hpp>

#include <cstdlib>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/bf16.hpp>
#include <slidekit/kernels/dot.hpp>

namespace slidekit::kernels::isa_test {
namespace {

Isa best_supported() {
    Isa best = Isa::scalar;
    for (const Isa isa : kIsaLevels) best = is_supported(isa) ? isa : best;
    return best;
}

// (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24, whose last term a rounded product loses.
bool products_are_fused() {
    const float x = 1 + 0x1p-12F;
    float y = -(1 + 0x1p-11F);
    axpy(x, &x, &y, 1);
    return y != 0;
}

// A sum of 1, 1e8 and -1e8 that keeps the 1 only if 1e8 and -1e8, 16 apart, meet first: in one lane
// of 512 bits.
bool lanes_are_512_bits() {
    const std::vector<float> ones(40, 1.0F);
    std::vector<float> x(40, 0.0F);
    x[0] = 1;
    x[8] = 1e8F;
    x[24] = -1e8F;
    return dot(x.data(), ones.data(), x.size()) == 1;
}

bool products_of_bf16_lose_subnormals() {
    const Bf16 x[1] = {{.bits = 0x0001}};
    const Bf16 one[1] = {{.bits = 0x3f80}};
    return dot_bf16(x, one, 1) == 0;
}

void expect_runs(Isa isa) {
    EXPECT_EQ(active_isa(), isa);
    EXPECT_EQ(products_are_fused(), isa != Isa::scalar);
    EXPECT_EQ(lanes_are_512_bits(), isa >= Isa::avx512);
    EXPECT_EQ(products_of_bf16_lose_subnormals(), isa == Isa::avx512bf16);
}

bool says(std::string_view message, std::string_view words) {
    return message.find(words) != std::string_view::npos;
}

// First in this file: no other test may have changed the level. Who runs it on a known processor
// says in SLIDEKIT_EXPECTED_ISA what the library has to find there.
TEST(Isa, FollowsTheEnvironmentOrComplains) {
    const char* expected = std::getenv("SLIDEKIT_EXPECTED_ISA");
    if (expected != nullptr) {
        EXPECT_EQ(isa_name(active_isa()), expected);
    }
    const char* asked = std::getenv("SLIDEKIT_ISA");
    if (asked == nullptr || std::string_view(asked).empty()) {
        expect_runs(best_supported());
        EXPECT_EQ(isa_complaint(), "");
        return;
    }
    const auto isa = parse_isa(asked);
    if (isa && is_supported(*isa)) {
        expect_runs(*isa);
        EXPECT_EQ(isa_complaint(), "");
    } else {
        expect_runs(best_supported());
        EXPECT_TRUE(says(isa_complaint(), isa ? "cannot run" : "no known level"))
            << isa_complaint();
    }
}

TEST(Isa, ChangesWithSelectAndRunsWhatItSays) {
    const Isa before = active_isa();
    for (const Isa isa : kIsaLevels) {
        EXPECT_EQ(select_isa(isa), is_supported(isa));
        if (is_supported(isa)) expect_runs(isa);
    }
    select_isa(before);
}

TEST(Isa, ScalarRunsEverywhere) { EXPECT_TRUE(is_supported(Isa::scalar)); }

TEST(Isa, NamesReadBack) {
    for (const Isa isa : kIsaLevels) EXPECT_EQ(parse_isa(isa_name(isa)), isa);
    EXPECT_FALSE(parse_isa("AVX2"));
    EXPECT_FALSE(parse_isa(""));
}

}  // namespace
}  // namespace slidekit::kernels::isa_test
