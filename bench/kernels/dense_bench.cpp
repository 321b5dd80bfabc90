// The dense product at the shape of the full softmax, both factors as they lie in training, and
// transposes.
//
// Items are floating-point operations, so items_per_second is FLOP/s.
#include <cmath>
#include <cstddef>
#include <vector>

#include <benchmark/benchmark.h>
#include <slidekit/kernels/dense.hpp>

#ifdef SLIDEKIT_BENCH_CBLAS
#include <cblas.h>
#endif

#include "support.hpp"

namespace slidekit::bench {
namespace {

struct Product {
    std::size_t rows;
    std::size_t depth;
    std::size_t columns;
    std::vector<float> a, b, c;

    explicit Product(const benchmark::State& state)
        : rows(static_cast<std::size_t>(state.range(0))),
          depth(static_cast<std::size_t>(state.range(1))),
          columns(static_cast<std::size_t>(state.range(2))),
          a(random_floats(rows * depth)),
          b(random_floats(depth * columns, 3)),
          c(rows * columns) {}

    void count(benchmark::State& state) const {
        count_work(state,
                   2 * rows * depth * columns,
                   (a.size() + b.size() + 2 * c.size()) * sizeof(float));
    }
};

enum class Left { plain, transposed };

template <Left kLeft>
void multiply_add_f32(benchmark::State& state) {
    Product product(state);
    const bool plain = kLeft == Left::plain;
    const kernels::StridedMatrix a{.data = product.a.data(),
                                   .rows = product.rows,
                                   .columns = product.depth,
                                   .row_stride = plain ? product.depth : 1,
                                   .column_stride = plain ? 1 : product.rows};
    const auto run = [&] {
        kernels::multiply_add(a,
                              {product.b.data(), product.depth, product.columns, product.columns},
                              {product.c.data(), product.rows, product.columns, product.columns});
    };
    run();
    float expected = 0;
    for (std::size_t k = 0; k < product.depth; ++k) {
        expected +=
            a.data[7 * a.row_stride + k * a.column_stride] * product.b[k * product.columns + 5];
    }
    if (std::abs(product.c[7 * product.columns + 5] - expected) > 1e-3F)
        return state.SkipWithError("wrong product");
    for (auto _ : state) {
        run();
        benchmark::ClobberMemory();
    }
    product.count(state);
}
// rows x depth x columns: forward (neurons, hidden, batch), gradient of the weights, gradient of
// the batch.
BENCHMARK_TEMPLATE(multiply_add_f32, Left::plain)
    ->ArgNames({"m", "k", "n"})
    ->Args({512, 128, 256})
    ->Args({512, 256, 128})
    ->Args({100, 128, 100});
BENCHMARK_TEMPLATE(multiply_add_f32, Left::transposed)
    ->ArgNames({"m", "k", "n"})
    ->Args({512, 128, 256})
    ->Args({256, 512, 128});

#ifdef SLIDEKIT_BENCH_CBLAS
void openblas_sgemm(benchmark::State& state) {
    Product product(state);
    const auto m = static_cast<int>(product.rows), k = static_cast<int>(product.depth),
               n = static_cast<int>(product.columns);
    openblas_set_num_threads(1);
    for (auto _ : state) {
        cblas_sgemm(CblasRowMajor,
                    CblasNoTrans,
                    CblasNoTrans,
                    m,
                    n,
                    k,
                    1,
                    product.a.data(),
                    k,
                    product.b.data(),
                    n,
                    1,
                    product.c.data(),
                    n);
        benchmark::ClobberMemory();
    }
    product.count(state);
}
BENCHMARK(openblas_sgemm)
    ->ArgNames({"m", "k", "n"})
    ->Args({512, 128, 256})
    ->Args({512, 256, 128})
    ->Args({100, 128, 100});
#endif

void transpose_f32(benchmark::State& state) {
    const auto rows = static_cast<std::size_t>(state.range(0));
    const auto columns = static_cast<std::size_t>(state.range(1));
    const std::vector<float> in = random_floats(rows * columns);
    std::vector<float> out(rows * columns);
    for (auto _ : state) {
        kernels::transpose({in.data(), rows, columns, columns}, {out.data(), columns, rows, rows});
        benchmark::ClobberMemory();
    }
    count_work(state, rows * columns, 2 * rows * columns * sizeof(float));
}
BENCHMARK(transpose_f32)->ArgNames({"rows", "columns"})->Args({256, 128})->Args({250, 100});

}  // namespace
}  // namespace slidekit::bench
