// Loops over TBB arenas, one a domain: the file that knows TBB (tbb_view.cpp only asks it).
//
// Arenas come from our own list of processors, and threads are bound by an observer of ours: TBB's
// NUMA support needs a library beside it that may be missing. Domains 1 and up get their share as a
// task that is enqueued, domain 0 works in place: the textbook's form, a task for each arena that
// the caller then waits for inside it, is half as fast on few processors (executor_bench). The
// caller enters another domain's arena, and moves to its processors, only where no worker has come
// for its share.
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
#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/task_scheduler_observer.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

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

// ---- binding ----

// A set of processors of any size, as the kernel takes it.
class Affinity {
public:
    Affinity() : words_(kWords) {}
    explicit Affinity(const std::vector<int>& cpus) : Affinity() {
        for (const int cpu : cpus) {
            const auto at = static_cast<std::size_t>(cpu);
            if (at < kWords * 64) words_[at / 64] |= std::uint64_t{1} << (at % 64);
        }
    }
    [[nodiscard]] static Affinity of_this_thread() {
        Affinity own;
        ::sched_getaffinity(0, kWords * 8, reinterpret_cast<cpu_set_t*>(own.words_.data()));
        return own;
    }
    [[nodiscard]] bool take() const noexcept {
        return ::sched_setaffinity(
                   0, kWords * 8, reinterpret_cast<const cpu_set_t*>(words_.data())) == 0;
    }

private:
    static constexpr std::size_t kWords = 128;  // 8192 processors, the kernel's own limit
    std::vector<std::uint64_t> words_;
};

// What threads had before they entered an arena; arenas nest.
thread_local std::vector<Affinity> outer_affinities;

// Binds the threads of one arena while they are in it.
class Binder : public tbb::task_scheduler_observer {
public:
    Binder(tbb::task_arena& arena,
           const std::vector<int>& cpus,
           Pinning pinning,
           std::atomic<std::size_t>& failures)
        : task_scheduler_observer(arena), base_(Affinity::of_this_thread()), failures_(failures) {
        if (pinning == Pinning::domain) {
            sets_.emplace_back(cpus);
        } else {
            for (const int cpu : cpus) sets_.emplace_back(std::vector<int>{cpu});
        }
        order_.emplace();
        observe(true);
    }
    ~Binder() override { observe(false); }
    Binder(const Binder&) = delete;
    Binder& operator=(const Binder&) = delete;

    // TBB starts its threads from a thread that may be bound: what such a thread has inherited is
    // not what it shall go back to.
    void on_scheduler_entry(bool is_worker) override {
        const detail::LoopOrder::Piece piece(*order_, 0);
        const bool first = is_worker && outer_affinities.empty();
        outer_affinities.push_back(first ? base_ : Affinity::of_this_thread());
        const auto slot = static_cast<std::size_t>(tbb::this_task_arena::current_thread_index());
        if (!sets_[slot % sets_.size()].take()) ++failures_;
    }
    void on_scheduler_exit(bool) override {
        if (outer_affinities.empty()) return;
        (void)outer_affinities.back().take();
        outer_affinities.pop_back();
    }

private:
    std::vector<Affinity> sets_;  // by slot, in turns
    Affinity base_;
    std::atomic<std::size_t>& failures_;
    std::optional<detail::LoopOrder> order_;
};

// ---- where the calling thread is ----

struct Place {
    const void* executor = nullptr;
    std::size_t arena = 0;
};
thread_local Place here;

// Sets the place for as long as it lives.
class At {
public:
    At(const void* executor, std::size_t arena) noexcept
        : outer_(std::exchange(here, {executor, arena})) {}
    ~At() { here = outer_; }
    At(const At&) = delete;
    At& operator=(const At&) = delete;

private:
    Place outer_;
};

constexpr std::size_t kNoArena = ~std::size_t{0};  // loops run on the thread itself

}  // namespace

struct Executor::State {
    struct Arena {
        Arena(unsigned first_worker, unsigned count, unsigned reserved)
            : first(first_worker), threads(count), arena(static_cast<int>(count), reserved) {}

        unsigned first;  // worker
        unsigned threads;
        tbb::task_arena arena;
        std::optional<Binder> binder;
    };

    State(const Topology& topology, unsigned count, Pinning pinning)
        : threads(count), domains(topology.domains.size()) {
        allow_threads(count);
        const std::size_t number = std::min<std::size_t>(domains, count);
        std::vector<std::vector<int>> cpus(number);
        for (std::size_t d = 0; d < domains; ++d) {
            const std::vector<int>& own = topology.domains[d].cpus;
            cpus[arena_of(d, number)].insert(
                cpus[arena_of(d, number)].end(), own.begin(), own.end());
        }
        // One thread each, the others by processors.
        const std::size_t all = std::max(1U, topology.processors());
        std::size_t before = 0;
        const auto first_of = [&](std::size_t a) {
            return static_cast<unsigned>(a + (count - number) * before / all);
        };
        for (std::size_t a = 0; a < number; ++a) {
            const unsigned first = first_of(a);
            before += cpus[a].size();
            // The caller works in arena 0 only: of the others all places are for workers.
            arenas.push_back(
                std::make_unique<Arena>(first, first_of(a + 1) - first, a == 0 ? 1U : 0U));
            const bool bound =
                pinning == Pinning::processor || (pinning == Pinning::domain && number > 1);
            if (bound && !cpus[a].empty())
                arenas[a]->binder.emplace(arenas[a]->arena, cpus[a], pinning, unbound);
        }
    }

    // The arenas' shares of one step. A task may come when the step is over, because the caller has
    // done its share: it then finds it claimed, and nothing of the step but this is left.
    struct Shares {
        struct alignas(64) Share {
            std::atomic<bool> claimed = false;
            std::atomic<bool> done = false;
            std::exception_ptr thrown;
        };

        Shares(std::size_t count, FunctionRef<void(std::size_t)> the_job)
            : job(the_job), of(std::make_unique<Share[]>(count)) {}

        bool claim(std::size_t a) noexcept {
            return !of[a].claimed.exchange(true, std::memory_order_relaxed);
        }
        // Waits a little, as long as a sleeping worker takes to come.
        bool soon_done(std::size_t a) noexcept {
            constexpr int kLooks = 2000;
            for (int look = 0; look < kLooks; ++look) {
                if (of[a].done.load(std::memory_order_acquire)) return true;
                __builtin_ia32_pause();
            }
            return false;
        }
        void wait(std::size_t a) noexcept { of[a].done.wait(false, std::memory_order_acquire); }

        FunctionRef<void(std::size_t)> job;
        std::unique_ptr<Share[]> of;
        detail::LoopOrder order;
    };

    [[nodiscard]] static std::size_t arena_of(std::size_t domain, std::size_t count) noexcept {
        return domain < count ? domain : domain % count;
    }

    [[nodiscard]] bool inside() const noexcept { return here.executor == this; }

    // A loop over [begin, end) by the threads of one arena.
    void loop(std::size_t a,
              std::size_t begin,
              std::size_t end,
              std::atomic<bool>& stop,
              FunctionRef<void(std::size_t, Worker)> body) {
        using Range = tbb::blocked_range<std::size_t>;
        Arena& arena = *arenas[a];
        if (arena.threads == 1) {  // TBB gives such an arena a second place all the same
            const At at(this, a);
            for (std::size_t index = begin; index < end && !stop; ++index) body(index, arena.first);
            return;
        }
        detail::LoopOrder order;
        const auto run_range = [&](const Range& range) SLIDEKIT_CALLED_BY_TBB {
            const Worker worker =
                arena.first + static_cast<unsigned>(tbb::this_task_arena::current_thread_index());
            const detail::LoopOrder::Piece piece(order, worker);
            const At at(this, a);
            for (std::size_t index = range.begin(); index != range.end(); ++index) {
                if (stop.load(std::memory_order_relaxed)) return;
                body(index, worker);
            }
        };
        arena.arena.execute([&]() SLIDEKIT_CALLED_BY_TBB {
            tbb::this_task_arena::isolate([&]() SLIDEKIT_CALLED_BY_TBB {
                tbb::task_group_context context(tbb::task_group_context::isolated);
                tbb::parallel_for(
                    Range(begin, end, 1), run_range, tbb::simple_partitioner{}, context);
            });
        });
    }

    // job(a) for each arena below `count`, in it, at the same time. The exception of the lowest
    // arena is rethrown.
    void in_arenas(std::size_t count, FunctionRef<void(std::size_t)> job) {
        const auto shares = std::make_shared<Shares>(count, job);
        Shares* const step = shares.get();
        for (std::size_t a = 1; a < count; ++a) {
            arenas[a]->arena.enqueue([shares, step, this, a]() SLIDEKIT_CALLED_BY_TBB {
                const detail::LoopOrder::Piece piece(step->order, static_cast<Worker>(a));
                if (step->claim(a)) run(*step, a);
            });
        }
        // What is executed may be handed to a worker there, where the arena has no place left.
        const auto execute = [&](std::size_t a) {
            arenas[a]->arena.execute([&]() SLIDEKIT_CALLED_BY_TBB {
                const detail::LoopOrder::Piece piece(step->order, static_cast<Worker>(a));
                run(*step, a);
            });
        };
        execute(0);
        for (std::size_t a = 1; a < count; ++a) {
            if (!step->soon_done(a) && step->claim(a)) execute(a);
            step->wait(a);
        }
        for (std::size_t a = 0; a < count; ++a)
            if (step->of[a].thrown) std::rethrow_exception(step->of[a].thrown);
    }

    void run(Shares& shares, std::size_t a) const {
        const At at(this, a);
        try {
            shares.job(a);
        } catch (...) {
            shares.of[a].thrown = std::current_exception();
        }
        shares.of[a].done.store(true, std::memory_order_release);
        shares.of[a].done.notify_one();
    }

    unsigned threads;
    std::size_t domains;
    std::atomic<std::size_t> unbound = 0;
    std::vector<std::unique_ptr<Arena>> arenas;
};

Executor::Executor(const Topology& topology, unsigned threads, Pinning pinning)
    : state_(std::make_unique<State>(topology, resolve(topology, threads), pinning)) {}
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;
Executor::~Executor() = default;

unsigned Executor::threads() const noexcept { return state_->threads; }
std::size_t Executor::domains() const noexcept { return state_->domains; }
std::size_t Executor::unbound() const noexcept { return state_->unbound; }

void Executor::for_each(std::size_t count,
                        FunctionRef<void(std::size_t index, Worker worker)> body) {
    State& state = *state_;
    if (state.threads == 1 || (state.inside() && here.arena == kNoArena)) {
        for (std::size_t index = 0; index < count; ++index) body(index, 0);
        return;
    }
    if (count == 0) return;
    std::atomic<bool> stop = false;
    if (state.inside()) return state.loop(here.arena, 0, count, stop, body);
    if (state.arenas.size() == 1) return state.loop(0, 0, count, stop, body);
    const auto begin_of = [&](std::size_t a) {
        if (a == state.arenas.size()) return count;
        return (count * state.arenas[a]->first + state.threads - 1) / state.threads;
    };
    const std::size_t used = std::min(state.arenas.size(), count);
    state.in_arenas(used, [&](std::size_t a) {
        try {
            const std::size_t end = a + 1 == used ? count : begin_of(a + 1);
            if (begin_of(a) < end) state.loop(a, begin_of(a), end, stop, body);
        } catch (...) {
            stop = true;
            throw;
        }
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

void Executor::for_each_domain(FunctionRef<void(std::size_t domain)> body) {
    State& state = *state_;
    const std::size_t arenas = state.arenas.size();
    if (arenas == 1 || state.inside()) {
        for (std::size_t d = 0; d < state.domains; ++d) body(d);
        return;
    }
    std::atomic<bool> stop = false;
    state.in_arenas(arenas, [&](std::size_t a) {
        try {
            for (std::size_t d = 0; d < state.domains; ++d)
                if (State::arena_of(d, arenas) == a && !stop) body(d);
        } catch (...) {
            stop = true;
            throw;
        }
    });
}

void Executor::run_in_domain(std::size_t domain, FunctionRef<void()> body) {
    State& state = *state_;
    const std::size_t arenas = state.arenas.size();
    if (arenas == 1 || state.inside()) return body();
    const std::size_t a = State::arena_of(domain, arenas);
    detail::LoopOrder order;
    state.arenas[a]->arena.execute([&]() SLIDEKIT_CALLED_BY_TBB {
        const detail::LoopOrder::Piece piece(order, 0);
        const At at(&state, a);
        body();
    });
}

// ---- background ----

struct Background::State {
    explicit State(const void* own) : executor(own) {}

    const void* executor;
    tbb::task_arena arena{1, 0, tbb::task_arena::priority::low};
    tbb::task_group group;
    std::function<void()> function;
    std::exception_ptr thrown;
    bool running = false;
    std::optional<detail::LoopOrder> order;  // of the function under way
};

Background::Background(Executor& executor)
    : state_(std::make_unique<State>(executor.state_.get())) {}

Background::~Background() {
    try {
        wait();
    } catch (...) {  // nobody is left to take it
    }
}

void Background::start(std::function<void()> function) {
    wait();
    State& state = *state_;
    state.function = std::move(function);
    state.running = true;
    state.order.emplace();
    state.arena.enqueue(state.group.defer([&state]() SLIDEKIT_CALLED_BY_TBB {
        const detail::LoopOrder::Piece piece(*state.order, 0);
        const At at(state.executor, kNoArena);
        try {
            state.function();
        } catch (...) {
            state.thrown = std::current_exception();
        }
    }));
}

void Background::wait() {
    State& state = *state_;
    if (!std::exchange(state.running, false)) return;
    state.arena.execute([&state]() SLIDEKIT_CALLED_BY_TBB { state.group.wait(); });
    state.order.reset();
    state.function = nullptr;
    if (state.thrown) std::rethrow_exception(std::exchange(state.thrown, nullptr));
}

}  // namespace slidekit::system
