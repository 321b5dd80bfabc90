// Gradients of a layer, summed by several threads without synchronisation, for one update a batch.
//
// What the released SLIDE code calls HOGWILD: a sum is loaded, added to and stored back, by relaxed
// atomics, so that what two threads add to one row at once may be lost.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <slidekit/nn/parameters.hpp>
#include <slidekit/system/executor.hpp>
#include <slidekit/system/region.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/relaxed_rows.hpp"
#include "nn/touched_rows.hpp"

namespace slidekit::nn {

class RacySums {
public:
    /// `name` tags the regions. Throws Error (memory).
    RacySums(system::Runtime& runtime, const std::string& name, Parameters& parameters);

    /// Adds value * vector to the gradient of each row, and value to that of its bias. From several
    /// threads at once. Requires: ids are distinct.
    void add(kernels::SparseView pairs,
             const float* vector,
             system::Worker worker,
             RowCopies& copies);

    /// Updates the rows that were touched (adam_dense: all), and begins anew. Returns their ids,
    /// valid until the next call.
    std::span<const std::uint32_t> update(const UpdateRule& rule);

    /// Bytes of sums and marks.
    [[nodiscard]] static std::size_t bytes(std::uint64_t rows, std::uint64_t dim) noexcept {
        return rows * ((padded_stride(dim) + 1) * sizeof(float) + 1);
    }

private:
    system::Executor& executor_;
    Parameters& parameters_;
    TouchedRows touched_;
    system::Region sum_region_;
    system::Region bias_region_;
    kernels::RowMatrix<float> sums_;
    float* bias_sums_;
};

}  // namespace slidekit::nn
