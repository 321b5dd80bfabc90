// Parallel loops over a TBB arena: the one file that knows TBB.
//
// Each loop waits in isolation: a thread that waits for a nested loop takes pieces of that loop
// only. Without it, the thread could start another piece of the outer loop below the one it is in,
// with the same worker index and hence the same scratch. For the same reason of plain semantics a
// loop has a context of its own: an exception stops its loop, not the loops that other pieces of it
// are in the middle of.
#include <slidekit/system/executor.hpp>

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <cassert>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>

#include "limits.hpp"
#include "loop_order.hpp"

namespace slidekit::system {

namespace {

using detail::kMostThreads;

unsigned resolve(const Topology& topology, unsigned threads) {
    if (threads > kMostThreads) {
        throw Error(ErrorCode::usage,
                    "threads",
                    fmt::format("{} asked, at most {} can be had", threads, kMostThreads));
    }
    if (threads > 0) return threads;
    const unsigned processors = std::clamp(topology.processors(), 1U, kMostThreads);
    return std::clamp(detail::processor_quota().value_or(processors), 1U, processors);
}

// TBB starts no more threads than processors unless told, once for the process. The limit is raised
// and never lowered: of several controls the least would win, and one executor would take threads
// from another.
void allow_threads(unsigned count) {
    static std::mutex mutex;
    static std::optional<tbb::global_control> control;
    static auto allowed = static_cast<unsigned>(tbb::info::default_concurrency());
    const std::lock_guard lock(mutex);
    if (count <= allowed) return;
    control.reset();
    control.emplace(tbb::global_control::max_allowed_parallelism, count);
    allowed = count;
}

}  // namespace

struct Executor::State {
    explicit State(unsigned count) : threads(count), arena(static_cast<int>(count)) {
        allow_threads(count);
    }

    unsigned threads;
    tbb::task_arena arena;
};

Executor::Executor(const Topology& topology, unsigned threads)
    : state_(std::make_unique<State>(resolve(topology, threads))) {}
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;
Executor::~Executor() = default;

unsigned Executor::threads() const noexcept { return state_->threads; }

void Executor::for_each(std::size_t count,
                        FunctionRef<void(std::size_t index, Worker worker)> body) {
    if (state_->threads == 1) {
        for (std::size_t index = 0; index < count; ++index) body(index, 0);
        return;
    }
    if (count == 0) return;
    using Range = tbb::blocked_range<std::size_t>;
    detail::LoopOrder order;
    const auto run = [&](const Range& range) SLIDEKIT_CALLED_BY_TBB {
        const auto worker = static_cast<Worker>(tbb::this_task_arena::current_thread_index());
        const detail::LoopOrder::Piece piece(order, worker);
        for (std::size_t index = range.begin(); index != range.end(); ++index) body(index, worker);
    };
    state_->arena.execute([&]() SLIDEKIT_CALLED_BY_TBB {
        tbb::this_task_arena::isolate([&]() SLIDEKIT_CALLED_BY_TBB {
            tbb::task_group_context context(tbb::task_group_context::isolated);
            tbb::parallel_for(Range(0, count, 1), run, tbb::simple_partitioner{}, context);
        });
    });
}

void Executor::for_each_piece(
    std::size_t count,
    std::size_t grain,
    FunctionRef<void(std::size_t begin, std::size_t end, Worker worker)> body) {
    assert(grain > 0);
    const std::size_t pieces = count / grain + (count % grain == 0 ? 0 : 1);
    for_each(pieces, [&](std::size_t piece, Worker worker) {
        const std::size_t begin = piece * grain;
        body(begin, begin + std::min(grain, count - begin), worker);
    });
}

}  // namespace slidekit::system
