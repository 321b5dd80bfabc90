// A thread that makes pieces of points, and a queue of few of them to the one that takes them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "data/dataset_storage.hpp"

namespace slidekit::data {

/// Runs `produce` in a thread from construction on. One thread takes.
class ReadAhead {
public:
    explicit ReadAhead(std::function<void(ReadAhead&)> produce)
        : thread_([this, produce = std::move(produce)] { run(produce); }) {}
    /// Stops the producer where it next asks.
    ~ReadAhead() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;

    /// The next piece; nothing behind the last. What the producer threw is thrown when the pieces
    /// before it are taken, and again at each later call.
    std::optional<PointArrays> take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !pieces_.empty() || ended_; });
        if (!pieces_.empty()) {
            PointArrays piece = std::move(pieces_.front());
            pieces_.pop_front();
            lock.unlock();
            changed_.notify_all();
            return piece;
        }
        lock.unlock();
        // Joined first: the other thread then has let go of the exception.
        if (thread_.joinable()) thread_.join();
        if (error_) std::rethrow_exception(error_);
        return std::nullopt;
    }

    /// For the producer: nobody wants what it would make.
    [[nodiscard]] bool stopped() const noexcept { return stopped_; }
    /// For the producer: adds a piece once there is room. False when it shall stop.
    bool put(PointArrays&& piece) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return pieces_.size() < kMostPieces || stopped_; });
            if (stopped_) return false;
            pieces_.push_back(std::move(piece));
        }
        changed_.notify_all();
        return true;
    }

private:
    static constexpr std::size_t kMostPieces = 8;

    void run(const std::function<void(ReadAhead&)>& produce) {
        std::exception_ptr error;
        try {
            produce(*this);
        } catch (...) {
            error = std::current_exception();
        }
        {
            const std::lock_guard lock(mutex_);
            error_ = std::move(error);
            ended_ = true;
        }
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<PointArrays> pieces_;
    std::atomic<bool> stopped_ = false;
    bool ended_ = false;
    std::exception_ptr error_;
    std::thread thread_;  // last: it uses the others
};

}  // namespace slidekit::data
