// Forms beside a level, which a processor with more instructions takes: a machine that has them
// never runs the level's own form through the public functions, so that both are called by their
// tables here.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/kernels/isa.hpp>

#include "hash_functions.hpp"
#include "table.hpp"

namespace slidekit::kernels::forms_test {
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

// The level's own form is what processors without tiles run; widths and numbers of rows and vectors
// on both sides of whole tiles.
TEST(Forms, OfByteProductsGiveTheBitsOfTheScalarLevel) {
    if (!is_supported(Isa::avx512bf16)) GTEST_SKIP() << "this machine cannot run avx512bf16";
    const KernelTable& vnni = *detail::avx512bf16_table();
    Draw draw(2);
    for (const std::size_t quads : {1U, 15U, 16U, 17U, 32U, 64U}) {
        for (std::size_t round = 0; round < 40; ++round) {
            const std::size_t count = draw.below(100);
            const std::size_t vectors = draw.below(100);
            std::vector<std::uint8_t> x(quads * 4 * vectors);
            for (std::uint8_t& byte : x) byte = static_cast<std::uint8_t>(draw.bits());
            std::vector<std::int8_t> rows(200 * 4 * quads);
            for (std::int8_t& byte : rows) byte = static_cast<std::int8_t>(draw.bits());
            std::vector<float> scales(2 * 200 + vectors);
            for (float& scale : scales) scale = draw.normal();
            std::vector<std::uint32_t> ids(count);
            for (auto& id : ids) id = static_cast<std::uint32_t>(draw.below(200));
            const auto product = [&](const KernelTable& table) {
                std::vector<float> out(count * vectors);
                table.multiply_rows_i8({x.data(), quads, 4 * vectors, 4 * vectors},
                                       scales.data() + 2 * 200,
                                       {rows.data(), 200, 4 * quads, 4 * quads},
                                       {scales.data(), 200, 2, 2},
                                       ids.data(),
                                       count,
                                       {out.data(), count, vectors, vectors});
                return out;
            };
            const std::vector<float> expected = product(*detail::scalar_table());
            ASSERT_EQ(product(vnni), expected) << quads << " x " << count << " x " << vectors;
            const auto scan = [&](const KernelTable& table) {
                std::vector<Hit> hits(count * vectors);
                const std::vector<float> threshold(vectors);
                hits.resize(table.scan_rows_i8({x.data(), quads, 4 * vectors, 4 * vectors},
                                               scales.data() + 2 * 200,
                                               vectors,
                                               {rows.data(), 200, 4 * quads, 4 * quads},
                                               {scales.data(), 200, 2, 2},
                                               ids.data(),
                                               count,
                                               threshold.data(),
                                               hits.data()));
                std::vector<std::tuple<std::uint32_t, std::uint32_t, float>> listed;
                for (const Hit& hit : hits) listed.emplace_back(hit.row, hit.column, hit.value);
                return listed;
            };
            ASSERT_EQ(scan(vnni), scan(*detail::scalar_table()));
        }
    }
}

}  // namespace
}  // namespace slidekit::kernels::forms_test
