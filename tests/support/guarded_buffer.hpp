// Arrays between two pages that nobody may touch: an access outside kills the test where it
// happens.
//
// A buffer lies against one of its two guards, so that a test that cares runs once with each.
// Against the second one, its start has whatever alignment its length leaves: unaligned starts come
// for free.
//
// SLIDEKIT_TEST_GUARDS=readable leaves the guards open to reads, for qemu 7.2: it reads the lanes
// that a masked AVX2 load leaves out. Writes outside still kill the test.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>
#include <string_view>
#include <vector>

#include <slidekit/kernels/views.hpp>

namespace slidekit::test {

enum class Guard { before, after };

inline constexpr Guard kGuards[] = {Guard::before, Guard::after};

/// How the guards are mapped.
inline int guard_access() {
    const char* asked = std::getenv("SLIDEKIT_TEST_GUARDS");
    return asked != nullptr && std::string_view(asked) == "readable" ? PROT_READ : PROT_NONE;
}

template <class T>
class GuardedBuffer {
public:
    GuardedBuffer(std::size_t count, Guard guard, T fill = T{}) : count_(count) {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        const std::size_t inner = (count * sizeof(T) + page - 1) / page * page;
        mapped_ = inner + 2 * page;
        void* memory = ::mmap(nullptr, mapped_, guard_access(), MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        base_ = static_cast<std::byte*>(memory);
        if (inner > 0 && ::mprotect(base_ + page, inner, PROT_READ | PROT_WRITE) != 0)
            throw std::bad_alloc();
        const std::size_t offset = guard == Guard::before ? 0 : inner - count * sizeof(T);
        data_ = reinterpret_cast<T*>(base_ + page + offset);
        std::fill_n(data_, count, fill);
    }
    GuardedBuffer(const std::vector<T>& values, Guard guard) : GuardedBuffer(values.size(), guard) {
        std::copy(values.begin(), values.end(), data_);
    }
    GuardedBuffer(const GuardedBuffer&) = delete;
    GuardedBuffer& operator=(const GuardedBuffer&) = delete;
    ~GuardedBuffer() { ::munmap(base_, mapped_); }

    [[nodiscard]] T* data() const { return data_; }
    [[nodiscard]] T& operator[](std::size_t i) const { return data_[i]; }
    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] T* begin() const { return data_; }
    [[nodiscard]] T* end() const { return data_ + count_; }
    [[nodiscard]] std::vector<T> values() const { return {begin(), end()}; }

private:
    std::size_t count_;
    std::size_t mapped_ = 0;
    std::byte* base_ = nullptr;
    T* data_ = nullptr;
};

/// A matrix in a guarded buffer. Its padding is filled with `kPadding`, which must stay there, and
/// the last row has none: what follows it is the guard.
template <class T>
class GuardedMatrix {
public:
    static constexpr T kPadding = std::numeric_limits<T>::max();

    GuardedMatrix(std::size_t rows, std::size_t dim, Guard guard)
        : rows_(rows),
          dim_(dim),
          buffer_(rows == 0 ? 0 : rows * stride_ - kPaddingElements, guard, kPadding) {
        for (std::size_t i = 0; i < rows; ++i) std::fill_n(view().row(i), dim, T{});
    }
    template <class Draw>
    GuardedMatrix(std::size_t rows, std::size_t dim, Guard guard, Draw draw)
        : GuardedMatrix(rows, dim, guard) {
        for (std::size_t i = 0; i < rows; ++i) {
            for (std::size_t k = 0; k < dim; ++k) at(i, k) = draw();
        }
    }

    void copy(const GuardedMatrix& other) const {
        std::copy(other.buffer_.begin(), other.buffer_.end(), buffer_.begin());
    }

    [[nodiscard]] T& at(std::size_t i, std::size_t k) const { return buffer_[i * stride_ + k]; }
    [[nodiscard]] kernels::RowMatrix<T> view() const {
        return {buffer_.data(), rows_, dim_, stride_};
    }
    [[nodiscard]] bool padding_is_untouched() const {
        for (std::size_t i = 0; i + 1 < rows_; ++i) {
            for (std::size_t k = dim_; k < stride_; ++k) {
                if (at(i, k) != kPadding) return false;
            }
        }
        return true;
    }

private:
    static constexpr std::size_t kPaddingElements = 3;

    std::size_t rows_;
    std::size_t dim_;
    std::size_t stride_ = dim_ + kPaddingElements;
    GuardedBuffer<T> buffer_;
};

}  // namespace slidekit::test
