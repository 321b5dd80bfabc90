// The machine as it is seen in a guest: what was asked for, so that no test of several nodes is
// skipped there unnoticed, and with processors taken away.
#include <sched.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/executor.hpp>
#include <slidekit/system/topology.hpp>

#include "child.hpp"
#include "guest.hpp"

namespace slidekit::system::machine_test {
namespace {

using testing::exit_code_in_child;

struct Machine {
    std::size_t domains = 0;
    std::size_t packages = 0;
    std::set<NodeId> memory_only = {};
};
const std::map<std::string, Machine> kGuests = {
    {"2node", {.domains = 2, .packages = 2}},
    {"snc4", {.domains = 4, .packages = 2}},
    {"hbm", {.domains = 2, .packages = 2, .memory_only = {NodeId{2}, NodeId{3}}}},
};

std::set<NodeId> memory_only(const Topology& topology) {
    std::set<NodeId> nodes;
    for (const MemoryNode& node : topology.memory_only) nodes.insert(node.os_node);
    return nodes;
}

class Guest : public ::testing::Test {
protected:
    void SetUp() override {
        if (testing::guest().empty()) GTEST_SKIP() << "for guests of scripts/numa_vm_test.sh";
    }
};

TEST_F(Guest, HasTheNodesThatWereAskedFor) {
    const Machine& asked = kGuests.at(testing::guest());
    const Topology topology = Topology::detect();
    std::set<int> packages;
    for (const Domain& domain : topology.domains) packages.insert(domain.package);
    EXPECT_EQ(topology.domains.size(), asked.domains);
    EXPECT_EQ(packages.size(), asked.packages);
    EXPECT_EQ(memory_only(topology), asked.memory_only);
    EXPECT_EQ(topology.note, "");
}

TEST_F(Guest, HasDomainsAsTheKernelNumbersThem) {
    for (const Domain& domain : Topology::detect().domains) {
        const std::string folder =
            "/sys/devices/system/node/node" + std::to_string(static_cast<int>(domain.os_node));
        for (const int cpu : domain.cpus)
            EXPECT_TRUE(std::ifstream(folder + "/cpu" + std::to_string(cpu) + "/topology/core_id"))
                << folder << " has no processor " << cpu;
        EXPECT_EQ(domain.cpus.size(), 2U);
        EXPECT_GT(domain.bytes, 256U << 20);
    }
}

// Takes processors offline, and brings them back.
class Offline {
public:
    explicit Offline(std::vector<int> cpus) : cpus_(std::move(cpus)) { set("0"); }
    ~Offline() { set("1"); }
    Offline(const Offline&) = delete;
    Offline& operator=(const Offline&) = delete;

private:
    void set(const char* online) const {
        for (const int cpu : cpus_) {
            std::ofstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/online");
            EXPECT_TRUE(file << online << std::flush) << "processor " << cpu;
        }
    }
    std::vector<int> cpus_;
};

// How many domains are seen, where loops run on all of them and nobody asks for what is not there.
int working_domains(const std::set<int>& absent) {
    const Topology topology = Topology::detect();
    for (const Domain& domain : topology.domains)
        for (const int cpu : domain.cpus)
            if (absent.count(cpu) != 0) return -1;
    Executor executor(topology, 0, Pinning::processor);
    std::vector<int> runs(executor.domains());
    executor.for_each_domain([&](std::size_t domain) { ++runs[domain]; });
    for (const int count : runs)
        if (count != 1) return -2;
    return executor.unbound() == 0 ? static_cast<int>(executor.domains()) : -3;
}

TEST_F(Guest, WorksWithAProcessorOffline) {
    const std::vector<Domain> domains = Topology::detect().domains;
    const int cpu = domains.back().cpus.back();
    const Offline offline({cpu});
    EXPECT_EQ(exit_code_in_child([&] { return working_domains({cpu}); }),
              static_cast<int>(domains.size()));
}

TEST_F(Guest, ANodeWhoseProcessorsAreOfflineIsMemoryOnly) {
    const std::vector<Domain> domains = Topology::detect().domains;
    const std::vector<int> cpus = domains.back().cpus;
    const Offline offline(cpus);
    EXPECT_EQ(exit_code_in_child([&] {
                  return working_domains({cpus.begin(), cpus.end()});
              }),
              static_cast<int>(domains.size()) - 1);
    const std::set<NodeId> without = memory_only(Topology::detect());
    EXPECT_EQ(without.count(domains.back().os_node), 1U);
}

// One that goes offline when the list has been made: its thread runs elsewhere, and that is said.
TEST_F(Guest, AProcessorThatGoesOfflineLaterLeavesItsThreadUnbound) {
    EXPECT_EQ(exit_code_in_child([] {
                  const Topology topology = Topology::detect();
                  const Offline offline({topology.domains.back().cpus.back()});
                  Executor executor(topology, topology.processors(), Pinning::processor);
                  std::vector<int> runs(1000);
                  for (int round = 0; round < 20; ++round)
                      executor.for_each(runs.size(), [&](std::size_t i, Worker) { ++runs[i]; });
                  for (const int count : runs)
                      if (count != 20) return 1;
                  return executor.unbound() > 0 ? 0 : 2;
              }),
              0);
}

TEST_F(Guest, KeepsToTheProcessorsThatItIsAllowed) {
    const std::vector<Domain> domains = Topology::detect().domains;
    EXPECT_EQ(exit_code_in_child([&] {
                  cpu_set_t allowed;
                  CPU_ZERO(&allowed);
                  for (const int cpu : domains.back().cpus) CPU_SET(cpu, &allowed);
                  if (sched_setaffinity(0, sizeof allowed, &allowed) != 0) return 1;
                  const Topology topology = Topology::detect();
                  if (topology.domains.size() != 1) return 2;
                  if (topology.domains[0].os_node != domains.back().os_node) return 3;
                  return topology.domains[0].cpus == domains.back().cpus ? 0 : 4;
              }),
              0);
}

}  // namespace
}  // namespace slidekit::system::machine_test
