// The weights of a layer: a matrix of rows and a bias a row, with the moments that Adam keeps of
// both.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/optimizer.hpp>
#include <slidekit/kernels/views.hpp>
#include <slidekit/system/region.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn {

enum class Optimizer { adam, sgd };
enum class Bias { none, per_row };

/// One update's numbers; which alternative it holds is the optimiser.
using UpdateRule = std::variant<kernels::AdamStep, kernels::SgdStep>;

/// Floats from row to row, so that each row starts on a cache line.
[[nodiscard]] constexpr std::size_t padded_stride(std::size_t dim) noexcept {
    return (dim + 15) / 16 * 16;
}

/// Move-only; thread-compatible, and rows may be updated by different threads at once.
class SLIDEKIT_API Parameters {
public:
    /// Zero weights. `name` ("output") tags the regions; moments exist for adam only. Throws Error
    /// (memory).
    Parameters(system::Runtime& runtime,
               const std::string& name,
               std::uint32_t rows,
               std::uint32_t dim,
               Optimizer optimizer,
               Bias bias);

    /// Draws weights from N(0, deviation), each row from a stream of its own; biases become zero.
    void initialize(system::Executor& executor,
                    std::uint64_t seed,
                    std::uint64_t layer,
                    float deviation);

    [[nodiscard]] kernels::RowMatrix<float> weights() noexcept { return weights_; }
    [[nodiscard]] kernels::RowMatrix<const float> weights() const noexcept { return weights_; }
    /// One bias a row; empty where there is none.
    [[nodiscard]] std::span<float> bias() noexcept { return bias_; }
    [[nodiscard]] std::span<const float> bias() const noexcept { return bias_; }
    [[nodiscard]] std::uint32_t rows() const noexcept {
        return static_cast<std::uint32_t>(weights_.rows);
    }
    [[nodiscard]] std::uint32_t dim() const noexcept {
        return static_cast<std::uint32_t>(weights_.dim);
    }

    /// Backward pass and update of the groups' rows and biases; see kernels::adam_groups.
    void update_groups(kernels::GroupsView groups,
                       const float* values,
                       kernels::RowMatrix<const float> vectors,
                       kernels::RowMatrix<float> back,
                       const UpdateRule& rule) noexcept;

    /// Updates one row, and its bias where it has one, by a gradient that stands ready.
    void update_row(std::size_t row,
                    const float* gradient,
                    float bias_gradient,
                    const UpdateRule& rule) noexcept;

    /// Bytes that parameters of this shape take.
    [[nodiscard]] static std::size_t bytes(std::uint64_t rows,
                                           std::uint64_t dim,
                                           Optimizer optimizer) noexcept;

private:
    kernels::RowMatrix<float> weights_;
    std::span<float> bias_;
    kernels::AdamRows adam_rows_;
    kernels::AdamBias adam_bias_;
    system::Region weight_region_;
    system::Region first_region_;
    system::Region second_region_;
    system::Region bias_region_;  // bias, then its two moments
};

}  // namespace slidekit::nn
