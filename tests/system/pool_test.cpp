// Pools, by each allocator that this program has: it is built with jemalloc and without.
#include <slidekit/system/pool.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <memory_resource>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>
#include <slidekit/system/runtime.hpp>

namespace slidekit::system::pool_test {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t mapped_bytes(const Pool& pool) {
    std::size_t bytes = 0;
    for (const RegionReport& report : pool.reports()) bytes += report.mapped_bytes;
    return bytes;
}

std::size_t resident_bytes() {
    std::size_t size = 0;
    std::size_t resident = 0;
    std::ifstream("/proc/self/statm") >> size >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void fill(void* block, std::size_t bytes, std::uint8_t value) {
    auto* const first = static_cast<std::uint8_t*>(block);
    std::fill(first, first + bytes, value);
}

bool holds(const void* block, std::size_t bytes, std::uint8_t value) {
    const auto* const first = static_cast<const std::uint8_t*>(block);
    return std::all_of(first, first + bytes, [value](std::uint8_t byte) { return byte == value; });
}

class Pools : public ::testing::TestWithParam<PoolAllocator> {
protected:
    void SetUp() override {
        if (GetParam() == PoolAllocator::jemalloc &&
            best_pool_allocator() != PoolAllocator::jemalloc)
            GTEST_SKIP() << "this program has no jemalloc";
    }
    [[nodiscard]] static RegionSpec chunk() { return {.bytes = 4 * kMiB, .tag = "pool"}; }
};
INSTANTIATE_TEST_SUITE_P(Pool,
                         Pools,
                         ::testing::Values(PoolAllocator::jemalloc, PoolAllocator::standard),
                         [](const auto& each) {
                             return std::string(pool_allocator_name(each.param));
                         });

TEST(PoolAllocatorTest, IsJemallocWhereTheProgramHasIt) {
    EXPECT_EQ(best_pool_allocator(), SLIDEKIT_TEST_ALLOCATOR);
    EXPECT_EQ(Pool({.bytes = kMiB, .tag = "pool"}).allocator(), SLIDEKIT_TEST_ALLOCATOR);
}

TEST_P(Pools, BlocksAreAlignedAndKeepWhatIsWritten) {
    Pool pool(chunk(), GetParam());
    EXPECT_EQ(pool.allocator(), GetParam());
    struct Block {
        void* start;
        std::size_t bytes, alignment;
    };
    std::vector<Block> blocks;
    for (const std::size_t bytes : {0UL, 1UL, 63UL, 4096UL, 100'000UL, 3 * kMiB, 9 * kMiB + 1}) {
        for (const std::size_t alignment : {1UL, 16UL, 64UL, 4096UL, 2 * kMiB, 8 * kMiB}) {
            void* const start = pool.allocate(bytes, alignment);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(start) % alignment, 0U);
            fill(start, bytes, static_cast<std::uint8_t>(blocks.size()));
            blocks.push_back({start, bytes, alignment});
        }
    }
    for (std::size_t i = 0; i < blocks.size(); ++i)
        EXPECT_TRUE(holds(blocks[i].start, blocks[i].bytes, static_cast<std::uint8_t>(i))) << i;
    for (const Block& block : blocks) pool.deallocate(block.start, block.bytes, block.alignment);
}

TEST_P(Pools, WhatIsFreedIsUsedAgain) {
    Pool pool(chunk(), GetParam());
    std::size_t after_first = 0;
    for (int round = 0; round < 20; ++round) {
        std::vector<std::pair<void*, std::size_t>> blocks;
        for (std::size_t i = 0; i < 300; ++i) {
            const std::size_t bytes = 16 + i * 97 % 60'000;
            blocks.emplace_back(pool.allocate(bytes), bytes);
        }
        for (const auto& [start, bytes] : blocks) pool.deallocate(start, bytes);
        if (round == 0) after_first = mapped_bytes(pool);
    }
    EXPECT_GE(after_first, 8 * kMiB);
    EXPECT_LE(mapped_bytes(pool), after_first + 8 * kMiB);  // of 180 MB in all
}

TEST_P(Pools, ServesTheContainersOfTheStandardLibrary) {
    Pool pool(chunk(), GetParam());
    std::pmr::unordered_map<std::uint64_t, std::pmr::string> map(&pool);
    for (std::uint64_t key = 0; key < 20'000; ++key)
        map.emplace(key, std::pmr::string(key % 200, 'x', &pool));
    for (std::uint64_t key = 0; key < 20'000; key += 3) map.erase(key);
    EXPECT_EQ(map.at(1999).size(), 1999 % 200);
    EXPECT_GT(mapped_bytes(pool), 2 * kMiB);
}

TEST_P(Pools, ManyThreadsAllocateAndFreeEachOthersBlocks) {
    Pool pool(chunk(), GetParam());
    constexpr std::size_t kThreads = 6;
    constexpr std::size_t kBlocks = 2000;
    std::vector<std::vector<std::pair<std::uint8_t*, std::size_t>>> blocks(kThreads);
    const auto on_each = [](const auto& body) {
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < kThreads; ++t) threads.emplace_back([&body, t] { body(t); });
    };
    on_each([&](std::size_t t) {
        Stream stream(t, Purpose::test);
        for (std::size_t i = 0; i < kBlocks; ++i) {
            const std::size_t bytes = 1 + stream.below(3000);
            auto* const start = static_cast<std::uint8_t*>(pool.allocate(bytes, 1));
            fill(start, bytes, static_cast<std::uint8_t>(t));
            blocks[t].emplace_back(start, bytes);
        }
    });
    std::vector<std::size_t> spoiled(kThreads);
    on_each([&](std::size_t t) {
        const std::size_t other = (t + 1) % kThreads;
        for (const auto& [start, bytes] : blocks[other]) {
            if (!holds(start, bytes, static_cast<std::uint8_t>(other))) ++spoiled[t];
            pool.deallocate(start, bytes, 1);
        }
    });
    EXPECT_EQ(spoiled, std::vector<std::size_t>(kThreads));
}

TEST_P(Pools, TheEndOfAPoolReturnsItsMemory) {
    const std::size_t before = resident_bytes();
    for (int round = 0; round < 10; ++round) {
        Pool pool(chunk(), GetParam());
        void* const small = pool.allocate(100);
        void* const large = pool.allocate(48 * kMiB);
        fill(large, 48 * kMiB, 1);
        EXPECT_GE(mapped_bytes(pool), 48 * kMiB);
        pool.deallocate(large, 48 * kMiB);
        if (round % 2 == 0) pool.deallocate(small, 100);
    }
    EXPECT_LT(resident_bytes(), before + 96 * kMiB);
}

TEST_P(Pools, ARefusalNamesThePoolAndTheLimit) {
    Pool pool(chunk(), GetParam());
    for (const std::size_t bytes :
         {std::size_t{1} << 44, std::numeric_limits<std::size_t>::max() / 4 * 3}) {
        try {
            (void)pool.allocate(bytes);
            FAIL() << "not refused";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::memory);
            EXPECT_EQ(error.where(), "pool");
            EXPECT_THAT(error.what(), HasSubstr("bytes"));
        }
    }
    pool.deallocate(pool.allocate(100), 100);
}

TEST_P(Pools, BlocksStandOnThePoolsNode) {
    const Topology topology = Topology::detect();
    if (topology.domains.size() < 2) GTEST_SKIP() << "this machine has one memory node";
    for (const Domain& domain : topology.domains) {
        RegionSpec spec = chunk();
        spec.placement = Placement::on(domain.os_node);
        Pool pool(spec, GetParam());
        for (int i = 0; i < 1000; ++i) fill(pool.allocate(5000), 5000, 1);
        for (const RegionReport& report : pool.reports()) {
            EXPECT_EQ(report.found.misplaced_bytes + report.found.unverified_bytes, 0U);
            EXPECT_EQ(report.found.nodes.at(0).node, domain.os_node);
        }
    }
}

TEST(RuntimePool, IsOnTheDomainByThePolicyOfTheRuntime) {
    const Runtime runtime({.threads = 1, .huge_pages = HugePages::never});
    const std::unique_ptr<Pool> pool = runtime.make_pool(0, "scratch");
    pool->deallocate(pool->allocate(1000), 1000);
    ASSERT_FALSE(pool->reports().empty());
    EXPECT_EQ(pool->reports()[0].tag, "scratch");
    EXPECT_EQ(pool->reports()[0].backing, Backing::base_4k);
}

}  // namespace
}  // namespace slidekit::system::pool_test
