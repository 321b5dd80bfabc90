// 8-bit copies of weight rows, for ranking candidates at a quarter of the memory traffic.
//
// A row is rounded to 127 steps of its own largest weight; the activation, non-negative after ReLU,
// to 127 steps of its largest. The order of the best candidates hardly changes, and the logits that
// training uses are computed from the fp32 rows afterwards.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/kernels/views.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn {

class RankRows {
public:
    RankRows(system::Runtime& runtime, std::uint32_t rows, std::uint32_t dim);

    /// Takes a copy of row `id`. Distinct rows may be refreshed by different threads at once.
    void refresh(std::uint32_t id, const float* row) noexcept;

    /// scores[i] = activation . row ids[i] + bias[ids[i]], within rounding. activation: dim
    /// non-negative floats; quantized: dim bytes and dots: ids.size() integers of scratch.
    void score(const float* activation,
               const float* bias,
               std::span<const std::uint32_t> ids,
               std::uint8_t* quantized,
               std::int32_t* dots,
               float* scores) const noexcept;

    /// The bytes, zeros behind the last coordinate up to the stride, and the size of one step of
    /// each row: a weight is about step times byte.
    [[nodiscard]] kernels::RowMatrix<const std::int8_t> rows() const noexcept { return rows_; }
    [[nodiscard]] std::span<const float> steps() const noexcept { return steps_; }

private:
    system::Region region_;
    kernels::RowMatrix<std::int8_t> rows_;
    std::vector<float> steps_;  // size of one step, by row
};

}  // namespace slidekit::nn
