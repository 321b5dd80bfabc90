// Loops over several domains: each on its own threads and processors, nested loops at home,
// exceptions, and work in the background. The domains are processors of this machine in parts; on a
// machine with several nodes they are its nodes as well.
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>
#include <slidekit/system/executor.hpp>
#include <slidekit/system/topology.hpp>

namespace slidekit::system::domains_test {
namespace {

const Topology& machine() {
    static const Topology topology = Topology::detect();
    return topology;
}

std::vector<int> processors_of_this_thread() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    return cpus;
}

class Domains : public ::testing::TestWithParam<std::tuple<unsigned, unsigned>> {
protected:
    Topology topology = machine().cut(std::get<0>(GetParam()));
    Executor executor{topology, std::get<1>(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Executor,
                         Domains,
                         ::testing::Combine(::testing::Values(1U, 2U, 3U, 8U),
                                            ::testing::Values(1U, 2U, 3U, 9U)));

TEST_P(Domains, ALoopFromOutsideRunsEveryIndexOnce) {
    for (const std::size_t count : {0U, 1U, 2U, 7U, 1000U}) {
        std::vector<std::atomic<int>> runs(count);
        executor.for_each(count, [&](std::size_t index, Worker worker) {
            EXPECT_LT(worker, executor.threads());
            ++runs.at(index);
        });
        for (const auto& run : runs) EXPECT_EQ(run.load(), 1);
    }
}

TEST_P(Domains, EachDomainIsServedOnce) {
    std::vector<std::atomic<int>> runs(executor.domains());
    for (int round = 0; round < 200; ++round)
        executor.for_each_domain([&](std::size_t domain) { ++runs.at(domain); });
    EXPECT_EQ(runs.size(), topology.domains.size());
    for (const auto& run : runs) EXPECT_EQ(run.load(), 200);
}

TEST_P(Domains, NestedLoopsRunWholeAndNoWorkerServesTwoDomainsAtOnce) {
    std::vector<int> scratch(executor.threads());  // plain: a race is seen by TSan
    std::vector<std::atomic<int>> runs(executor.domains());
    executor.for_each_domain([&](std::size_t domain) {
        for (int round = 0; round < 20; ++round) {
            executor.for_each(50, [&](std::size_t, Worker worker) {
                ++scratch[worker];
                ++runs[domain];
            });
        }
    });
    int sum = 0;
    for (const int each : scratch) sum += each;
    EXPECT_EQ(sum, 1000 * static_cast<int>(executor.domains()));
    for (const auto& run : runs) EXPECT_EQ(run.load(), 1000);
}

TEST_P(Domains, ScratchOfAWorkerIsNeverSharedByAWholeLoop) {
    std::vector<int> scratch(executor.threads());
    executor.for_each(10'000, [&](std::size_t, Worker worker) { ++scratch[worker]; });
    int sum = 0;
    for (const int each : scratch) sum += each;
    EXPECT_EQ(sum, 10'000);
}

TEST_P(Domains, WorkStaysOnTheProcessorsOfItsDomain) {
    if (executor.threads() < executor.domains()) GTEST_SKIP() << "threads serve several domains";
    if (executor.domains() == 1) GTEST_SKIP() << "one domain binds nobody";
    std::vector<std::set<int>> used(executor.domains());
    std::mutex mutex;
    executor.for_each_domain([&](std::size_t domain) {
        executor.for_each(200, [&](std::size_t, Worker) {
            const std::vector<int> cpus = processors_of_this_thread();
            const std::lock_guard lock(mutex);
            used[domain].insert(cpus.begin(), cpus.end());
            used[domain].insert(sched_getcpu());
        });
    });
    for (std::size_t d = 0; d < used.size(); ++d) {
        const std::vector<int>& own = topology.domains[d].cpus;
        EXPECT_EQ(std::vector<int>(used[d].begin(), used[d].end()), own) << "domain " << d;
    }
    EXPECT_EQ(executor.unbound(), 0U);
}

TEST_P(Domains, TheCallerHasItsProcessorsBack) {
    const std::vector<int> before = processors_of_this_thread();
    executor.for_each(100, [](std::size_t, Worker) {});
    executor.for_each_domain([](std::size_t) {});
    for (std::size_t d = 0; d < executor.domains(); ++d) executor.run_in_domain(d, [] {});
    EXPECT_EQ(processors_of_this_thread(), before);
}

TEST_P(Domains, RunsInTheDomainThatIsNamed) {
    if (executor.threads() < executor.domains() || executor.domains() == 1)
        GTEST_SKIP() << "no domain has threads of its own";
    for (std::size_t d = 0; d < executor.domains(); ++d) {
        executor.run_in_domain(d, [&] {
            EXPECT_EQ(processors_of_this_thread(), topology.domains[d].cpus);
            executor.for_each(20, [&](std::size_t, Worker) {
                EXPECT_EQ(processors_of_this_thread(), topology.domains[d].cpus);
            });
        });
    }
}

TEST_P(Domains, AnExceptionTravelsFromAnyDomain) {
    for (std::size_t thrower = 0; thrower < executor.domains(); ++thrower) {
        const auto body = [&](std::size_t domain) {
            executor.for_each(10, [&](std::size_t index, Worker) {
                if (domain == thrower && index == 3) throw std::out_of_range("three");
            });
        };
        EXPECT_THROW(executor.for_each_domain(body), std::out_of_range);
    }
    EXPECT_THROW(executor.for_each(100,
                                   [](std::size_t index, Worker) {
                                       if (index == 77) throw std::out_of_range("77");
                                   }),
                 std::out_of_range);
    std::atomic<int> runs = 0;
    executor.for_each(100, [&](std::size_t, Worker) { ++runs; });
    EXPECT_EQ(runs.load(), 100);
}

TEST_P(Domains, WorkInTheBackgroundRunsBesideLoops) {
    Background background(executor);
    background.wait();  // nothing to wait for
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> done = 0;
        int in_background = 0;
        background.start([&] {
            executor.for_each(100, [&](std::size_t, Worker worker) {
                EXPECT_EQ(worker, 0U);
                ++in_background;  // plain: this loop has one thread
            });
        });
        executor.for_each(100, [&](std::size_t, Worker) { ++done; });
        background.wait();
        EXPECT_EQ(done.load(), 100);
        EXPECT_EQ(in_background, 100);
    }
}

TEST_P(Domains, WorkInTheBackgroundHandsOnItsException) {
    Background background(executor);
    background.start([] { throw std::runtime_error("behind"); });
    EXPECT_THROW(background.wait(), std::runtime_error);
    background.start([] { throw std::runtime_error("dropped"); });
}

// Processors are shared out as evenly as whole ones allow, and none is left over.
TEST(TopologyCut, HasEveryProcessorOnceWhereThereAreEnough) {
    Topology two{.domains = {{.os_node = NodeId{0}, .package = 0, .cpus = {0, 1, 2, 3}},
                             {.os_node = NodeId{1}, .package = 1, .cpus = {4, 5, 6, 7}}},
                 .memory_only = {},
                 .note = {},
                 .quota = {},
                 .memory_max = {}};
    for (const unsigned count : {0U, 1U, 2U, 3U, 4U, 8U}) {
        const Topology cut = two.cut(count);
        EXPECT_EQ(cut.domains.size(), count == 0 ? 2U : count);
        std::vector<int> cpus;
        for (const Domain& domain : cut.domains)
            cpus.insert(cpus.end(), domain.cpus.begin(), domain.cpus.end());
        EXPECT_EQ(cpus, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7})) << count;
    }
    EXPECT_EQ(two.cut(1).domains[0].os_node, NodeId::unknown);
    EXPECT_EQ(two.cut(1).domains[0].nodes(), (std::vector<NodeId>{NodeId{0}, NodeId{1}}));
    EXPECT_EQ(two.cut(2).domains[1].nodes(), std::vector<NodeId>{NodeId{1}});
    EXPECT_EQ(two.cut(4).domains[1].os_node, NodeId{0});
    EXPECT_EQ(two.cut(4).domains[2].os_node, NodeId{1});
}

TEST(TopologyCut, GivesEachDomainAProcessorEvenWhereThereAreFewer) {
    Topology one;
    one.domains = {{.os_node = NodeId{0}, .cpus = {5}}};
    const Topology cut = one.cut(3);
    ASSERT_EQ(cut.domains.size(), 3U);
    for (const Domain& domain : cut.domains) EXPECT_EQ(domain.cpus, std::vector<int>{5});
    EXPECT_THROW((void)one.cut(kMostDomains + 1), Error);
}

}  // namespace
}  // namespace slidekit::system::domains_test
