// Which rows the threads of a step have touched, each once.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/system/executor.hpp>

namespace slidekit::nn {

class TouchedRows {
public:
    TouchedRows(std::uint32_t rows, unsigned threads) : flags_(rows), lists_(threads) {}

    /// From several threads at once. A row that two touch at once is listed by the one whose
    /// exchange came first.
    void add(std::span<const std::uint32_t> ids, system::Worker worker) {
        for (const std::uint32_t id : ids) {
            const std::atomic_ref flag(flags_[id]);
            if (flag.load(std::memory_order_relaxed) == 0 &&
                flag.exchange(1, std::memory_order_relaxed) == 0)
                lists_[worker].ids.push_back(id);
        }
    }

    /// Those added since the last call, in no order; they are forgotten, and valid until the next
    /// call. Requires: no thread adds.
    [[nodiscard]] std::span<std::uint32_t> take() {
        taken_.clear();
        for (List& list : lists_) {
            taken_.insert(taken_.end(), list.ids.begin(), list.ids.end());
            list.ids.clear();
        }
        for (const std::uint32_t id : taken_) flags_[id] = 0;
        return taken_;
    }

private:
    struct alignas(64) List {
        std::vector<std::uint32_t> ids;
    };
    std::vector<std::uint8_t> flags_;
    std::vector<List> lists_;  // by worker
    std::vector<std::uint32_t> taken_;
};

}  // namespace slidekit::nn
