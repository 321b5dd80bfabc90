// Limits of cgroups, read from folders that look like /proc and /sys/fs/cgroup.
#include "system/limits.hpp"

#include <string>

#include <gtest/gtest.h>

#include "fake_root.hpp"

namespace slidekit::system::detail::limits_test {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

class Machine : public testing::FakeRoot {
public:
    // `cgroup`: this process's line(s); `mounts`: lines of mountinfo.
    Machine(const std::string& cgroup, const std::string& mounts) {
        write("proc/self/cgroup", cgroup);
        write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + mounts);
        write("proc/meminfo", "MemTotal: 2097152 kB\nMemAvailable:    1048576 kB\n");
        write("proc/self/statm", "0 0 0 0 0 0 0\n");
    }
};

const std::string kUnified =
    "31 22 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const std::string kVersion1 =
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

TEST(MemoryRoom, WithoutCgroupsIsWhatTheMachineHasFree) {
    const MemoryRoom room = memory_room(Machine("", "").root());
    EXPECT_EQ(room.bytes, 1024 * kMiB);
    EXPECT_EQ(room.limit, "the machine's free memory");
}

TEST(MemoryRoom, OuterCgroupsBindToo) {
    const Machine machine("0::/jobs/train\n", kUnified);
    machine.write("sys/fs/cgroup/jobs/train/memory.max", "max\n");
    machine.write("sys/fs/cgroup/jobs/train/memory.current", "1048576\n");
    machine.write("sys/fs/cgroup/jobs/memory.max", "104857600\n");
    machine.write("sys/fs/cgroup/jobs/memory.current", "10485760\n");
    const MemoryRoom room = memory_room(machine.root());
    EXPECT_EQ(room.bytes, 90 * kMiB);
    EXPECT_EQ(room.limit, "the cgroup's memory limit");
}

TEST(MemoryRoom, PageCacheIsRoom) {
    const Machine machine("0::/\n", kUnified);
    machine.write("sys/fs/cgroup/memory.max", "104857600\n");
    machine.write("sys/fs/cgroup/memory.current", "94371840\n");
    machine.write("sys/fs/cgroup/memory.stat",
                  "anon 1\ninactive_file 41943040\nactive_file 10485760\n");
    EXPECT_EQ(memory_room(machine.root()).bytes, 60 * kMiB);
}

TEST(MemoryRoom, AFullCgroupHasNone) {
    const Machine machine("0::/\n", kUnified);
    machine.write("sys/fs/cgroup/memory.max", "1048576\n");
    machine.write("sys/fs/cgroup/memory.current", "2097152\n");
    EXPECT_EQ(memory_room(machine.root()).bytes, 0U);
}

TEST(MemoryRoom, ReadsVersion1BesideAnEmptyUnifiedTree) {
    const Machine machine("4:memory:/job\n1:cpu,cpuacct:/\n0::/\n", kVersion1);
    machine.write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "209715200\n");
    machine.write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "104857600\n");
    machine.write("sys/fs/cgroup/memory/job/memory.stat",
                  "inactive_file 1\ntotal_inactive_file 10485760\n");
    machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    machine.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "104857600\n");
    EXPECT_EQ(memory_room(machine.root()).bytes, 110 * kMiB);
}

// In a container the mount shows the own cgroup as its root, while the process's path starts at the
// host's.
TEST(MemoryRoom, TakesTheMountsRootOffThePath) {
    const Machine machine(
        "4:memory:/docker/abc/inner\n",
        "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    machine.write("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "4194304\n");
    machine.write("sys/fs/cgroup/memory/inner/memory.usage_in_bytes", "0\n");
    EXPECT_EQ(memory_room(machine.root()).bytes, 4 * kMiB);
}

TEST(MemoryRoom, APathOutsideTheMountFallsBackOnItsRoot) {
    const Machine machine("0::/../other\n",
                          "31 22 0:28 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    machine.write("sys/fs/cgroup/memory.max", "4194304\n");
    machine.write("sys/fs/cgroup/memory.current", "0\n");
    EXPECT_EQ(memory_room(machine.root()).bytes, 4 * kMiB);
}

TEST(CgroupMemoryMax, IsTheLeastOfAllLevelsAndNothingWithoutALimit) {
    const Machine machine("0::/jobs/train\n", kUnified);
    machine.write("sys/fs/cgroup/jobs/train/memory.max", "max\n");
    EXPECT_EQ(cgroup_memory_max(machine.root()), std::nullopt);
    machine.write("sys/fs/cgroup/jobs/memory.max", "104857600\n");
    EXPECT_EQ(cgroup_memory_max(machine.root()), 100 * kMiB);
    const Machine old("4:memory:/\n", kVersion1);
    old.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    EXPECT_EQ(cgroup_memory_max(old.root()), std::nullopt);
}

TEST(ProcessorQuota, IsRoundedUpAndTheLeastLevelWins) {
    const Machine machine("0::/jobs/train\n", kUnified);
    machine.write("sys/fs/cgroup/jobs/train/cpu.max", "400000 100000\n");
    machine.write("sys/fs/cgroup/jobs/cpu.max", "150000 100000\n");
    EXPECT_EQ(processor_quota(machine.root()), 2U);
}

TEST(ProcessorQuota, MaxIsNone) {
    const Machine machine("0::/\n", kUnified);
    machine.write("sys/fs/cgroup/cpu.max", "max 100000\n");
    EXPECT_EQ(processor_quota(machine.root()), std::nullopt);
}

TEST(ProcessorQuota, ReadsVersion1) {
    const Machine machine("4:memory:/\n1:cpu,cpuacct:/job\n0::/\n", kVersion1);
    machine.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    machine.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(processor_quota(machine.root()), std::nullopt);
    machine.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "50000\n");
    machine.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(processor_quota(machine.root()), 1U);
}

}  // namespace
}  // namespace slidekit::system::detail::limits_test
