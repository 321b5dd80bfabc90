// 8-bit copies of weight rows, for ranking candidates at a quarter of the memory traffic.
//
// A row is rounded to 127 steps of its own largest weight; the activation, non-negative after ReLU,
// to 127 steps of its largest. The order of the best candidates hardly changes, and the logits that
// training uses are computed from the fp32 rows afterwards.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <slidekit/kernels/views.hpp>
#include <slidekit/nn/parameters.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn {

class RankRows {
public:
    RankRows(system::Runtime& runtime,
             std::uint32_t rows,
             std::uint32_t dim,
             const RowHomes& homes = {});

    /// Takes a copy of row `id` and its bias. Distinct rows may be refreshed by different threads
    /// at once.
    void refresh(std::uint32_t id, const float* row, float bias) noexcept;
    /// Asks for the cache lines that refresh() will write.
    void prefetch(std::uint32_t id) const noexcept;

    /// scores[i] = activation . row ids[i] + bias of ids[i], within rounding. activation: dim
    /// non-negative floats; quantized: dim bytes of scratch.
    void score(const float* activation,
               std::span<const std::uint32_t> ids,
               std::uint8_t* quantized,
               float* scores) const noexcept;

    /// The bytes, zeros behind the last coordinate up to the stride, and of each row the size of
    /// one step (a weight is about step times byte) and the bias.
    [[nodiscard]] kernels::RowMatrix<const std::int8_t> rows() const noexcept { return rows_; }
    [[nodiscard]] kernels::RowMatrix<const float> affine() const noexcept { return affine_; }

    void visit_state(StateVisitor& state, const std::string& name) {
        state.rows(name + ".rank_rows", rows_);
        state.rows(name + ".rank_affine", affine_);
    }

private:
    system::Region row_region_;
    system::Region affine_region_;
    kernels::RowMatrix<std::int8_t> rows_;
    kernels::RowMatrix<float> affine_;  // {step, bias} by row
};

}  // namespace slidekit::nn
