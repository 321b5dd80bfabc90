// Rank rows: quantised copies and the scores they give.
#include "nn/rank_rows.hpp"

#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dot.hpp>

namespace slidekit::nn {

RankRows::RankRows(system::Runtime& runtime, std::uint32_t rows, std::uint32_t dim) : steps_(rows) {
    const std::size_t stride = (std::size_t{dim} + 63) / 64 * 64;  // whole cache lines
    region_ = runtime.allocate(rows * stride, "output.rank_rows");
    rows_ = {region_.as<std::int8_t>().data(), rows, dim, stride};
}

void RankRows::refresh(std::uint32_t id, const float* row) noexcept {
    steps_[id] = kernels::quantize_i8(row, rows_.dim, rows_.row(id));
}

void RankRows::score(const float* activation,
                     const float* bias,
                     std::span<const std::uint32_t> ids,
                     std::uint8_t* quantized,
                     std::int32_t* dots,
                     float* scores) const noexcept {
    const float step = kernels::quantize_u7(activation, rows_.dim, quantized);
    kernels::dot_rows_i8(quantized, rows_, ids.data(), ids.size(), dots);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const std::uint32_t id = ids[i];
        scores[i] = static_cast<float>(dots[i]) * (step * steps_[id]) + bias[id];
    }
}

}  // namespace slidekit::nn
