// Forms beside a level, which a processor with more instructions takes: a machine that has them
// never runs the level's own form through the public functions, so that both are called by their
// tables here.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/isa.hpp>

#include "hash_functions.hpp"
#include "table.hpp"

namespace slidekit::kernels {
namespace {

using detail::KernelTable;
using test::Draw;

std::vector<KernelTable> forms_of_avx512() {
    std::vector<KernelTable> tables{*detail::avx512_table()};
    if (__builtin_cpu_supports("avx512vbmi")) {
        tables.push_back(*detail::avx512_table());
        detail::use_avx512vbmi(tables.back());
    }
    return tables;
}

float any_value(Draw& draw, std::size_t kind) {
    const float x = draw.normal();
    switch (kind) {
        case 1: return x > 0 ? x : 0;                      // ReLU
        case 2: return static_cast<float>(draw.below(3));  // ties
        case 3: return draw.below(9) == 0 ? std::numeric_limits<float>::quiet_NaN() : x;
        case 4: return x * 1e-40F;
        default: return x;
    }
}

TEST(Forms, OfDwtaGiveTheKeysOfTheScalarLevel) {
    if (!is_supported(Isa::avx512)) GTEST_SKIP() << "this machine cannot run avx512";
    Draw draw(1);
    for (const KernelTable& table : forms_of_avx512()) {
        for (const std::uint32_t dim : {8U, 63U, 100U, 128U, 129U, 300U}) {
            for (std::size_t round = 0; round < 60; ++round) {
                const auto k = static_cast<std::uint32_t>(1 + draw.below(10));
                const auto l = static_cast<std::uint32_t>(1 + draw.below(60));
                const auto shift = static_cast<std::uint32_t>(2 + draw.below(2));
                const test::DwtaFunctions functions(dim, k, l, shift, draw.bits());
                std::vector<float> x(dim);
                for (float& value : x) value = any_value(draw, round % 5);
                std::vector<std::uint32_t> keys(l);
                std::vector<std::uint32_t> expected(l);
                table.hash_dwta(functions.plan(), x.data(), keys.data());
                detail::scalar_table()->hash_dwta(functions.plan(), x.data(), expected.data());
                ASSERT_EQ(keys, expected) << "dim " << dim << ", K " << k << ", L " << l;
            }
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels
