// Blocks out of regions, for the allocators above it.
#pragma once

#include <cstddef>
#include <map>
#include <memory_resource>
#include <mutex>
#include <utility>
#include <vector>

#include <slidekit/system/region.hpp>

namespace slidekit::system::detail {

/// Cuts regions into blocks. A block of half a chunk or more is a region of its own, which goes
/// back to the system when it is freed; smaller ones are kept for others of their size. For
/// allocators that ask for large blocks and seldom. Thread-safe.
class Chunks final : public std::pmr::memory_resource {
public:
    explicit Chunks(RegionSpec chunk);

    /// Never used before, so all zero; never to be given back. Throws Error (memory).
    [[nodiscard]] std::byte* take(std::size_t bytes, std::size_t alignment);
    [[nodiscard]] std::vector<RegionReport> reports() const;

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override;
    [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
        return this == &other;
    }
    [[nodiscard]] bool has_own_region(std::size_t bytes, std::size_t alignment) const noexcept;
    [[nodiscard]] std::byte* own_region(std::size_t bytes, std::size_t alignment);
    [[nodiscard]] std::byte* cut(std::size_t bytes, std::size_t alignment);

    using Size = std::pair<std::size_t, std::size_t>;  // bytes and alignment

    RegionSpec chunk_;
    mutable std::mutex mutex_;
    std::map<const std::byte*, Region> regions_;  // by their first byte that is given out
    std::byte* next_ = nullptr;                   // what is left of the current chunk
    std::size_t left_ = 0;
    std::map<Size, std::vector<std::byte*>> free_;
};

}  // namespace slidekit::system::detail
