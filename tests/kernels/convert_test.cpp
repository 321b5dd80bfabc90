// Quantisation to 8 bits: the stated rounding, written in double, on every level.
#include <slidekit/kernels/convert.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "guarded_buffer.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::convert_test {
namespace {

using test::Draw;
using test::Guard;
using test::GuardedBuffer;

class Quantize : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(Quantize);

float quantize(const float* x, std::size_t dim, std::int8_t* out) {
    return quantize_i8(x, dim, out);
}
float quantize(const float* x, std::size_t dim, std::uint8_t* out) {
    return quantize_u7(x, dim, out);
}

// Input and output end before an unmapped page.
template <class Byte>
void expect_quantized(const std::vector<float>& x) {
    SCOPED_TRACE(testing::Message() << x.size() << " elements");
    const GuardedBuffer<float> in(x, Guard::after);
    const GuardedBuffer<Byte> out(x.size(), Guard::after);
    float largest = 0;
    for (const float value : x) largest = std::max(largest, std::fabs(value));
    const float s = largest / 127;
    EXPECT_EQ(quantize(in.data(), x.size(), out.data()), s);
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float quotient = s == 0 ? 0 : x[i] / s;
        EXPECT_EQ(out.data()[i], std::clamp(std::nearbyint(quotient), -127.0F, 127.0F))
            << x[i] << " / " << s;
    }
}

void expect_both(std::vector<float> x) {
    expect_quantized<std::int8_t>(x);
    for (float& value : x) value = std::fabs(value);
    expect_quantized<std::uint8_t>(x);
}

TEST_P(Quantize, RoundsAsStatedOnEveryTail) {
    Draw draw(1);
    for (std::size_t dim = 0; dim < 70; ++dim) expect_both(draw.normals(dim));
    for (const std::size_t dim : {127U, 128U, 129U, 300U, 1000U}) expect_both(draw.normals(dim));
}

TEST_P(Quantize, SendsHalvesToTheEvenNeighbour) {
    std::vector<float> x;
    for (int i = -254; i <= 254; ++i) x.push_back(static_cast<float>(i) / 2);
    expect_both(x);
    std::vector<std::int8_t> out(x.size());
    EXPECT_EQ(quantize_i8(x.data(), x.size(), out.data()), 1.0F);
    EXPECT_EQ(out[254 + 1], 0);   // 0.5
    EXPECT_EQ(out[254 + 3], 2);   // 1.5
    EXPECT_EQ(out[254 - 5], -2);  // -2.5
    EXPECT_EQ(out.front(), -127);
    EXPECT_EQ(out.back(), 127);
}

TEST_P(Quantize, StaysInRangeAtBothEndsOfFloat) {
    constexpr float kTiny = std::numeric_limits<float>::denorm_min();
    for (const float unit : {kTiny, 17 * kTiny, 1e-38F, 1e-30F, 1e30F, 1e36F}) {
        for (const float top : {1.0F, 63.0F, 64.0F, 126.0F, 190.0F, 191.0F}) {
            expect_both({0, unit, -unit, top * unit, -top * unit, 0.5F * top * unit});
        }
    }
    expect_both({std::numeric_limits<float>::max(), 1, 0});
}

TEST_P(Quantize, MapsAZeroRowToZeros) {
    expect_both(std::vector<float>(33, 0.0F));
    expect_both(std::vector<float>(5, -0.0F));
}

// To half of the scale, and of what the products and the quotient round.
TEST_P(Quantize, ReadsBackWithinHalfAStep) {
    Draw draw(2);
    for (const std::size_t dim : test::kTailLengths) {
        const GuardedBuffer<float> x(draw.normals(dim), Guard::after);
        std::vector<std::int8_t> q(dim);
        const GuardedBuffer<float> back(dim, Guard::after);
        const float s = quantize_i8(x.data(), dim, q.data());
        dequantize_i8(q.data(), dim, s, back.data());
        for (std::size_t i = 0; i < dim; ++i) {
            ASSERT_EQ(back[i], s * static_cast<float>(q[i]));
            ASSERT_NEAR(back[i], x[i], s * 0.50001F);
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::convert_test
