// Topology: this machine as the kernel sees it, and other machines out of hwloc's patterns.
#include <slidekit/system/topology.hpp>

#include <sched.h>
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "child.hpp"

namespace slidekit::system {
namespace {

using testing::exit_code_in_child;

std::vector<int> processors_of_this_process() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
    return cpus;
}

std::vector<int> processors_of(const Topology& topology) {
    std::vector<int> cpus;
    for (const Domain& domain : topology.domains)
        cpus.insert(cpus.end(), domain.cpus.begin(), domain.cpus.end());
    std::sort(cpus.begin(), cpus.end());
    return cpus;
}

// hwloc reads its variables at load; HWLOC_THISSYSTEM=0 keeps it from cutting the pattern to our
// processors.
class Pattern {
public:
    explicit Pattern(const std::string& pattern) {
        setenv("HWLOC_SYNTHETIC", pattern.c_str(), 1);
        setenv("HWLOC_THISSYSTEM", "0", 1);
    }
    ~Pattern() {
        unsetenv("HWLOC_SYNTHETIC");
        unsetenv("HWLOC_THISSYSTEM");
    }
};

TEST(Topology, HasTheProcessorsOfThisProcess) {
    const Topology topology = Topology::detect();
    ASSERT_FALSE(topology.domains.empty());
    EXPECT_EQ(processors_of(topology), processors_of_this_process());
    EXPECT_EQ(topology.processors(), processors_of_this_process().size());
    EXPECT_EQ(topology.note, "");
}

TEST(Topology, DomainsOfThisMachineHaveProcessorsInOrder) {
    for (const Domain& domain : Topology::detect().domains) {
        EXPECT_FALSE(domain.cpus.empty());
        EXPECT_TRUE(std::is_sorted(domain.cpus.begin(), domain.cpus.end()));
        EXPECT_GE(static_cast<int>(domain.os_node), 0);
        EXPECT_GE(domain.tbb_id, 0);
    }
}

TEST(Topology, KeepsToTheAffinityMask) {
    if (testing::kSanitized) GTEST_SKIP() << "a sanitizer's own thread keeps the whole mask";
    const int last = processors_of_this_process().back();
    EXPECT_EQ(exit_code_in_child([&] {
                  cpu_set_t set;
                  CPU_ZERO(&set);
                  CPU_SET(last, &set);
                  if (sched_setaffinity(0, sizeof set, &set) != 0) return 1;
                  const Topology topology = Topology::detect();
                  return topology.domains.size() == 1 &&
                                 processors_of(topology) == std::vector<int>{last}
                             ? 0
                             : 2;
              }),
              0);
}

TEST(Topology, TwoSocketsAreTwoDomains) {
    const Pattern pattern("pack:2 [numa(memory=1GB)] core:4 pu:2");
    const Topology topology = Topology::detect();
    ASSERT_EQ(topology.domains.size(), 2U);
    EXPECT_EQ(topology.processors(), 16U);
    EXPECT_EQ(topology.domains[0].cpus, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(topology.domains[0].os_node, NodeId{0});
    EXPECT_EQ(topology.domains[1].os_node, NodeId{1});
    EXPECT_EQ(topology.domains[1].package, 1);
    EXPECT_EQ(topology.domains[1].tbb_id, 1);
    EXPECT_GT(topology.domains[1].bytes, 0U);
    EXPECT_TRUE(topology.memory_only.empty());
}

// The kernel's numbers and hwloc's order need not agree.
TEST(Topology, KernelNumbersAndLogicalIndicesAreToldApart) {
    const Pattern pattern("numa:4(indexes=3,1,2,0) pu:2");
    const Topology topology = Topology::detect();
    ASSERT_EQ(topology.domains.size(), 4U);
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_EQ(static_cast<std::size_t>(topology.domains[i].os_node), i);
    EXPECT_EQ(topology.domains[0].tbb_id, 3);
    EXPECT_EQ(topology.domains[3].tbb_id, 0);
}

TEST(Topology, AMemoryNodeBesideAnotherIsMemoryOnly) {
    const Pattern pattern("pack:2 [numa] [numa] core:2 pu:1");
    const Topology topology = Topology::detect();
    EXPECT_EQ(topology.domains.size(), 2U);
    EXPECT_EQ(topology.memory_only.size(), 2U);
    EXPECT_EQ(topology.processors(), 4U);
}

TEST(Topology, WithoutHwlocThereIsOneDomainAndANote) {
    setenv("HWLOC_XMLFILE", "/nonexistent/topology.xml", 1);
    setenv("HWLOC_COMPONENTS", "xml,stop", 1);
    const Topology topology = Topology::detect();
    unsetenv("HWLOC_XMLFILE");
    unsetenv("HWLOC_COMPONENTS");
    ASSERT_EQ(topology.domains.size(), 1U);
    EXPECT_EQ(topology.domains[0].cpus, processors_of_this_process());
    EXPECT_EQ(topology.domains[0].os_node, NodeId::unknown);
    EXPECT_NE(topology.note, "");
}

}  // namespace
}  // namespace slidekit::system
