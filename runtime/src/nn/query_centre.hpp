// What queries are centred on before hashing: a running mean of what a layer reads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/views.hpp>
#include <slidekit/nn/state.hpp>

#include "nn/sparse_batch.hpp"

namespace slidekit::nn {

class QueryCentre {
public:
    explicit QueryCentre(std::size_t dim) : mean_(dim) {}

    /// Moves the mean towards that of a batch.
    void observe(kernels::RowMatrix<const float> rows) noexcept {
        const float weight = begin(rows.rows);
        for (std::size_t s = 0; s < rows.rows; ++s)
            kernels::axpy(weight, rows.row(s), mean_.data(), rows.dim);
    }
    void observe(const SparseBatch& rows) noexcept {
        const float weight = begin(rows.rows());
        for (std::size_t s = 0; s < rows.rows(); ++s) {
            const kernels::SparseView row = rows.row(s);
            for (std::size_t i = 0; i < row.nnz; ++i) mean_[row.ids[i]] += weight * row.values[i];
        }
    }
    /// Takes a known mean. Requires: as many elements.
    void set(std::span<const float> mean) {
        std::copy_n(mean.begin(), mean_.size(), mean_.begin());
        known_ = true;
    }
    [[nodiscard]] std::span<const float> mean() const noexcept { return mean_; }

    void visit_state(StateVisitor& state, const std::string& name) {
        state.values(name + ".query_centre", std::span(mean_));
        state.numbers(name + ".query_centre_known", known_);
    }

private:
    // Weight of the newest batch: about ten batches of memory, short against the drift of the
    // activations and long against the noise of a small batch.
    static constexpr float kRate = 0.1F;

    // Makes room for a batch of so many rows; what each of them weighs.
    float begin(std::size_t rows) noexcept {
        const float rate = known_ ? kRate : 1.0F;
        known_ = true;
        kernels::scale(1 - rate, mean_.data(), mean_.size());
        return rate / static_cast<float>(rows);
    }

    std::vector<float> mean_;
    bool known_ = false;
};

}  // namespace slidekit::nn
