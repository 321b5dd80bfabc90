// What `slidekit doctor` reads from /proc and /sys, and how it judges what it has seen.
#include "examination.hpp"

#include <cerrno>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_root.hpp"

namespace slidekit::cli {
namespace {

using ::testing::HasSubstr;
constexpr std::size_t kMiB = std::size_t{1} << 20;

// A machine of two nodes that gives all that it has.
Examination healthy() {
    Examination seen;
    seen.isa = seen.best_isa = "avx512";
    seen.topology = system::Topology::from_synthetic("pack:2 [numa(memory=8GB)] core:4 pu:1");
    seen.tbb.agrees = true;
    seen.available_bytes = 8192 * kMiB;
    seen.machine.thp_mode = "madvise";
    seen.machine.pools = {{.page_bytes = 2 * kMiB, .pages = 100, .free = 100}};
    seen.nodes.resize(2);
    seen.jemalloc = "5.3.0";
    for (const int node : {0, 1}) {
        system::RegionReport region;
        region.mapped_bytes = region.huge_bytes = 8 * kMiB;
        region.found.nodes = {{NodeId{node}, 8 * kMiB}};
        seen.probes.push_back({.region = region});
    }
    return seen;
}

// The gravest finding of a machine with a fault.
template <class Fault>
Finding finding_of(Fault fault) {
    Examination seen = healthy();
    fault(seen);
    const std::vector<Finding> findings = judge(seen);
    if (findings.empty()) return {.what = "nothing was found", .cost = {}, .mend = {}};
    EXPECT_FALSE(findings.front().cost.empty());
    EXPECT_FALSE(findings.front().mend.empty());
    return findings.front();
}

TEST(Doctor, FindsNothingWhereNothingIsMissing) {
    const std::vector<Finding> findings = judge(healthy());
    EXPECT_TRUE(findings.empty()) << findings.front().what;
    EXPECT_EQ(exit_code(findings), 0);
    EXPECT_EQ(status_name(findings), "ok");
}

TEST(Doctor, HugePagesThatCannotBeHadAreDegraded) {
    const Finding never = finding_of([](Examination& seen) {
        seen.machine.thp_mode = "never";
        for (Probe& probe : seen.probes) probe.region.huge_bytes = 0;
    });
    EXPECT_EQ(never.severity, Severity::degraded);
    EXPECT_THAT(never.mend, HasSubstr("echo madvise >"));
    const Finding pieces = finding_of([](Examination& seen) {
        for (Probe& probe : seen.probes) probe.region.huge_bytes = 0;
    });
    EXPECT_EQ(pieces.severity, Severity::degraded);
    EXPECT_THAT(pieces.mend, HasSubstr("compact_memory"));
}

TEST(Doctor, WhatCostsNothingHereIsInfo) {
    const Finding pool = finding_of([](Examination& seen) { seen.machine.pools[0].free = 0; });
    EXPECT_EQ(pool.severity, Severity::info);
    EXPECT_THAT(pool.mend, HasSubstr("sysctl vm.nr_hugepages=2048"));
    const Finding never = finding_of([](Examination& seen) { seen.machine.thp_mode = "never"; });
    EXPECT_EQ(never.severity, Severity::info);  // huge pages were had from the pool
    for (const char* call : {"move_pages", "madvise_populate", "perf_event_open"}) {
        EXPECT_EQ(finding_of([&](Examination& seen) {
                      seen.system_calls = {{call, EPERM}};
                  }).severity,
                  Severity::info)
            << call;
    }
}

TEST(Doctor, CallsThatPlaceMemoryAndThreadsAreMissed) {
    for (const char* call : {"mbind", "sched_setaffinity"}) {
        const Finding refused = finding_of([&](Examination& seen) {
            seen.system_calls = {{call, EPERM}};
        });
        EXPECT_EQ(refused.severity, Severity::degraded) << call;
        EXPECT_THAT(refused.what, HasSubstr(call));
    }
    EXPECT_EQ(finding_of([](Examination& seen) {  // one node needs no placing
                  seen.topology = seen.topology.cut(1);
                  seen.system_calls = {{"mbind", EPERM}};
              })
                  .severity,
              Severity::info);
}

TEST(Doctor, ThreadsThatAreHeldBackAreDegraded) {
    const Finding quota = finding_of([](Examination& seen) { seen.topology.quota = 3; });
    EXPECT_EQ(quota.severity, Severity::degraded);
    EXPECT_THAT(quota.what, HasSubstr("3 of 8 processors"));
    EXPECT_EQ(finding_of([](Examination& seen) { seen.unbound = 1; }).severity, Severity::degraded);
    EXPECT_EQ(finding_of([](Examination& seen) { seen.topology.quota = 8; }).what,
              "nothing was found");
}

TEST(Doctor, PagesOnAnotherNodeAreDegraded) {
    const Finding misplaced = finding_of([](Examination& seen) {
        seen.probes[1].region.found.misplaced_bytes = 2 * kMiB;
        seen.probes[1].region.steps = {"hugetlb 2M: none",
                                       "node 1: mbind: Operation not permitted"};
    });
    EXPECT_EQ(misplaced.severity, Severity::degraded);
    EXPECT_THAT(misplaced.what, HasSubstr("domain 1: 2 MB of 8 MB are not on node 1; node 1: mb"));
    EXPECT_THAT(misplaced.what, ::testing::Not(HasSubstr("hugetlb")));
}

TEST(Doctor, PagesThatCannotBeVerifiedAreInfo) {
    const Finding unknown = finding_of(
        [](Examination& seen) { seen.probes[0].region.found.unverified_bytes = 8 * kMiB; });
    EXPECT_EQ(unknown.severity, Severity::info);
    EXPECT_THAT(unknown.what, HasSubstr("domain 0: the kernel does not tell where 8 MB of 8 MB"));
}

TEST(Doctor, MemoryThatCannotBeHadIsBroken) {
    Examination seen = healthy();
    seen.unbound = 1;
    seen.probes[0] = {};
    seen.probes[0].error = "probe: 8388608 bytes asked, 0 available";
    const std::vector<Finding> findings = judge(seen);
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_EQ(findings[0].severity, Severity::broken);
    EXPECT_EQ(exit_code(findings), 2);
    EXPECT_EQ(status_name(findings), "broken");
}

TEST(MachineState, ReadsPagesAndPools) {
    const testing::FakeRoot fake;
    fake.write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    fake.write("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
    fake.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "5\n");
    fake.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "3\n");
    fake.write("proc/sys/kernel/numa_balancing", "1\n");
    fake.write("proc/meminfo", "MemTotal:  1024 kB\nMemAvailable:  512 kB\n");
    const MachineState state = read_machine(fake.root());
    EXPECT_EQ(state.thp_mode, "madvise");
    EXPECT_EQ(state.thp_defrag, "");
    ASSERT_EQ(state.pools.size(), 2U);
    EXPECT_EQ(state.pools[0].page_bytes, 2 * kMiB);
    EXPECT_EQ(state.pools[0].free, 3U);
    EXPECT_EQ(state.pools[1].pages, 2U);
    EXPECT_EQ(state.autonuma, 1U);
    EXPECT_EQ(state.free_bytes, 512U * 1024);
}

TEST(MachineState, ReadsANode) {
    const testing::FakeRoot fake;
    const std::string node = "sys/devices/system/node/node1/";
    fake.write(node + "meminfo", "Node 1 MemTotal:   9 kB\nNode 1 MemFree:   7 kB\n");
    fake.write(node + "distance", "21 10\n");
    fake.write(node + "hugepages/hugepages-2048kB/free_hugepages", "4\n");
    const NodeState state = read_node(NodeId{1}, fake.root());
    EXPECT_EQ(state.free_bytes, 7U * 1024);
    EXPECT_EQ(state.distances, (std::vector<int>{21, 10}));
    ASSERT_EQ(state.pools.size(), 1U);
    EXPECT_EQ(state.pools[0].free, 4U);
}

TEST(MachineState, WhatTheKernelDoesNotSayIsMissingAndNoError) {
    const testing::FakeRoot empty;
    const MachineState state = read_machine(empty.root());
    EXPECT_EQ(state.thp_mode, "");
    EXPECT_TRUE(state.pools.empty());
    EXPECT_FALSE(state.autonuma || state.memory_bytes || state.free_bytes);
    EXPECT_FALSE(read_node(NodeId{0}, empty.root()).free_bytes);
    EXPECT_FALSE(read_node(NodeId::unknown).free_bytes);
}

TEST(MachineState, WritesNumbersAsRanges) {
    EXPECT_EQ(ranges_text({}), "");
    EXPECT_EQ(ranges_text({5}), "5");
    EXPECT_EQ(ranges_text({0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
    EXPECT_EQ(chosen_word("a [b] c"), "b");
    EXPECT_EQ(chosen_word("a b"), "");
}

TEST(SystemCalls, AreAllTriedForReal) {
    const std::vector<SystemCall> calls = try_system_calls(NodeId{0});
    ASSERT_EQ(calls.size(), 6U);
    EXPECT_EQ(calls[0].name, "mbind");
    EXPECT_EQ(calls[4].name, "sched_setaffinity");
    EXPECT_EQ(calls[4].error, 0);
}

}  // namespace
}  // namespace slidekit::cli
