// Each domain's threads stand on its node: asked of the kernel, as is the memory that they touch
// first.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/executor.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/topology.hpp>

#include "nodes_of_pages.hpp"

namespace slidekit::system::arenas_test {
namespace {

NodeId node_of_this_thread() {
    unsigned cpu = 0;
    unsigned node = 0;
    if (::syscall(SYS_getcpu, &cpu, &node, nullptr) != 0) return NodeId::unknown;
    return static_cast<NodeId>(node);
}

void work(std::size_t index) {
    static std::atomic<std::uint64_t> sink;
    Stream stream(index, Purpose::test);
    for (int draw = 0; draw < 300; ++draw) sink.fetch_add(stream(), std::memory_order_relaxed);
}

class Arenas : public ::testing::TestWithParam<Pinning> {
protected:
    void SetUp() override {
        if (topology.domains.size() < 2) GTEST_SKIP() << "this machine has one memory node";
    }
    Topology topology = Topology::detect();
    Executor executor{topology, topology.processors(), GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Pinned, Arenas, ::testing::Values(Pinning::domain, Pinning::processor));

TEST_P(Arenas, RunLoopsOnTheirOwnNode) {
    std::vector<std::atomic<int>> elsewhere(executor.domains());
    for (int round = 0; round < 20; ++round) {
        executor.for_each_domain([&](std::size_t domain) {
            executor.for_each(50, [&](std::size_t index, Worker) {
                work(index);
                if (node_of_this_thread() != topology.domains[domain].os_node) ++elsewhere[domain];
            });
        });
    }
    for (std::size_t domain = 0; domain < elsewhere.size(); ++domain)
        EXPECT_EQ(elsewhere[domain].load(), 0) << "domain " << domain;
    EXPECT_EQ(executor.unbound(), 0U);
}

TEST_P(Arenas, StayOnTheirNodeBesideLoopsFromOutsideAndTheBackground) {
    Background background(executor);
    std::vector<std::atomic<int>> elsewhere(executor.domains());
    for (int round = 0; round < 10; ++round) {
        background.start([] {
            for (std::size_t index = 0; index < 50; ++index) work(index);
        });
        executor.for_each(50, [](std::size_t index, Worker) { work(index); });
        for (std::size_t domain = 0; domain < executor.domains(); ++domain) {
            executor.run_in_domain(domain, [&] {
                if (node_of_this_thread() != topology.domains[domain].os_node) ++elsewhere[domain];
            });
        }
    }
    for (const auto& count : elsewhere) EXPECT_EQ(count.load(), 0);
}

// What the runtime falls back to where it may not bind memory.
TEST_P(Arenas, FirstTouchPlacesPagesOnTheirNode) {
    constexpr std::size_t kBytes = std::size_t{4} << 20;
    executor.for_each_domain([&](std::size_t domain) {
        void* const start =
            ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(start, MAP_FAILED);
        auto* const bytes = static_cast<std::byte*>(start);
        executor.for_each(kBytes / 4096,
                          [&](std::size_t page, Worker) { bytes[page * 4096] = std::byte{1}; });
        EXPECT_EQ(testing::nodes_of_pages(bytes, kBytes),
                  std::vector<NodeId>(kBytes / 4096, topology.domains[domain].os_node));
        ::munmap(start, kBytes);
    });
}

}  // namespace
}  // namespace slidekit::system::arenas_test
