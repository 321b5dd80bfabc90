// The weights of a layer: a matrix of rows and a bias a row, with what the optimiser keeps of both.
//
// Weights are whole floats, or halves: the upper ones are bf16 and all that products read, the
// lower ones make the exact master that updates see. Both take the same memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/optimizer.hpp>
#include <slidekit/kernels/optimizer_bf16.hpp>
#include <slidekit/kernels/views.hpp>
#include <slidekit/nn/state.hpp>
#include <slidekit/system/region.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::nn {

/// adam moves the rows that have a gradient (lazy); adam_dense all rows at each step, as the two
/// released SLIDE codes do; adagrad_row keeps one accumulator a row; momentum is lazy too.
enum class Optimizer { adam, adam_dense, adagrad_row, sgd, momentum };
enum class Precision { fp32, bf16 };
enum class Bias { none, per_row };

/// One update's numbers; the alternative is that of the optimiser (AdamStep for both Adams).
using UpdateRule =
    std::variant<kernels::AdamStep, kernels::SgdStep, kernels::MomentumStep, kernels::AdagradStep>;

/// Floats from row to row, so that each row starts on a cache line.
[[nodiscard]] constexpr std::size_t padded_stride(std::size_t dim) noexcept {
    return (dim + 15) / 16 * 16;
}

/// Which domain's memory rows stand in: spread page by page over all, or each domain the rows up to
/// its end (ends of row ranges, one a domain of the runtime, ascending).
struct RowHomes {
    std::vector<std::uint32_t> ends;  // empty: spread
};
/// Of an array with so many bytes a row.
[[nodiscard]] SLIDEKIT_API system::Placement placement(const system::Runtime& runtime,
                                                       const RowHomes& homes,
                                                       std::size_t bytes_per_row);

/// Whole floats and what the optimiser keeps of them, in place; null and 0 where there is none.
struct RowState {
    kernels::RowMatrix<float> weights;
    float* first = nullptr;  // moments, velocities or accumulators of the rows
    std::size_t first_stride = 0;
    float* second = nullptr;
    std::size_t second_stride = 0;
    float* bias = nullptr;  // one a row, and so are its moments
    float* bias_first = nullptr;
    float* bias_second = nullptr;
};
/// Parameters::update_groups on such rows.
void update_groups(const RowState& rows,
                   kernels::GroupsView groups,
                   const float* values,
                   kernels::RowMatrix<const float> vectors,
                   kernels::RowMatrix<float> back,
                   const UpdateRule& rule) noexcept;

/// Move-only; thread-compatible, and rows may be updated by different threads at once.
class SLIDEKIT_API Parameters {
public:
    /// Zero weights. `name` ("output") tags the regions; there is as much state as the optimiser
    /// needs. Throws Error (memory).
    Parameters(system::Runtime& runtime,
               const std::string& name,
               std::uint32_t rows,
               std::uint32_t dim,
               Optimizer optimizer,
               Bias bias,
               Precision precision = Precision::fp32,
               const RowHomes& homes = {});

    /// Draws weights from N(0, deviation), each row from a stream of its own; biases become zero.
    void initialize(system::Executor& executor,
                    std::uint64_t seed,
                    std::uint64_t layer,
                    float deviation);

    [[nodiscard]] Optimizer optimizer() const noexcept { return optimizer_; }
    [[nodiscard]] Precision precision() const noexcept { return precision_; }
    /// The rows in place; data is null where they are halves.
    [[nodiscard]] kernels::RowMatrix<float> weights() noexcept { return weights_; }
    [[nodiscard]] kernels::RowMatrix<const float> weights() const noexcept { return weights_; }
    /// Weights and state in place. Requires: Precision::fp32.
    [[nodiscard]] RowState state() noexcept;
    /// One bias a row; empty where there is none.
    [[nodiscard]] std::span<float> bias() noexcept { return bias_; }
    [[nodiscard]] std::span<const float> bias() const noexcept { return bias_; }
    [[nodiscard]] std::uint32_t rows() const noexcept {
        return static_cast<std::uint32_t>(weights_.rows);
    }
    [[nodiscard]] std::uint32_t dim() const noexcept {
        return static_cast<std::uint32_t>(weights_.dim);
    }

    /// A row in fp32, exactly: in place, or joined into `scratch` (dim floats).
    [[nodiscard]] const float* row(std::size_t id, float* scratch) const noexcept;
    void copy_row(std::size_t id, float* out) const noexcept;
    /// Ask for the cache lines of a row that will be read, and of its state that will be updated.
    void prefetch_weights(std::size_t id) const noexcept;
    void prefetch_state(std::size_t id) const noexcept;
    void set_row(std::size_t id, const float* values) noexcept;
    /// Rows begin .. begin + count - 1 in fp32: in place, or joined into `scratch`, which grows.
    [[nodiscard]] kernels::RowMatrix<const float> block(std::size_t begin,
                                                        std::size_t count,
                                                        std::vector<float>& scratch) const;

    /// kernels::dot_groups, dot_rows and bag_rows on these rows, of halves the upper ones; bias
    /// only in the first.
    void dot_groups(kernels::GroupsView groups,
                    kernels::RowMatrix<const float> vectors,
                    float* out) const noexcept;
    void dot_rows(const float* x,
                  const std::uint32_t* ids,
                  std::size_t count,
                  float* out) const noexcept;
    void bag_rows(kernels::SparseView input, float* out) const noexcept;

    /// Backward pass and update of the groups' rows and biases; see kernels::adam_groups. Requires:
    /// a rule of the optimiser that these were made for.
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

    /// Scratch of update_coordinates: weights and state of the coordinates, gathered.
    struct Gathered {
        std::vector<float> weights;
        std::vector<float> first;
        std::vector<float> second;
    };
    /// Updates some coordinates of a row, each once, and its bias. What stands at others stays as
    /// it is, state included; the mean square of adagrad_row is over these coordinates. Requires:
    /// fp32.
    void update_coordinates(std::size_t row,
                            std::span<const std::uint32_t> coordinates,
                            const float* gradient,
                            float bias_gradient,
                            const UpdateRule& rule,
                            Gathered& scratch);

    /// adam_dense: updates rows first .. end - 1 but the groups' by a gradient of zero, so that
    /// their moments decay and their weights move on; nothing for the others. Once a step, after
    /// the groups.
    void update_others(system::Executor& executor,
                       kernels::GroupsView groups,
                       const UpdateRule& rule,
                       std::size_t first,
                       std::size_t end);

    /// The first row of which a weight or the bias is NaN or infinite. Reads all weights once.
    [[nodiscard]] std::optional<std::uint32_t> first_nonfinite(system::Executor& executor) const;

    /// Weights, biases and what the optimiser keeps of both: "output.weight" and so on.
    void visit_state(StateVisitor& state, const std::string& name);

    /// Bytes that parameters of this shape take, in either precision.
    [[nodiscard]] static std::size_t bytes(std::uint64_t rows,
                                           std::uint64_t dim,
                                           Optimizer optimizer) noexcept;

private:
    void update_bias(std::size_t row, float gradient, const UpdateRule& rule) noexcept;

    kernels::RowMatrix<float> weights_;
    kernels::SplitRows halves_;
    float* first_ = nullptr;   // first moment, velocity, or Adagrad's accumulators, one a row
    float* second_ = nullptr;  // second moment
    std::span<float> bias_;
    float* bias_first_ = nullptr;
    float* bias_second_ = nullptr;
    Optimizer optimizer_;
    Precision precision_;
    std::vector<float> zeros_;  // dim; a gradient, and a factor that only NaN and infinity survive
    system::Region weight_region_;
    system::Region low_region_;
    system::Region first_region_;
    system::Region second_region_;
    system::Region bias_region_;
    system::Region bias_first_region_;
    system::Region bias_second_region_;
};

}  // namespace slidekit::nn
