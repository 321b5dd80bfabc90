// Parallel loops over one arena of worker threads.
//
// Results must not depend on the number of threads, so a loop's pieces are fixed by its caller:
// each index is one task, and what tasks sum up goes into buffers that are a task's own, added in
// order afterwards.
#pragma once

#include <cstddef>
#include <memory>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/function_ref.hpp>
#include <slidekit/system/topology.hpp>

namespace slidekit::system {

/// Index of the thread that runs a task, 0 <= worker < Executor::threads(): for scratch, never for
/// results.
using Worker = unsigned;

/// Owner of the worker threads. Thread-compatible: loops from several threads share the workers.
///
/// Loops may nest. A thread that waits for a nested loop runs pieces of that loop only, so scratch
/// by worker stays with the piece that uses it; but those pieces see the same worker index, so the
/// nested loop's scratch must be another one.
class SLIDEKIT_API Executor {
public:
    /// threads = 0: one a processor of the topology, no more than the cgroup's processor quota
    /// (rounded up). More threads than processors are started when asked. Throws Error (usage)
    /// above 1024.
    explicit Executor(const Topology& topology, unsigned threads = 0);
    Executor(Executor&&) noexcept;
    Executor& operator=(Executor&&) noexcept;
    ~Executor();

    [[nodiscard]] unsigned threads() const noexcept;

    /// Calls body(index, worker) for every index in [0, count) and returns when all are done. Order
    /// and thread are unspecified; with one thread, ascending and on the caller. The first
    /// exception of a body stops the loop (pieces not yet begun are left out) and is rethrown here.
    void for_each(std::size_t count, FunctionRef<void(std::size_t index, Worker worker)> body);

    /// Calls body(begin, end, worker) over [0, count) cut into pieces of `grain`, the last one
    /// shorter; else like for_each. Requires: grain > 0.
    void for_each_piece(std::size_t count,
                        std::size_t grain,
                        FunctionRef<void(std::size_t begin, std::size_t end, Worker worker)> body);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace slidekit::system
