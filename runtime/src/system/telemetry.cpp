// perf_event_open, one event a counter and thread, with inheritance.
//
// A group would be counted at the same time, but the kernel refuses to read groups that child
// threads inherit, and without inheritance every thread that comes later is missed. User mode only:
// that is what an ordinary user may count, and what a change of the code changes.
#include <slidekit/system/telemetry.hpp>

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "limits.hpp"
#include "vmstat.hpp"

namespace slidekit::system {

namespace {

constexpr std::uint64_t read_misses(std::uint64_t cache) {
    return cache | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16;
}

struct Event {
    const char* name;
    std::uint32_t type;
    std::uint64_t config;
};
constexpr Event kEvents[] = {
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"llc_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {"dtlb_load_misses", PERF_TYPE_HW_CACHE, read_misses(PERF_COUNT_HW_CACHE_DTLB)},
    {"remote_accesses", PERF_TYPE_HW_CACHE, read_misses(PERF_COUNT_HW_CACHE_NODE)},
    {"page_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"cpu_migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
};

class Descriptor {
public:
    explicit Descriptor(int number) noexcept : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    [[nodiscard]] int number() const noexcept { return number_; }

private:
    int number_;
};

Descriptor open_event(const Event& event, int thread) {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = event.type;
    attributes.config = event.config;
    attributes.inherit = 1;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    return Descriptor(static_cast<int>(
        ::syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

std::string reason_of(int error) {
    constexpr const char* kLevel = "/proc/sys/kernel/perf_event_paranoid";
    constexpr std::uint64_t kUserMayCount = 2;
    switch (error) {
        case ENOENT:
        case ENODEV:
        case EOPNOTSUPP:
            return "this processor, or the virtual machine that shows it, has no such counter";
        case ENOSYS: return "this kernel or container has no perf_event_open";
        case EMFILE: return "too many open files (ulimit -n 4096)";
        case EACCES:
        case EPERM: break;
        default: return fmt::format("perf_event_open: {}", std::strerror(error));
    }
    const std::uint64_t level = detail::read_number(kLevel).value_or(0);
    if (level > kUserMayCount) {
        return fmt::format(
            "kernel.perf_event_paranoid is {} (sysctl kernel.perf_event_paranoid={})",
            level,
            kUserMayCount);
    }
    return "refused by the container (docker run --cap-add PERFMON --security-opt "
           "seccomp=unconfined)";
}

std::vector<int> threads_of_this_process() {
    std::vector<int> threads;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error)) {
        const std::string name = entry.path().filename();
        int thread = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), thread).ec == std::errc{})
            threads.push_back(thread);
    }
    if (threads.empty()) threads.push_back(0);  // the calling one
    return threads;
}

// What the event has counted, scaled to the whole time; empty where it cannot be read.
std::optional<std::uint64_t> read_event(const Descriptor& descriptor) {
    struct {
        std::uint64_t value, enabled, running;
    } read{};
    if (::read(descriptor.number(), &read, sizeof read) != sizeof read) return std::nullopt;
    if (read.running >= read.enabled) return read.value;
    if (read.running == 0) return std::nullopt;
    return static_cast<std::uint64_t>(static_cast<double>(read.value) *
                                      static_cast<double>(read.enabled) /
                                      static_cast<double>(read.running));
}

// One counter over all threads.
struct Counter {
    explicit Counter(const Event& event, const std::vector<int>& threads) : name(event.name) {
        for (const int thread : threads) {
            Descriptor descriptor = open_event(event, thread);
            if (descriptor.number() >= 0) {
                descriptors.push_back(std::move(descriptor));
            } else if (errno != ESRCH) {  // a thread that has ended needs no counter
                reason = reason_of(errno);
                descriptors.clear();
                return;
            }
        }
    }

    [[nodiscard]] Count count() const {
        std::uint64_t sum = 0;
        for (const Descriptor& descriptor : descriptors) {
            const std::optional<std::uint64_t> value = read_event(descriptor);
            if (!value) return {name, std::nullopt, "other programs hold the processor's counters"};
            sum += *value;
        }
        if (descriptors.empty()) return {name, std::nullopt, reason};
        return {name, sum, {}};
    }

    const char* name;
    std::vector<Descriptor> descriptors;
    std::string reason;
};

}  // namespace

struct Telemetry::State {
    State() {
        const std::vector<int> threads = threads_of_this_process();
        for (const Event& event : kEvents) counters.emplace_back(event, threads);
    }

    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    std::map<std::string, std::uint64_t> vmstat = detail::read_vmstat();
    std::vector<Counter> counters;
};

Telemetry::Telemetry() : state_(std::make_unique<State>()) {}
Telemetry::Telemetry(Telemetry&&) noexcept = default;
Telemetry& Telemetry::operator=(Telemetry&&) noexcept = default;
Telemetry::~Telemetry() = default;

TelemetryReport Telemetry::since_start() const {
    TelemetryReport report;
    for (const Counter& counter : state_->counters) report.counters.push_back(counter.count());
    report.kernel = detail::vmstat_growth(state_->vmstat, detail::read_vmstat());
    report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - state_->start).count();
    return report;
}

std::optional<std::uint64_t> TelemetryReport::value(std::string_view name) const noexcept {
    for (const std::vector<Count>* list : {&counters, &kernel}) {
        const auto at = std::find_if(
            list->begin(), list->end(), [&](const Count& count) { return count.name == name; });
        if (at != list->end()) return at->value;
    }
    return std::nullopt;
}

}  // namespace slidekit::system
