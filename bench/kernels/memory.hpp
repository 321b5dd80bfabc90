// Memory of the benches: on 64-byte lines, and on huge pages where it is large and the system has
// them.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace slidekit::bench {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

class Memory {
public:
    explicit Memory(std::size_t bytes) {
        const std::size_t alignment = bytes < kHugePageBytes ? 64 : kHugePageBytes;
        const std::size_t rounded =
            (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
        data_ = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
        if (data_ == nullptr) throw std::bad_alloc();
        // Without huge pages it stays as it is.
        if (alignment == kHugePageBytes) ::madvise(data_, rounded, MADV_HUGEPAGE);
    }
    Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
    Memory& operator=(Memory&& other) noexcept {
        std::swap(data_, other.data_);
        return *this;
    }
    ~Memory() { std::free(data_); }

    [[nodiscard]] std::byte* data() const { return data_; }

private:
    std::byte* data_ = nullptr;
};

}  // namespace slidekit::bench
