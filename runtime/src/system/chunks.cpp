// Bump allocation with lists of what came back.
#include "chunks.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "pages.hpp"

namespace slidekit::system::detail {

namespace {

// Four classes from one power of two to the next, so that freed blocks meet their like.
std::size_t size_class(std::size_t bytes) {
    constexpr std::size_t kLeast = 64;
    if (bytes <= kLeast) return kLeast;
    return round_up(bytes, std::max(kLeast, std::bit_floor(bytes) / 4));
}

std::size_t gap(const std::byte* at, std::size_t alignment) {
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    return round_up(address, alignment) - address;
}

}  // namespace

Chunks::Chunks(RegionSpec chunk) : chunk_(std::move(chunk)) {
    chunk_.bytes = std::max(chunk_.bytes, kHugePage);
    chunk_.run_on = {};
}

bool Chunks::has_own_region(std::size_t bytes, std::size_t alignment) const noexcept {
    return bytes >= chunk_.bytes / 2 || alignment > kHugePage;
}

// Regions start on 2 MiB; what is aligned to more begins further inside.
std::byte* Chunks::own_region(std::size_t bytes, std::size_t alignment) {
    RegionSpec spec = chunk_;
    spec.bytes = std::max(bytes, kHugePage) + (alignment > kHugePage ? alignment : 0);
    if (spec.bytes < bytes) spec.bytes = bytes;  // wrapped: the region refuses it
    Region region(spec);
    std::byte* const block = region.data() + gap(region.data(), alignment);
    regions_.emplace(block, std::move(region));
    return block;
}

std::byte* Chunks::cut(std::size_t bytes, std::size_t alignment) {
    if (next_ == nullptr || gap(next_, alignment) + bytes > left_) {
        Region region(chunk_);
        next_ = region.data();
        left_ = region.bytes();
        regions_.emplace(next_, std::move(region));
    }
    const std::size_t skipped = gap(next_, alignment);
    std::byte* const block = next_ + skipped;
    next_ = block + bytes;
    left_ -= skipped + bytes;
    return block;
}

std::byte* Chunks::take(std::size_t bytes, std::size_t alignment) {
    const std::lock_guard lock(mutex_);
    return has_own_region(bytes, alignment) ? own_region(bytes, alignment) : cut(bytes, alignment);
}

void* Chunks::do_allocate(std::size_t bytes, std::size_t alignment) {
    const std::lock_guard lock(mutex_);
    if (has_own_region(bytes, alignment)) return own_region(bytes, alignment);
    const std::size_t size = size_class(bytes);
    std::vector<std::byte*>& freed = free_[{size, alignment}];
    if (freed.empty()) return cut(size, alignment);
    std::byte* const block = freed.back();
    freed.pop_back();
    return block;
}

void Chunks::do_deallocate(void* block, std::size_t bytes, std::size_t alignment) {
    const std::lock_guard lock(mutex_);
    auto* const start = static_cast<std::byte*>(block);
    if (has_own_region(bytes, alignment)) {
        regions_.erase(start);
    } else {
        free_[{size_class(bytes), alignment}].push_back(start);
    }
}

std::vector<RegionReport> Chunks::reports() const {
    const std::lock_guard lock(mutex_);
    std::vector<RegionReport> reports;
    for (const auto& [start, region] : regions_) reports.push_back(region.report());
    return reports;
}

}  // namespace slidekit::system::detail
