// Exact top-k: see the header.
#include "nn/exact_top.hpp"

#include <algorithm>
#include <vector>

#include <slidekit/kernels/dense.hpp>
#include <slidekit/kernels/topk.hpp>

#include "nn/finite.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr std::size_t kRowsAtOnce = 256;

// Inserts into a list that is sorted by descending score; neurons come in ascending order, so an
// equal score stays behind those that are there.
void insert(std::span<Ranked> best, Ranked item) {
    std::size_t at = best.size() - 1;
    while (at > 0 && best[at - 1].score < item.score) {
        best[at] = best[at - 1];
        --at;
    }
    best[at] = item;
}

}  // namespace

void exact_top(const Parameters& output,
               RowMatrix<const float> hidden,
               std::uint32_t count,
               std::span<Ranked> best) {
    if (count == 0) return;
    const std::size_t points = hidden.rows;
    const std::size_t stride = padded_stride(points);
    std::vector<float> joined;
    std::vector<float> transposed(hidden.dim * stride);
    std::vector<float> logits(kRowsAtOnce * stride);
    std::vector<kernels::Hit> hits(kRowsAtOnce * points);
    std::vector<float> threshold(points, kLowest);
    std::fill(best.begin(), best.end(), Ranked{.label = 0, .score = kLowest});
    const RowMatrix<float> columns{transposed.data(), hidden.dim, points, stride};
    kernels::transpose(hidden, columns);

    // The first block is short, so that thresholds are there before the many rows come.
    std::size_t block_rows = std::max<std::size_t>(count, 16);
    for (std::size_t begin = 0; begin < output.rows();) {
        const std::size_t rows = std::min({block_rows, kRowsAtOnce, output.rows() - begin});
        const RowMatrix<const float> weights = output.block(begin, rows, joined);
        const RowMatrix<float> block{logits.data(), rows, points, stride};
        for (std::size_t r = 0; r < rows; ++r)
            std::fill_n(block.row(r), points, output.bias()[begin + r]);
        kernels::multiply_add({.data = weights.data,
                               .rows = rows,
                               .columns = weights.dim,
                               .row_stride = weights.stride},
                              columns,
                              block);
        const std::size_t found = kernels::find_above_columns(block, threshold.data(), hits.data());
        for (std::size_t i = 0; i < found; ++i) {
            const kernels::Hit& hit = hits[i];
            if (!(hit.value > threshold[hit.column])) continue;  // an earlier hit has raised it
            const std::span<Ranked> list = best.subspan(hit.column * count, count);
            insert(list,
                   {.label = static_cast<std::uint32_t>(begin) + hit.row, .score = hit.value});
            threshold[hit.column] = list.back().score;
        }
        begin += rows;
        block_rows = kRowsAtOnce;
    }
}

}  // namespace slidekit::nn
