// Counters over a stretch of work: what is counted, by which threads, and what is said of those
// that cannot be had.
#include <slidekit/system/telemetry.hpp>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include <gtest/gtest.h>

#include "child.hpp"
#include "deny.hpp"
#include "sanitized.hpp"
#include "system/vmstat.hpp"
#include "temporary_folder.hpp"

namespace slidekit::system::telemetry_test {
namespace {

using testing::exit_code_in_child;

// Faults in user mode, one a page.
void touch_pages(std::size_t count) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* const start =
        ::mmap(nullptr, count * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(start, MAP_FAILED);
    ::madvise(start, count * page, MADV_NOHUGEPAGE);
    for (std::size_t i = 0; i < count; ++i) static_cast<volatile char*>(start)[i * page] = 1;
    ::munmap(start, count * page);
}

bool all_counters_say(const TelemetryReport& report, std::string_view reason) {
    return std::all_of(report.counters.begin(), report.counters.end(), [&](const Count& count) {
        return !count.value && count.reason.find(reason) != std::string::npos;
    });
}

TEST(Telemetry, GivesEachCounterAValueOrAReason) {
    const TelemetryReport report = Telemetry().since_start();
    EXPECT_EQ(report.counters.size(), 7U);
    for (const auto* list : {&report.counters, &report.kernel}) {
        for (const Count& count : *list) EXPECT_NE(count.value.has_value(), !count.reason.empty());
    }
    EXPECT_GE(report.seconds, 0.0);
    EXPECT_EQ(report.value("no such counter"), std::nullopt);
}

TEST(Telemetry, CountsThisThreadThoseBeforeAndThoseAfterwards) {
    std::atomic<bool> begin = false;
    std::thread before([&] {
        begin.wait(false);
        touch_pages(1000);
    });
    const Telemetry telemetry;
    begin = true;
    begin.notify_all();
    before.join();
    std::thread([] { touch_pages(1000); }).join();
    touch_pages(1000);
    const TelemetryReport report = telemetry.since_start();
    if (!report.value("page_faults")) GTEST_SKIP() << report.counters[5].reason;
    EXPECT_GE(*report.value("page_faults"), 3000U);
    EXPECT_LT(*report.value("page_faults"), testing::kSanitized ? 100'000U : 4000U);
}

TEST(Telemetry, CountsInstructionsWhereTheMachineHasCounters) {
    const Telemetry telemetry;
    for (volatile int i = 0; i < 1'000'000;) i = i + 1;
    const TelemetryReport report = telemetry.since_start();
    if (!report.value("instructions")) GTEST_SKIP() << report.counters[1].reason;
    EXPECT_GE(*report.value("instructions"), 1'000'000U);
    EXPECT_GT(*report.value("cycles"), 0U);
}

TEST(Telemetry, CountsAllocatedPagesOfTheMachine) {
    const Telemetry telemetry;
    touch_pages(1000);
    const TelemetryReport report = telemetry.since_start();
    if (!report.value("numa_hit")) GTEST_SKIP() << "a kernel without NUMA";
    EXPECT_GE(*report.value("numa_hit") + *report.value("numa_miss"), 500U);  // counted in lumps
}

TEST(Telemetry, SaysThatAContainerOrTheKernelRefuses) {
    for (const int error : {EPERM, EACCES, ENOSYS, ENOENT}) {
        EXPECT_EQ(exit_code_in_child([&] {
                      if (!testing::deny({SYS_perf_event_open}, error)) return 1;
                      const TelemetryReport report = Telemetry().since_start();
                      if (error == ENOSYS) return all_counters_say(report, "no perf_event") ? 0 : 2;
                      if (error == ENOENT) return all_counters_say(report, "processor") ? 0 : 3;
                      return all_counters_say(report, "container") ||
                                     all_counters_say(report, "sysctl kernel.perf_event_paranoid=2")
                                 ? 0
                                 : 4;
                  }),
                  0)
            << error;
    }
}

TEST(Telemetry, SaysThatThereAreTooFewDescriptors) {
    EXPECT_EQ(exit_code_in_child([] {
                  const rlimit few{.rlim_cur = 3, .rlim_max = 3};
                  if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return 1;
                  const TelemetryReport report = Telemetry().since_start();
                  const Count& faults = report.counters[5];
                  return !faults.value && !faults.reason.empty() ? 0 : 2;
              }),
              0);
}

TEST(Vmstat, GrowthIsByNameAndSaysWhatTheKernelLacks) {
    const testing::TemporaryFolder folder;
    const std::string file = folder.path() / "vmstat";
    std::ofstream(file) << "nr_free_pages 10\nnuma_hit 100\nthp_fault_alloc 5\nbroken\n";
    const auto before = detail::read_vmstat(file);
    std::ofstream(file) << "numa_hit 150\nthp_fault_alloc 5\n";
    TelemetryReport report;
    report.kernel = detail::vmstat_growth(before, detail::read_vmstat(file));
    EXPECT_EQ(report.value("numa_hit"), 50U);
    EXPECT_EQ(report.value("thp_fault_alloc"), 0U);
    EXPECT_EQ(report.value("numa_miss"), std::nullopt);
    EXPECT_TRUE(detail::read_vmstat("/nonexistent").empty());
}

}  // namespace
}  // namespace slidekit::system::telemetry_test
