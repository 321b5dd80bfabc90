// Rank rows: quantised copies and the scores they give.
#include "nn/rank_rows.hpp"

#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dot.hpp>

namespace slidekit::nn {

RankRows::RankRows(system::Runtime& runtime,
                   std::uint32_t rows,
                   std::uint32_t dim,
                   const RowHomes& homes) {
    const std::size_t stride = (std::size_t{dim} + 63) / 64 * 64;  // whole cache lines
    const auto allocate = [&](std::size_t bytes_per_row, const char* name) {
        return runtime.allocate(
            rows * bytes_per_row, name, placement(runtime, homes, bytes_per_row));
    };
    row_region_ = allocate(stride, "output.rank_rows");
    rows_ = {row_region_.as<std::int8_t>().data(), rows, dim, stride};
    affine_region_ = allocate(2 * sizeof(float), "output.rank_affine");
    affine_ = {affine_region_.as<float>().data(), rows, 2, 2};
}

void RankRows::refresh(std::uint32_t id, const float* row, float bias) noexcept {
    affine_.row(id)[0] = kernels::quantize_i8(row, rows_.dim, rows_.row(id));
    affine_.row(id)[1] = bias;
}

void RankRows::prefetch(std::uint32_t id) const noexcept {
    constexpr std::size_t kLine = 64;
    for (std::size_t k = 0; k < rows_.stride; k += kLine)
        __builtin_prefetch(rows_.row(id) + k, 1, 2);
    __builtin_prefetch(affine_.row(id), 1, 2);
}

void RankRows::score(const float* activation,
                     std::span<const std::uint32_t> ids,
                     std::uint8_t* quantized,
                     float* scores) const noexcept {
    const float step = kernels::quantize_u7(activation, rows_.dim, quantized);
    kernels::score_rows_i8(quantized, step, rows_, affine_, ids.data(), ids.size(), scores);
}

}  // namespace slidekit::nn
