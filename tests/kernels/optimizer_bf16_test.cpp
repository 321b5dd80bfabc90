// Updates of rows in bf16: in halves as in fp32, bit for bit; rounded at random, true on average.
#include <slidekit/kernels/optimizer_bf16.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "groups.hpp"
#include "hash_functions.hpp"
#include "level_test.hpp"

namespace slidekit::kernels::optimizer_bf16_test {
namespace {

using test::Draw;

constexpr AdamStep kAdam{
    .lr = 0.01F, .beta1 = 0.9F, .beta2 = 0.999F, .epsilon = 1e-8F, .decay = 0.001F};
constexpr SgdStep kSgd{.lr = 0.1F, .decay = 0.001F};
constexpr std::uint32_t kRows = 30;
constexpr std::uint32_t kVectors = 11;

class SplitUpdates : public test::LevelTest {};
class Bf16Updates : public test::LevelTest {};

SLIDEKIT_ON_EACH_LEVEL(SplitUpdates);
SLIDEKIT_ON_EACH_LEVEL(Bf16Updates);

struct Halves {
    std::vector<Bf16> high;
    std::vector<std::uint16_t> low;

    explicit Halves(const std::vector<float>& x) : high(x.size()), low(x.size()) {
        split_f32(x.data(), x.size(), high.data(), low.data());
    }
    [[nodiscard]] std::vector<float> joined() const {
        std::vector<float> out(high.size());
        join_f32(high.data(), low.data(), out.size(), out.data());
        return out;
    }
};

// Weights and moments of a matrix of kRows, whole; those of one row, where `dim` is its size.
struct Layer {
    std::vector<float> weights, first, second, vectors, back, bias, bias_first, bias_second;
    std::size_t dim;

    Layer(Draw draw, std::size_t columns)
        : weights(draw.normals(kRows * columns)),
          first(draw.normals(kRows * columns)),
          second(kRows * columns, 0.5F),
          vectors(draw.normals(kVectors * columns)),
          back(draw.normals(kVectors * columns)),
          bias(draw.normals(kRows)),
          bias_first(draw.normals(kRows)),
          bias_second(kRows, 0.25F),
          dim(columns) {}

    [[nodiscard]] RowMatrix<const float> vectors_view() const {
        return {vectors.data(), kVectors, dim, dim};
    }
    RowMatrix<float> back_view() { return {back.data(), kVectors, dim, dim}; }
    AdamBias adam_bias() { return {bias.data(), bias_first.data(), bias_second.data()}; }
};

void expect_same(const Layer& a, const Layer& b, const std::vector<float>& weights_of_b) {
    EXPECT_EQ(a.weights, weights_of_b) << "dim " << a.dim;
    EXPECT_EQ(a.first, b.first);
    EXPECT_EQ(a.second, b.second);
    EXPECT_EQ(a.back, b.back);
    EXPECT_EQ(a.bias, b.bias);
    EXPECT_EQ(a.bias_second, b.bias_second);
}

TEST_P(SplitUpdates, OfRowsGiveTheBitsOfWholeWeights) {
    for (const std::size_t dim : test::kTailLengths) {
        Layer whole(Draw(1), dim), other(Draw(1), dim);
        Halves halves(whole.weights);
        const std::vector<float> gradient = Draw(2).normals(whole.weights.size());
        const std::size_t n = gradient.size();
        for (int step = 0; step < 3; ++step) {
            adam_row(whole.weights.data(),
                     whole.first.data(),
                     whole.second.data(),
                     gradient.data(),
                     n,
                     kAdam);
            adam_row_split(halves.high.data(),
                           halves.low.data(),
                           other.first.data(),
                           other.second.data(),
                           gradient.data(),
                           n,
                           kAdam);
            sgd_row(whole.weights.data(), gradient.data(), n, kSgd);
            sgd_row_split(halves.high.data(), halves.low.data(), gradient.data(), n, kSgd);
        }
        expect_same(whole, other, halves.joined());
    }
}

TEST_P(SplitUpdates, OfRowsWithMomentumAndAdagradGiveTheBitsOfWholeWeights) {
    constexpr MomentumStep kMomentum{.lr = 0.05F, .decay = 0.001F, .nesterov = 1};
    constexpr AdagradStep kAdagrad{.lr = 0.1F, .decay = 0.001F};
    for (const std::size_t n : test::kTailLengths) {
        std::vector<float> w = Draw(1).normals(n), u = Draw(2).normals(n), v = u;
        const std::vector<float> gradient = Draw(3).normals(n);
        Halves halves(w);
        float state = 0.5F, other = 0.5F;
        for (int step = 0; step < 3; ++step) {
            momentum_row(w.data(), u.data(), gradient.data(), n, kMomentum);
            adagrad_row(w.data(), &state, gradient.data(), n, kAdagrad);
            Bf16* const high = halves.high.data();
            std::uint16_t* const low = halves.low.data();
            momentum_row_split(high, low, v.data(), gradient.data(), n, kMomentum);
            adagrad_row_split(high, low, &other, gradient.data(), n, kAdagrad);
        }
        EXPECT_EQ(w, halves.joined()) << "dim " << n;
        EXPECT_EQ(u, v);
        EXPECT_EQ(state, other);
    }
}

// Both updates of groups, on whole weights and on halves; 1025 gathers Adagrad's gradient twice.
TEST_P(SplitUpdates, OfGroupsWithMomentumAndAdagradGiveTheBitsOfWholeWeights) {
    constexpr MomentumStep kMomentum{.lr = 0.05F, .decay = 0.001F};
    constexpr AdagradStep kAdagrad{.lr = 0.1F, .decay = 0.001F};
    for (const std::size_t dim : {1U, 17U, 128U, 1025U}) {
        Layer a(Draw(3), dim), b(Draw(3), dim);
        Halves halves(a.weights);
        Draw draw(4);
        const test::RandomGroups groups(
            draw, {.rows = kRows, .groups = 21, .vectors = kVectors, .most_members = 6});
        const std::vector<float> values = draw.normals(groups.slots());
        const GroupsView view = groups.view();
        const RowMatrix<float> whole{a.weights.data(), kRows, dim, dim};
        const RowMatrix<Bf16> high{halves.high.data(), kRows, dim, dim};
        const auto of = [](Layer& l) { return MomentumBias{l.bias.data(), l.bias_first.data()}; };
        const auto sum = [](Layer& l) { return AdagradBias{l.bias.data(), l.bias_second.data()}; };
        const float* v = values.data();
        const auto x = a.vectors_view();
        std::vector<float> state(kRows, 0.5F), other = state;
        momentum_groups(view, v, x, a.back_view(), {whole, a.first.data()}, of(a), kMomentum);
        adagrad_groups(view, v, x, a.back_view(), {whole, state.data()}, sum(a), kAdagrad);
        std::uint16_t* const low = halves.low.data();
        momentum_groups_split(
            view, v, x, b.back_view(), {high, low, b.first.data()}, of(b), kMomentum);
        adagrad_groups_split(
            view, v, x, b.back_view(), {high, low, other.data()}, sum(b), kAdagrad);
        expect_same(a, b, halves.joined());
        EXPECT_EQ(state, other);
    }
}

TEST_P(SplitUpdates, OfGroupsGiveTheBitsOfWholeWeights) {
    for (const std::size_t dim : test::kTailLengths) {
        Layer whole(Draw(3), dim), other(Draw(3), dim);
        Halves halves(whole.weights);
        Draw draw(4);
        const test::RandomGroups groups(
            draw, {.rows = kRows, .groups = 21, .vectors = kVectors, .most_members = 6});
        const std::vector<float> values = draw.normals(groups.slots());
        const RowMatrix<Bf16> high{halves.high.data(), kRows, dim, dim};
        adam_groups(
            groups.view(),
            values.data(),
            whole.vectors_view(),
            whole.back_view(),
            {{whole.weights.data(), kRows, dim, dim}, whole.first.data(), whole.second.data()},
            whole.adam_bias(),
            kAdam);
        adam_groups_split(groups.view(),
                          values.data(),
                          other.vectors_view(),
                          other.back_view(),
                          {high, halves.low.data(), other.first.data(), other.second.data()},
                          other.adam_bias(),
                          kAdam);
        expect_same(whole, other, halves.joined());
        sgd_groups(groups.view(),
                   values.data(),
                   whole.vectors_view(),
                   whole.back_view(),
                   {whole.weights.data(), kRows, dim, dim},
                   whole.bias.data(),
                   kSgd);
        sgd_groups_split(groups.view(),
                         values.data(),
                         other.vectors_view(),
                         other.back_view(),
                         {high, halves.low.data()},
                         other.bias.data(),
                         kSgd);
        expect_same(whole, other, halves.joined());
    }
}

TEST_P(SplitUpdates, GiveTheBitsOfTheScalarLevel) {
    std::vector<std::vector<float>> found;
    for (const Isa isa : {Isa::scalar, GetParam()}) {
        select_isa(isa);
        Layer layer(Draw(5), 100);
        const std::vector<float> gradient = Draw(6).normals(layer.weights.size());
        Halves halves(layer.weights);
        for (int step = 0; step < 20; ++step) {
            adam_row_split(halves.high.data(),
                           halves.low.data(),
                           layer.first.data(),
                           layer.second.data(),
                           gradient.data(),
                           gradient.size(),
                           kAdam);
        }
        found.push_back(halves.joined());
    }
    EXPECT_EQ(found[0], found[1]);
}

TEST_P(Bf16Updates, RoundWhatFp32Gives) {
    for (const std::size_t dim : test::kTailLengths) {
        const Halves before(Draw(7).normals(dim));
        std::vector<float> whole(dim), first = Draw(8).normals(dim), second(dim, 0.5F);
        convert_bf16_to_f32(before.high.data(), dim, whole.data());
        std::vector<float> moments = first, squares = second;
        const std::vector<float> gradient = Draw(9).normals(dim);
        std::vector<Bf16> weights = before.high, expected(dim);
        for (std::uint64_t step = 0; step < 2; ++step) {
            const BitStream random{.seed = 5, .counter = step};
            if (step == 0) {
                adam_row(whole.data(), first.data(), second.data(), gradient.data(), dim, kAdam);
                adam_row_bf16(weights.data(),
                              moments.data(),
                              squares.data(),
                              gradient.data(),
                              dim,
                              kAdam,
                              random);
            } else {
                sgd_row(whole.data(), gradient.data(), dim, kSgd);
                sgd_row_bf16(weights.data(), gradient.data(), dim, kSgd, random);
            }
            round_bf16_stochastic(whole.data(), dim, random, expected.data());
            convert_bf16_to_f32(expected.data(), dim, whole.data());
            for (std::size_t k = 0; k < dim; ++k)
                ASSERT_EQ(weights[k].bits, expected[k].bits) << "dim " << dim;
        }
        EXPECT_EQ(moments, first);
    }
}

// 400 updates of 2^-12 at a weight of 1, whose next bf16 is 2^-7 away: to nearest it would never
// move. Each moves with probability 2^-5 by 2^-7: mean 400 * 2^-12, and five standard deviations of
// the mean of 4,096 weights are 5 * sqrt(400 * 2^-5) * 2^-7 / 64.
TEST_P(Bf16Updates, MoveByWhatIsTooSmallToRoundTo) {
    constexpr std::size_t kDim = 4096;
    std::vector<Bf16> weights(kDim, Bf16{0x3f80});
    const std::vector<float> gradient(kDim, -0x1p-12F);
    for (std::uint64_t step = 0; step < 400; ++step) {
        sgd_row_bf16(weights.data(),
                     gradient.data(),
                     kDim,
                     {.lr = 1, .decay = 0},
                     {.seed = 11, .counter = step});
    }
    std::vector<float> moved(kDim);
    convert_bf16_to_f32(weights.data(), kDim, moved.data());
    double mean = 0;
    for (const float w : moved) mean += (static_cast<double>(w) - 1) / kDim;
    EXPECT_NEAR(mean, 400 * 0x1p-12, 5 * std::sqrt(400 * 0x1p-5) * 0x1p-7 / 64);
}

}  // namespace
}  // namespace slidekit::kernels::optimizer_bf16_test
