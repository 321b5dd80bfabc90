// Sums and the update by them.
#include "nn/racy_sums.hpp"

#include <algorithm>
#include <atomic>

#include <slidekit/kernels/axpy.hpp>

namespace slidekit::nn {

RacySums::RacySums(system::Runtime& runtime, const std::string& name, Parameters& parameters)
    : executor_(runtime.executor()),
      parameters_(parameters),
      touched_(parameters.rows(), executor_.threads()),
      sum_region_(
          runtime.allocate(parameters.rows() * padded_stride(parameters.dim()) * sizeof(float),
                           name + ".gradient_sum",
                           runtime.interleaved())),
      bias_region_(runtime.allocate(
          parameters.rows() * sizeof(float), name + ".bias_gradient_sum", runtime.interleaved())),
      sums_{sum_region_.as<float>().data(),
            parameters.rows(),
            parameters.dim(),
            padded_stride(parameters.dim())},
      bias_sums_(bias_region_.as<float>().data()) {}

void RacySums::add(kernels::SparseView pairs,
                   const float* vector,
                   system::Worker worker,
                   RowCopies& copies) {
    const kernels::RowMatrix<float> copy = copies.rows().weights;
    const std::span<const std::uint32_t> ids(pairs.ids, pairs.nnz);
    touched_.add(ids, worker);
    detail::for_runs(
        ids,
        [&](std::uint32_t id) {
            for (std::size_t k = 0; k < sums_.dim; k += sizeof(detail::CacheLine) / sizeof(float))
                __builtin_prefetch(sums_.row(id) + k);
        },
        [&](std::size_t i, std::uint32_t id) {
            load_relaxed(sums_.row(id), sums_.dim, copy.row(i));
        },
        [&](std::size_t begin, std::size_t count) {
            for (std::size_t i = 0; i < count; ++i)
                kernels::axpy(pairs.values[begin + i], vector, copy.row(i), sums_.dim);
            for (std::size_t i = 0; i < count; ++i) {
                const std::uint32_t id = ids[begin + i];
                store_relaxed(copy.row(i), sums_.dim, sums_.row(id));
                const std::atomic_ref bias(bias_sums_[id]);
                bias.store(bias.load(std::memory_order_relaxed) + pairs.values[begin + i],
                           std::memory_order_relaxed);
            }
        });
}

std::span<const std::uint32_t> RacySums::update(const UpdateRule& rule) {
    constexpr std::size_t kRowsPerTask = 256;
    const std::span<std::uint32_t> ids = touched_.take();
    executor_.for_each_piece(
        ids.size(), kRowsPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t i = begin; i < end; ++i) {
                const std::uint32_t id = ids[i];
                parameters_.update_row(id, sums_.row(id), bias_sums_[id], rule);
                std::fill_n(sums_.row(id), sums_.dim, 0.0F);
                bias_sums_[id] = 0;
            }
        });
    if (parameters_.optimizer() == Optimizer::adam_dense) {
        std::sort(ids.begin(), ids.end());
        parameters_.update_others(
            executor_, {.ids = ids.data(), .count = ids.size()}, rule, 0, parameters_.rows());
    }
    return ids;
}

}  // namespace slidekit::nn
