// Parallel loops over the worker threads, which stand in arenas: one a memory domain.
//
// Results must not depend on the number of threads, so a loop's pieces are fixed by its caller:
// each index is one task, and what tasks sum up goes into buffers that are a task's own, added in
// order afterwards. A loop from outside is shared out among all domains; one that is begun inside a
// domain stays there, so that code written for one arena works on its own domain's memory when it
// is called by for_each_domain.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/function_ref.hpp>
#include <slidekit/system/topology.hpp>

namespace slidekit::system {

/// Index of the thread that runs a task, 0 <= worker < Executor::threads(): for scratch, never for
/// results.
using Worker = unsigned;

/// Where worker threads may run: where the system puts them; on the processors of their domain
/// (with one domain that is the same); each on a processor of its own. The calling thread is bound
/// while it works in a loop, and has its own processors back when the loop returns.
enum class Pinning { none, domain, processor };

/// Owner of the worker threads. Thread-compatible: loops from several threads share the workers.
///
/// Loops may nest, without more threads than there are: a nested loop runs on the workers of the
/// domain that it was begun in. A thread that waits for a nested loop runs pieces of that loop
/// only, so scratch by worker stays with the piece that uses it; but those pieces see the same
/// worker index, so the nested loop's scratch must be another one.
class SLIDEKIT_API Executor {
public:
    /// threads = 0: one a processor of the topology, no more than the cgroup's processor quota
    /// (rounded up). They are shared out among the domains by their processors; more threads than
    /// processors are started when asked. Throws Error (usage) above 1024.
    explicit Executor(const Topology& topology,
                      unsigned threads = 0,
                      Pinning pinning = Pinning::domain);
    Executor(Executor&&) noexcept;
    Executor& operator=(Executor&&) noexcept;
    ~Executor();

    [[nodiscard]] unsigned threads() const noexcept;
    [[nodiscard]] std::size_t domains() const noexcept;
    /// Threads that could not be bound to their processors (offline, forbidden): they run where the
    /// system puts them.
    [[nodiscard]] std::size_t unbound() const noexcept;

    /// Calls body(index, worker) for every index in [0, count) and returns when all are done. Order
    /// and thread are unspecified; with one thread, ascending and on the caller. The first
    /// exception of a body stops the loop (pieces not yet begun are left out) and is rethrown here.
    void for_each(std::size_t count, FunctionRef<void(std::size_t index, Worker worker)> body);

    /// Calls body(begin, end, worker) over [0, count) cut into pieces of `grain`, the last one
    /// shorter; else like for_each. Requires: grain > 0.
    void for_each_piece(std::size_t count,
                        std::size_t grain,
                        FunctionRef<void(std::size_t begin, std::size_t end, Worker worker)> body);

    /// Calls body(domain) once for each domain, at the same time, each on one of the domain's
    /// threads; loops in the body run on that domain's threads alone. Where there are fewer threads
    /// than domains, some are served one after the other by the threads of another. Begun inside a
    /// domain: all of them one after the other, on that domain's threads. Exceptions as in
    /// for_each.
    void for_each_domain(FunctionRef<void(std::size_t domain)> body);

    /// The same for one of them.
    void run_in_domain(std::size_t domain, FunctionRef<void()> body);

private:
    friend class Background;
    struct State;
    std::unique_ptr<State> state_;
};

/// Work beside the loops: one function at a time, in an arena of low priority, so that it gets a
/// processor when the loops leave one idle. Confined to one thread; the executor must outlive it.
class SLIDEKIT_API Background {
public:
    explicit Background(Executor& executor);
    /// Waits; an exception that wait() has not delivered is dropped.
    ~Background();
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    /// Begins the function; loops in it run on its own thread. Waits for the one before. Throws
    /// what that one threw.
    void start(std::function<void()> function);
    /// Returns when the function has ended, running it on this thread where no worker has begun it.
    /// Throws what it threw. Nothing to wait for: returns.
    void wait();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace slidekit::system
