// Tells ThreadSanitizer what TBB guarantees: a piece begins after its loop was called and ends
// before it returns.
//
// TBB's library is not built with the sanitizer, so that it sees threads meet there without any
// order and takes what pieces read and write for races. Without the sanitizer nothing of this is
// left. What remains are reports from TBB's own headers, which the suppressions of the tests name.
#pragma once

#include <array>

#include <slidekit/system/executor.hpp>

#if defined(__SANITIZE_THREAD__)
#define SLIDEKIT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLIDEKIT_TSAN 1
#endif
#endif

#ifdef SLIDEKIT_TSAN
#include <sanitizer/tsan_interface.h>
/// For the function that TBB calls: it reads its captures, which another thread wrote, before its
/// Piece begins; and for the Piece itself, where it is not inlined there.
#define SLIDEKIT_CALLED_BY_TBB __attribute__((no_sanitize("thread")))
#else
#define SLIDEKIT_CALLED_BY_TBB
#endif

namespace slidekit::system::detail {

inline constexpr unsigned kMostThreads = 1024;

/// Lives as long as a loop. Pieces on different workers are not ordered: their races are still
/// found. Those on one worker are, although TBB may hand a worker's index from one thread to the
/// next in the middle of a loop.
class LoopOrder {
public:
    /// Lives as long as a piece, whether it ends or throws.
    class Piece {
    public:
        SLIDEKIT_CALLED_BY_TBB Piece(LoopOrder& loop, Worker worker) noexcept
            : loop_(loop), worker_(worker) {
            acquire(&loop_.call_);
            acquire(loop_.worker(worker_));
        }
        SLIDEKIT_CALLED_BY_TBB ~Piece() {
            release(loop_.worker(worker_));
            release(&loop_.return_);
        }
        Piece(const Piece&) = delete;
        Piece& operator=(const Piece&) = delete;

    private:
        LoopOrder& loop_;
        Worker worker_;
    };

    LoopOrder() noexcept { release(&call_); }
    ~LoopOrder() { acquire(&return_); }
    LoopOrder(const LoopOrder&) = delete;
    LoopOrder& operator=(const LoopOrder&) = delete;

private:
#ifdef SLIDEKIT_TSAN
    SLIDEKIT_CALLED_BY_TBB static void acquire(void* address) noexcept { __tsan_acquire(address); }
    SLIDEKIT_CALLED_BY_TBB static void release(void* address) noexcept { __tsan_release(address); }
    SLIDEKIT_CALLED_BY_TBB char* worker(Worker index) noexcept { return &workers_[index]; }
    std::array<char, kMostThreads> workers_{};
#else
    static void acquire(void*) noexcept {}
    static void release(void*) noexcept {}
    char* worker(Worker) noexcept { return nullptr; }
#endif

    char call_ = 0;
    char return_ = 0;
};

}  // namespace slidekit::system::detail
