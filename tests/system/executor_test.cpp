// Loops: every index once, workers in range, exceptions, nesting, and results that no thread count
// changes.
#include <slidekit/system/executor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/topology.hpp>

namespace slidekit::system::executor_test {
namespace {

const Topology& machine() {
    static const Topology topology = Topology::detect();
    return topology;
}

class EachThreadCount : public ::testing::TestWithParam<unsigned> {
protected:
    Executor executor{machine(), GetParam()};
};
// More than processors as well: a machine with two must give the results of one with many.
INSTANTIATE_TEST_SUITE_P(Executor, EachThreadCount, ::testing::Values(1U, 2U, 3U, 16U));

TEST_P(EachThreadCount, RunsEveryIndexOnceOnAWorkerInRange) {
    for (const std::size_t count : {0U, 1U, 2U, 7U, 1000U}) {
        std::vector<std::atomic<int>> runs(count);
        executor.for_each(count, [&](std::size_t index, Worker worker) {
            EXPECT_LT(worker, executor.threads());
            runs.at(index).fetch_add(1);
        });
        for (const auto& run : runs) EXPECT_EQ(run.load(), 1);
    }
    EXPECT_EQ(executor.threads(), GetParam());
}

TEST_P(EachThreadCount, PiecesCoverTheRangeAndOnlyTheLastIsShort) {
    for (const std::size_t count : {0U, 1U, 9U, 10U, 11U, 1000U}) {
        std::vector<std::atomic<int>> runs(count);
        executor.for_each_piece(count, 10, [&](std::size_t begin, std::size_t end, Worker worker) {
            EXPECT_LT(worker, executor.threads());
            EXPECT_EQ(begin % 10, 0U);
            EXPECT_TRUE(end == begin + 10 || end == count);
            for (std::size_t index = begin; index < end; ++index) runs.at(index).fetch_add(1);
        });
        for (const auto& run : runs) EXPECT_EQ(run.load(), 1);
    }
}

TEST_P(EachThreadCount, ScratchOfAWorkerIsNeverSharedWithinALoop) {
    std::vector<int> scratch(
        executor.threads());  // plain ints: a race is seen by TSan, a lost update here
    executor.for_each(10'000, [&](std::size_t, Worker worker) { ++scratch[worker]; });
    int sum = 0;
    for (const int each : scratch) sum += each;
    EXPECT_EQ(sum, 10'000);
}

TEST_P(EachThreadCount, AnExceptionTravelsAndTheExecutorLives) {
    const auto throw_at_13 = [](std::size_t index, Worker) {
        if (index == 13) throw std::out_of_range("thirteen");
    };
    EXPECT_THROW(executor.for_each(100, throw_at_13), std::out_of_range);
    std::atomic<int> runs = 0;
    executor.for_each(100, [&](std::size_t, Worker) { ++runs; });
    EXPECT_EQ(runs.load(), 100);
}

TEST_P(EachThreadCount, NestedLoopsRunWhole) {
    std::atomic<int> runs = 0;
    executor.for_each(20, [&](std::size_t, Worker) {
        executor.for_each_piece(100, 7, [&](std::size_t begin, std::size_t end, Worker worker) {
            EXPECT_LT(worker, executor.threads());
            runs += static_cast<int>(end - begin);
        });
    });
    EXPECT_EQ(runs.load(), 2000);
}

// A thread that waits for its nested loop must not begin another outer piece: both would use its
// scratch. It waits only when a nested piece was stolen, and thieves take outer pieces first: so
// there are few outer pieces, uneven ones, many times.
TEST_P(EachThreadCount, AWaitingWorkerBeginsNoOtherOuterPiece) {
    std::vector<int> busy(executor.threads());
    std::atomic<int> overlaps = 0;
    std::atomic<std::uint64_t> sink = 0;
    for (int round = 0; round < 100; ++round) {
        executor.for_each(6, [&](std::size_t outer, Worker worker) {
            if (busy[worker]++ != 0) ++overlaps;
            executor.for_each(4 + outer, [&](std::size_t index, Worker) {
                Stream stream(index, Purpose::test, outer);
                const std::uint32_t draws = 1 + stream.below(5000);
                for (std::uint32_t draw = 0; draw < draws; ++draw)
                    sink.fetch_add(stream(), std::memory_order_relaxed);
            });
            --busy[worker];
        });
    }
    EXPECT_EQ(overlaps.load(), 0);
}

TEST_P(EachThreadCount, AnExceptionCutsNoNestedLoopShort) {
    std::atomic<int> cut_short = 0;
    const auto body = [&](std::size_t outer, Worker) {
        std::atomic<int> runs = 0;
        executor.for_each(50, [&](std::size_t, Worker) { ++runs; });
        if (runs != 50) ++cut_short;
        if (outer % 8 == 3) throw std::runtime_error("outer");
    };
    EXPECT_THROW(executor.for_each(64, body), std::runtime_error);
    EXPECT_EQ(cut_short.load(), 0);
}

TEST_P(EachThreadCount, SumsOfPiecesInOrderHaveTheBitsOfOneThread) {
    constexpr std::size_t kCount = 10'000;
    constexpr std::size_t kGrain = 64;
    const auto sum_on = [&](Executor& on) {
        std::vector<float> partial((kCount + kGrain - 1) / kGrain);
        on.for_each_piece(kCount, kGrain, [&](std::size_t begin, std::size_t end, Worker) {
            for (std::size_t index = begin; index < end; ++index) {
                partial[begin / kGrain] += Stream(3, Purpose::test, index).normal();
            }
        });
        float sum = 0;
        for (const float part : partial) sum += part;
        return sum;
    };
    Executor one(machine(), 1);
    EXPECT_EQ(sum_on(executor), sum_on(one));
}

TEST_P(EachThreadCount, MovesWithItsThreads) {
    Executor moved = std::move(executor);
    std::atomic<int> runs = 0;
    moved.for_each(100, [&](std::size_t, Worker) { ++runs; });
    EXPECT_EQ(runs.load(), 100);
    executor = std::move(moved);
    EXPECT_EQ(executor.threads(), GetParam());
}

// Each piece waits for the others: all threads must be in the loop at once. The deadline only
// bounds a failure.
void expect_all_threads_at_once(Executor& executor) {
    const unsigned threads = executor.threads();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    std::atomic<unsigned> here = 0;
    std::vector<std::atomic<int>> pieces_of(threads);
    executor.for_each(threads, [&](std::size_t, Worker worker) {
        ++here;
        ++pieces_of[worker];
        while (here < threads && std::chrono::steady_clock::now() < deadline)
            std::this_thread::yield();
    });
    for (const auto& pieces : pieces_of) EXPECT_EQ(pieces.load(), 1);
}

TEST(Executor, RunsMoreThreadsThanProcessors) {
    Executor executor(machine(), machine().processors() + 3);
    expect_all_threads_at_once(executor);
}

TEST(Executor, ASmallerOneTakesNoThreadsFromALarger) {
    Executor large(machine(), machine().processors() + 4);
    Executor small(machine(), machine().processors() + 1);
    expect_all_threads_at_once(large);
    expect_all_threads_at_once(small);
}

TEST(Executor, ByDefaultUsesNoMoreThanTheProcessors) {
    const Executor executor(machine());
    EXPECT_GE(executor.threads(), 1U);
    EXPECT_LE(executor.threads(), machine().processors());
}

TEST(Executor, ExecutorsNestInEachOther) {
    Executor outer(machine(), 3);
    Executor inner(machine(), 2);
    std::atomic<int> runs = 0;
    // One loop at a time from outside: one piece of the outer loop uses the other executor.
    outer.for_each(8, [&](std::size_t index, Worker) {
        if (index != 5) return;
        inner.for_each(100, [&](std::size_t, Worker worker) {
            EXPECT_LT(worker, 2U);
            ++runs;
        });
    });
    EXPECT_EQ(runs.load(), 100);
}

TEST(Executor, RefusesAnAbsurdNumberOfThreads) {
    try {
        const Executor executor(machine(), 100'000);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        EXPECT_NE(std::string(error.what()).find("100000"), std::string::npos);
    }
}

}  // namespace
}  // namespace slidekit::system::executor_test
