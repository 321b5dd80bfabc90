// Small allocations on one node, out of regions: a resource for the containers of std::pmr.
#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <string_view>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/region.hpp>

namespace slidekit::system {

/// What cuts a pool's regions into allocations: an arena of jemalloc, where the process has it
/// (linked by the program, or preloaded; the library links none), else the standard library.
enum class PoolAllocator { jemalloc, standard };

[[nodiscard]] SLIDEKIT_API std::string_view pool_allocator_name(PoolAllocator allocator) noexcept;
/// The better one of those that this process has.
[[nodiscard]] SLIDEKIT_API PoolAllocator best_pool_allocator() noexcept;

/// Memory for many objects of any size and alignment. Thread-safe. What is freed is kept for the
/// next allocations; all of it goes back when the pool ends, and nothing may be in use then.
/// Throws Error (memory) where a region cannot be had.
class SLIDEKIT_API Pool final : public std::pmr::memory_resource {
public:
    /// Takes memory in regions like this one, or larger where an allocation is. Its run_on is not
    /// used: what the kernel refuses to bind is placed by the thread that allocates.
    explicit Pool(RegionSpec chunk, PoolAllocator allocator = best_pool_allocator());
    ~Pool() override;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    /// The one in use: standard where jemalloc was asked for and is missing.
    [[nodiscard]] PoolAllocator allocator() const noexcept;
    /// Of the regions that it has now.
    [[nodiscard]] std::vector<RegionReport> reports() const;

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override;
    [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
        return this == &other;
    }

    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace slidekit::system
