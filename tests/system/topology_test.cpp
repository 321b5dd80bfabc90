// Topology: this machine as the kernel sees it, and other machines by description or file.
#include <slidekit/system/topology.hpp>

#include <sched.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>

#include "child.hpp"
#include "sanitized.hpp"
#include "temporary_folder.hpp"

namespace slidekit::system::topology_test {
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

TEST(Topology, FollowsThePatternInTheEnvironment) {
    const Pattern pattern("pack:2 [numa(memory=1GB)] core:4 pu:2");
    const Topology topology = Topology::detect();
    ASSERT_EQ(topology.domains.size(), 2U);
    EXPECT_EQ(topology.processors(), 16U);
    EXPECT_EQ(topology.note, "");
}

TEST(Topology, TwoSocketsAreTwoDomains) {
    const Topology topology = Topology::from_synthetic("pack:2 [numa(memory=1GB)] core:4 pu:2");
    ASSERT_EQ(topology.domains.size(), 2U);
    EXPECT_EQ(topology.processors(), 16U);
    EXPECT_EQ(topology.domains[0].cpus, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(topology.domains[0].os_node, NodeId{0});
    EXPECT_EQ(topology.domains[1].os_node, NodeId{1});
    EXPECT_EQ(topology.domains[1].package, 1);
    EXPECT_EQ(topology.domains[1].tbb_id, 1);
    EXPECT_EQ(topology.domains[1].bytes, 1'000'000'000U);
    EXPECT_TRUE(topology.memory_only.empty());
    EXPECT_EQ(topology.note, "");
    EXPECT_FALSE(topology.quota || topology.memory_max);
}

TEST(Topology, SubNumaClustersAreDomainsOfTheirSocket) {
    const Topology topology = Topology::from_synthetic("pack:2 die:2 [numa] core:2 pu:2");
    ASSERT_EQ(topology.domains.size(), 4U);
    EXPECT_EQ(topology.domains[1].package, 0);
    EXPECT_EQ(topology.domains[2].package, 1);
    EXPECT_EQ(topology.domains[3].cpus, (std::vector<int>{12, 13, 14, 15}));
    const Topology sockets = topology.cut(2);
    EXPECT_EQ(sockets.domains[1].package, 1);
    EXPECT_EQ(sockets.domains[1].cpus.size(), 8U);
}

TEST(Topology, EightSocketsAreEightDomains) {
    const Topology topology = Topology::from_synthetic("pack:8 [numa] core:60 pu:2");
    ASSERT_EQ(topology.domains.size(), 8U);
    EXPECT_EQ(topology.processors(), 960U);
    EXPECT_EQ(topology.domains[7].cpus.back(), 959);
}

// The kernel's numbers and hwloc's order need not agree.
TEST(Topology, KernelNumbersAndLogicalIndicesAreToldApart) {
    const Topology topology = Topology::from_synthetic("numa:4(indexes=3,1,2,0) pu:2");
    ASSERT_EQ(topology.domains.size(), 4U);
    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_EQ(static_cast<std::size_t>(topology.domains[i].os_node), i);
    EXPECT_EQ(topology.domains[0].tbb_id, 3);
    EXPECT_EQ(topology.domains[3].tbb_id, 0);
}

TEST(Topology, AMemoryNodeBesideAnotherIsMemoryOnly) {
    const Topology topology =
        Topology::from_synthetic("pack:2 [numa(memory=4GB)] [numa(memory=1GB)] core:2 pu:1");
    EXPECT_EQ(topology.domains.size(), 2U);
    EXPECT_EQ(topology.processors(), 4U);
    ASSERT_EQ(topology.memory_only.size(), 2U);
    EXPECT_EQ(topology.memory_only[0].os_node, NodeId{1});
    EXPECT_EQ(topology.memory_only[1].os_node, NodeId{3});
    EXPECT_EQ(topology.memory_only[1].bytes, 1'000'000'000U);
    EXPECT_EQ(topology.memory_only[0].nearest, 0U);
    EXPECT_EQ(topology.memory_only[1].nearest, 1U);
    EXPECT_EQ(topology.cut(1).memory_only[1].nearest, 0U);
    EXPECT_EQ(topology.cut(4).memory_only[1].nearest, 2U);
}

// Memory that is equally far from both sockets, as CXL is, belongs to neither.
TEST(Topology, AMemoryNodeOfTheWholeMachineIsMemoryOnly) {
    const Topology topology =
        Topology::from_synthetic("[numa(memory=8GB)] pack:2 [numa(memory=4GB)] core:2 pu:1");
    EXPECT_EQ(topology.domains.size(), 2U);
    ASSERT_EQ(topology.memory_only.size(), 1U);
    EXPECT_EQ(topology.memory_only[0].bytes, 8'000'000'000U);
}

// Two sockets in hwloc's XML: node 1 has `bytes`, and the nodes in the mask `allowed` are for us.
std::string two_sockets(const std::string& bytes, const std::string& allowed) {
    std::string text = R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0"><object type="Machine" os_index="0" cpuset="0xf" complete_cpuset="0xf"
allowed_cpuset="0xf" nodeset="0x3" complete_nodeset="0x3" allowed_nodeset=")" +
                       allowed + "\" gp_index=\"1\">\n";
    const auto object =
        [&](const char* type, int index, int cpus, int node, const std::string& more) {
            static int number = 2;
            text += fmt::format(
                R"(<object type="{}" os_index="{}" cpuset="{:#x}" complete_cpuset="{:#x}")"
                R"( nodeset="{:#x}" complete_nodeset="{:#x}" gp_index="{}"{}>)"
                "\n",
                type,
                index,
                cpus,
                cpus,
                1 << node,
                1 << node,
                number++,
                more);
        };
    for (const int socket : {0, 1}) {
        object("Package", socket, 3 << 2 * socket, socket, "");
        object("NUMANode",
               socket,
               3 << 2 * socket,
               socket,
               " local_memory=\"" + (socket == 1 ? bytes : "1000000") + "\"/");
        for (const int cpu : {2 * socket, 2 * socket + 1}) object("PU", cpu, 1 << cpu, socket, "/");
        text += "</object>\n";
    }
    return text + "</object></topology>\n";
}

Topology from_text(const std::string& text) {
    const testing::TemporaryFolder folder;
    std::ofstream(folder.path() / "machine.xml") << text;
    return Topology::from_xml(folder.path() / "machine.xml");
}

TEST(Topology, ReadsAMachineFromXml) {
    const Topology topology = from_text(two_sockets("2000000", "0x3"));
    ASSERT_EQ(topology.domains.size(), 2U);
    EXPECT_EQ(topology.domains[1].cpus, (std::vector<int>{2, 3}));
    EXPECT_EQ(topology.domains[1].bytes, 2'000'000U);
    EXPECT_EQ(topology.note, "");
}

// cpuset.mems narrower than cpuset.cpus.
TEST(Topology, ProcessorsOfAForbiddenNodeWorkOnTheNearest) {
    const Topology topology = from_text(two_sockets("2000000", "0x1"));
    ASSERT_EQ(topology.domains.size(), 1U);
    EXPECT_EQ(topology.domains[0].cpus, (std::vector<int>{0, 1, 2, 3}));
    EXPECT_THAT(topology.note, ::testing::HasSubstr("2 of the 4 processors"));
}

TEST(Topology, ProcessorsOfANodeWithoutMemoryWorkOnTheNearest) {
    const Topology topology = from_text(two_sockets("0", "0x3"));
    ASSERT_EQ(topology.domains.size(), 1U);
    EXPECT_EQ(topology.domains[0].os_node, NodeId{0});
    EXPECT_EQ(topology.domains[0].cpus, (std::vector<int>{0, 1, 2, 3}));
    EXPECT_NE(topology.note, "");
}

TEST(Topology, DescriptionsThatAreNoneAreRefusedWithARemedy) {
    for (const char* text : {"", "pack:two", "nonsense"}) {
        try {
            (void)Topology::from_synthetic(text);
            ADD_FAILURE() << text;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::usage);
            EXPECT_THAT(error.what(), ::testing::HasSubstr("pack:2 [numa]"));
        }
    }
    EXPECT_THROW((void)from_text("<topology version=\"2.0\"><object"), Error);
    EXPECT_THROW((void)from_text(""), Error);
    EXPECT_THROW((void)Topology::from_xml("/nonexistent/machine.xml"), Error);
}

TEST(Topology, AVariableThatCannotBeFollowedIsSaid) {
    setenv("HWLOC_XMLFILE", "/nonexistent/topology.xml", 1);
    const Topology topology = Topology::detect();
    unsetenv("HWLOC_XMLFILE");
    EXPECT_EQ(processors_of(topology), processors_of_this_process());
    EXPECT_THAT(topology.note, ::testing::HasSubstr("HWLOC_XMLFILE=/nonexistent/topology.xml"));
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
}  // namespace slidekit::system::topology_test
