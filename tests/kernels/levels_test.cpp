// Every kernel of the list, on every level, against the scalar level (which itself has to stay
// within its arrays, and to do the same twice): all sizes from 0 to 300, both guards, friendly and
// adversarial data. What a new kernel needs to be tested here is its line in kernels.def.
//
// Exact kernels have to give the same bits. The others may differ by the rounding of their sums: by
// c n eps times what the scalar level gives for the magnitudes of all numbers, or what stood there
// before (a difference of two sums of magnitudes is no bound, but it and one of the two are).
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/isa.hpp>

#include "guarded_arguments.hpp"
#include "kernel_calls.hpp"

namespace slidekit::kernels::levels_test {
namespace {

using calls::Agreement;
using test::Data;
using test::Guard;
using test::GuardedArguments;

// Under emulators and sanitizers, and without optimisation, where a call takes tens of times as
// long: SLIDEKIT_TEST_SIZES=few.
const bool kFewSizes = std::getenv("SLIDEKIT_TEST_SIZES") != nullptr;
const std::size_t kLargestSize = kFewSizes ? 130 : 300;
// Of all sizes of a call multiplied: the scalar level has to keep up.
const std::size_t kMostWork = std::size_t{1} << (kFewSizes ? 13 : 18);

// A call's outputs, its result behind them.
struct Outcome {
    std::vector<std::vector<std::byte>> outputs;
    std::vector<bool> is_float;
};

template <class Entry, class Call>
Outcome outcome(const GuardedArguments& arguments, const Call& call) {
    using Result = decltype(call(Entry::function));
    Outcome after;
    if constexpr (std::is_void_v<Result>) {
        call(Entry::function);
        after = {arguments.outputs(), arguments.output_is_float()};
    } else {
        const Result result = call(Entry::function);
        after = {arguments.outputs(), arguments.output_is_float()};
        const auto* bytes = reinterpret_cast<const std::byte*>(&result);
        after.outputs.emplace_back(bytes, bytes + sizeof(result));
        after.is_float.push_back(std::is_same_v<Result, float>);
    }
    return after;
}

float float_at(const std::vector<std::byte>& bytes, std::size_t i) {
    float x;
    std::memcpy(&x, bytes.data() + i * sizeof(float), sizeof(float));
    return x;
}

// Halves of weights as the weights that they are: what is near in them is the number, not its bits.
// Two outputs that are no floats, of one size and one after the other, are such halves; no other
// kernel whose levels agree nearly has any.
Outcome with_joined_halves(Outcome outcome) {
    for (std::size_t o = 0; o + 1 < outcome.outputs.size(); ++o) {
        if (outcome.is_float[o] || outcome.is_float[o + 1]) continue;
        const std::vector<std::byte> high = outcome.outputs[o], low = outcome.outputs[o + 1];
        if (high.size() != low.size()) continue;
        outcome.outputs[o].resize(2 * high.size());
        for (std::size_t i = 0; i < high.size(); ++i) {
            std::byte* const weight = outcome.outputs[o].data() + i / 2 * 4;
            weight[i % 2] = low[i];
            weight[i % 2 + 2] = high[i];
        }
        outcome.outputs.erase(outcome.outputs.begin() + static_cast<std::ptrdiff_t>(o) + 1);
        outcome.is_float.erase(outcome.is_float.begin() + static_cast<std::ptrdiff_t>(o) + 1);
        outcome.is_float[o] = true;
    }
    return outcome;
}

// Empty where all is as close as it has to be.
std::string difference(const Outcome& expected,
                       const Outcome& got,
                       const Outcome& magnitudes,
                       const std::vector<std::vector<std::byte>>& before,
                       double tolerance) {
    for (std::size_t o = 0; o < expected.outputs.size(); ++o) {
        const auto& a = expected.outputs[o];
        const auto& b = got.outputs[o];
        if (a == b) continue;
        if (!expected.is_float[o] || tolerance == 0)
            return "output " + std::to_string(o) + " differs";
        for (std::size_t i = 0; i < a.size() / sizeof(float); ++i) {
            const double x = float_at(a, i);
            const double y = float_at(b, i);
            const double m = float_at(magnitudes.outputs[o], i);
            const double old = o < before.size() ? std::abs(float_at(before[o], i)) : 0;
            if (x == y || (std::isnan(x) && std::isnan(y))) continue;
            const double bound = tolerance * std::max({std::abs(x), std::abs(m), old, 1e-30});
            if (std::abs(x - y) <= bound) continue;
            return "output " + std::to_string(o) + "[" + std::to_string(i) +
                   "]: " + std::to_string(x) + " became " + std::to_string(y);
        }
    }
    return {};
}

template <class Entry>
std::string describe(const std::size_t* sizes, Guard guard, Data data) {
    std::string text;
    for (std::size_t i = 0; i < Entry::size_count; ++i)
        text += std::string(Entry::size_names[i]) + "=" + std::to_string(sizes[i]) + " ";
    return text + (guard == Guard::before ? "guard before" : "guard after") + ", data " +
           std::to_string(static_cast<int>(data));
}

template <class Entry>
void compare(Isa isa, const std::size_t* sizes, std::uint64_t seed, Guard guard, Data data) {
    GuardedArguments arguments(test::Draw(seed), guard, data);
    const auto call = Entry::call(arguments, sizes);
    const auto before = arguments.outputs();
    const auto run = [&](Isa level) {
        arguments.restore(before);
        select_isa(level);
        return outcome<Entry>(arguments, call);
    };
    Outcome expected = run(Isa::scalar);
    Outcome got = run(isa);
    Outcome start{before, arguments.output_is_float()};
    Outcome magnitudes = expected;
    double tolerance = 0;
    if (Entry::agreement == Agreement::near) {
        arguments.restore(before);
        arguments.take_magnitudes();
        select_isa(Isa::scalar);
        magnitudes = outcome<Entry>(arguments, call);
        for (Outcome* one : {&expected, &got, &magnitudes, &start})
            *one = with_joined_halves(std::move(*one));
        std::size_t terms = 8;
        for (std::size_t i = 0; i < Entry::size_count; ++i) terms += sizes[i];
        tolerance = 2 * static_cast<double>(terms) * std::numeric_limits<float>::epsilon();
    }
    ASSERT_EQ(difference(expected, got, magnitudes, start.outputs, tolerance), "")
        << describe<Entry>(sizes, guard, data);
}

// Sizes that the sweep of another one runs beside: small, and each of them met.
template <class Entry>
void draw_sizes(test::Draw& draw, std::size_t* sizes) {
    constexpr std::size_t kUsual[] = {1, 2, 5, 17, 33, 300};
    for (std::size_t i = 0; i < Entry::size_count; ++i) {
        sizes[i] = std::clamp(
            kUsual[draw.below(std::size(kUsual))], Entry::limits[i].least, Entry::limits[i].most);
    }
}

template <class Entry>
std::vector<Data> data_of() {
    if (Entry::agreement == Agreement::near) return {Data::normal, Data::relu, Data::ties};
    if (Entry::agreement == Agreement::finite)
        return {Data::normal, Data::relu, Data::ties, Data::tiny, Data::huge};
    return {Data::normal, Data::relu, Data::ties, Data::tiny, Data::huge, Data::special};
}

template <class Entry>
class SweepOfSizes : public ::testing::Test {
public:
    explicit SweepOfSizes(Isa isa) : isa_(isa) {}

    void TestBody() override {
        const Isa active = active_isa();
        if (!is_supported(isa_)) GTEST_SKIP() << "this machine cannot run " << isa_name(isa_);
        const std::vector<Data> data = data_of<Entry>();
        test::Draw draw(1);
        std::size_t compared = 0;
        for (std::size_t swept = 0; swept < Entry::size_count; ++swept) {
            const std::size_t last = std::min(kLargestSize, Entry::limits[swept].most);
            for (std::size_t n = Entry::limits[swept].least; n <= last && !HasFailure(); ++n) {
                for (const Guard guard : test::kGuards) {
                    const Data kind = data[draw.below(data.size())];
                    compared += compare_with(draw, swept, n, guard, kind) ? 1U : 0U;
                }
            }
        }
        EXPECT_GT(compared, 0U);
        select_isa(active);
    }

    // With other sizes that go with it, if some turn up in a few draws.
    bool compare_with(test::Draw& draw, std::size_t swept, std::size_t n, Guard guard, Data data) {
        for (int attempt = 0; attempt < 12; ++attempt) {
            std::size_t sizes[Entry::size_count];
            draw_sizes<Entry>(draw, sizes);
            sizes[swept] = n;
            if (calls::product_of_sizes<Entry>(sizes) > kMostWork) continue;
            try {
                compare<Entry>(isa_, sizes, draw.bits(), guard, data);
                return true;
            } catch (const test::NoSuchArguments&) {
            }
        }
        return false;
    }

private:
    Isa isa_;
};

void register_tests() {
    calls::for_each_kernel([](auto entry) {
        using Entry = decltype(entry);
        for (const Isa isa : kIsaLevels) {
            const std::string test = std::string(Entry::name) + "/" + std::string(isa_name(isa));
            ::testing::RegisterTest(
                "AgreesWithScalar",
                test.c_str(),
                nullptr,
                nullptr,
                __FILE__,
                __LINE__,
                [isa]() -> ::testing::Test* { return new SweepOfSizes<Entry>(isa); });
        }
    });
}

}  // namespace
}  // namespace slidekit::kernels::levels_test

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    slidekit::kernels::levels_test::register_tests();
    return RUN_ALL_TESTS();
}
