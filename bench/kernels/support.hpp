// What the kernel benches share: data of the sizes that training meets, labels and counters.
//
// Cold: rows drawn at random from a table far larger than the caches (Amazon-670K's output layer).
// Warm: from a table that fits L1 or L2. Both do the same work. Rates are computed from the bytes
// of the rows alone.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <slidekit/kernels/isa.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::bench {

inline constexpr std::size_t kColdRows = 670091;
inline constexpr std::size_t kWarmRows = 32;

/// A matrix on huge pages where the system has them, rows without padding, small values that
/// repeat.
template <class T>
class Table {
public:
    Table(std::size_t rows, std::size_t dim) : rows_(rows), dim_(dim) {
        constexpr std::size_t kHugePage = std::size_t{2} << 20;
        const std::size_t bytes = (rows * dim * sizeof(T) + kHugePage - 1) / kHugePage * kHugePage;
        data_.reset(static_cast<T*>(std::aligned_alloc(kHugePage, bytes)));
        ::madvise(data_.get(), bytes, MADV_HUGEPAGE);
        for (std::size_t i = 0; i < rows * dim; ++i)
            data_.get()[i] = static_cast<T>((i * 37) % 101 % 13) / T{4};
    }

    [[nodiscard]] kernels::RowMatrix<T> view() const { return {data_.get(), rows_, dim_, dim_}; }

private:
    struct Free {
        void operator()(T* memory) const { std::free(memory); }
    };
    std::size_t rows_;
    std::size_t dim_;
    std::unique_ptr<T, Free> data_;
};

/// One table for all benches that ask for this type and size: filling it takes longer than
/// measuring.
template <class T, int kSet = 0>
const Table<T>& shared_table(std::size_t rows, std::size_t dim) {
    static std::unique_ptr<Table<T>> table;
    if (!table || table->view().rows != rows || table->view().dim != dim) {
        table.reset();
        table = std::make_unique<Table<T>>(rows, dim);
    }
    return *table;
}

inline std::vector<std::uint32_t> random_ids(std::size_t count,
                                             std::size_t rows,
                                             std::uint32_t seed = 1) {
    std::mt19937 generator(seed);
    std::uniform_int_distribution<std::uint32_t> any(0, static_cast<std::uint32_t>(rows - 1));
    std::vector<std::uint32_t> ids(count);
    for (std::uint32_t& id : ids) id = any(generator);
    return ids;
}

inline std::vector<float> random_floats(std::size_t count, std::uint32_t seed = 2) {
    std::mt19937 generator(seed);
    std::uniform_real_distribution<float> any(-1.0F, 1.0F);
    std::vector<float> values(count);
    for (float& value : values) value = any(generator);
    return values;
}

/// Rates from the work of one iteration, and the level that did it.
inline void count_work(benchmark::State& state, std::size_t items, std::size_t bytes) {
    state.SetLabel(std::string(kernels::isa_name(kernels::active_isa())));
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

}  // namespace slidekit::bench
