// Mapping, placing, populating and checking of big memory.
//
// A page that cannot be touched lies behind each region on ordinary pages. It keeps the kernel from
// merging neighbours into one mapping, so that /proc/self/smaps tells the huge pages of this region
// alone, and it turns a write past the end into a fault at the place.
#include <slidekit/system/region.hpp>

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <slidekit/system/error.hpp>

#include "limits.hpp"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14, newer than some C libraries
#endif

namespace slidekit::system {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr const char* kThpMode = "/sys/kernel/mm/transparent_hugepage/enabled";
constexpr const char* kHugetlbPool = "/sys/kernel/mm/hugepages/hugepages-2048kB/";

std::size_t base_page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }
std::size_t round_up(std::size_t bytes, std::size_t page) {
    return (bytes + page - 1) / page * page;
}
double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// Owner while a region is in the making, so that a refusal leaves nothing mapped.
class Mapping {
public:
    Mapping() = default;
    Mapping(void* start, std::size_t bytes)
        : start_(static_cast<std::byte*>(start)), bytes_(bytes) {}
    Mapping(Mapping&& other) noexcept
        : start_(std::exchange(other.start_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(start_, other.start_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Mapping() {
        if (start_ != nullptr) ::munmap(start_, bytes_);
    }

    [[nodiscard]] std::byte* start() const { return start_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    std::byte* release() { return std::exchange(start_, nullptr); }

private:
    std::byte* start_ = nullptr;
    std::size_t bytes_ = 0;
};

[[noreturn]] void refuse_memory(const RegionSpec& spec,
                                const std::string& reason,
                                const detail::MemoryRoom& room) {
    throw Error(
        ErrorCode::memory,
        spec.tag,
        fmt::format("{} bytes ({:.1f} MiB) asked, {} bytes ({:.1f} MiB) available by {}: {} ({})",
                    spec.bytes,
                    mib(spec.bytes),
                    room.bytes,
                    mib(room.bytes),
                    room.limit,
                    reason,
                    room.remedy));
}

[[noreturn]] void refuse_pages(const RegionSpec& spec, const RegionReport& report) {
    throw Error(ErrorCode::memory,
                spec.tag,
                fmt::format("huge pages are required and {} bytes cannot all be on them: {}",
                            spec.bytes,
                            fmt::join(report.steps, "; ")));
}

// The kernel kills a process that populates more than there is, so ask first. A little is left for
// what the kernel needs on the way (page tables) and for others.
void check_room(const RegionSpec& spec, std::size_t mapped_bytes) {
    constexpr std::size_t kMostHeadroom = std::size_t{64} << 20;
    const detail::MemoryRoom room = detail::memory_room();
    const std::size_t headroom = std::min(mapped_bytes / 16, kMostHeadroom);
    if (mapped_bytes > room.bytes || headroom > room.bytes - mapped_bytes) {
        refuse_memory(spec, "it would not fit", room);
    }
}

NodeId node_of(const RegionSpec& spec) {
    return spec.placement.policy == Placement::Policy::domain ? spec.placement.nodes.front()
                                                              : NodeId::unknown;
}

// Prefers the node: binding to a full one would be answered by the kernel's killer, not by an
// errno.
void prefer_node(std::byte* start, std::size_t bytes, NodeId node, RegionReport& report) {
    constexpr std::size_t kWordBits = 64;
    const auto number = static_cast<std::size_t>(node);
    std::array<std::uint64_t, 16> nodes{};
    if (node == NodeId::unknown) return;
    if (number >= nodes.size() * kWordBits) {
        report.steps.push_back(fmt::format("node {}: no such number", number));
        return;
    }
    nodes[number / kWordBits] |= std::uint64_t{1} << (number % kWordBits);
    // The kernel reads one bit less than it is told.
    if (::syscall(SYS_mbind,
                  start,
                  bytes,
                  MPOL_PREFERRED,
                  nodes.data(),
                  nodes.size() * kWordBits + 1,
                  0UL) != 0) {
        report.steps.push_back(
            fmt::format("node {}: mbind: {}{}; placed by first touch",
                        number,
                        std::strerror(errno),
                        errno == EPERM ? " (the container lacks CAP_SYS_NICE)" : ""));
    }
}

// 0 or an errno.
int populate(std::byte* start, std::size_t bytes) {
    while (::madvise(start, bytes, MADV_POPULATE_WRITE) != 0) {
        if (errno != EINTR && errno != EAGAIN) return errno;
    }
    return 0;
}

// Kernels before 5.14.
void populate_by_touch(std::byte* start, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += base_page()) {
        *static_cast<volatile std::byte*>(start + at) = std::byte{0};
    }
}

Mapping map_hugetlb(const RegionSpec& spec, RegionReport& report) {
    const std::string pool = kHugetlbPool;
    const std::size_t bytes = round_up(spec.bytes, kHugePage);
    const std::size_t needed = bytes / kHugePage;
    const std::size_t total = detail::read_number(pool + "nr_hugepages").value_or(0);
    const std::size_t unused = detail::read_number(pool + "free_hugepages").value_or(0);
    const std::size_t reserved = detail::read_number(pool + "resv_hugepages").value_or(0);
    const std::size_t pages = unused - std::min(unused, reserved);
    if (pages < needed) {
        report.steps.push_back(
            fmt::format("hugetlb 2M: {} of {} pages are free (sysctl vm.nr_hugepages={})",
                        pages,
                        needed,
                        total + needed - pages));
        return {};
    }
    constexpr int kFlags =
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (std::countr_zero(kHugePage) << MAP_HUGE_SHIFT);
    void* start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (start == MAP_FAILED) {
        report.steps.push_back(fmt::format("hugetlb 2M: mmap: {}", std::strerror(errno)));
        return {};
    }
    Mapping mapping(start, bytes);
    prefer_node(mapping.start(), bytes, node_of(spec), report);
    if (const int error = populate(mapping.start(), bytes); error != 0) {
        report.steps.push_back(fmt::format("hugetlb 2M: populating: {}", std::strerror(error)));
        return {};
    }
    return mapping;
}

// `bytes` of ordinary pages with the guard page behind, aligned to `alignment`; not yet populated.
Mapping map_ordinary(const RegionSpec& spec, std::size_t bytes, std::size_t alignment) {
    const std::size_t reserved =
        bytes + alignment;  // a page is left behind: the start moves by less
    void* start = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        refuse_memory(spec, std::string("mmap: ") + std::strerror(errno), detail::memory_room());
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    const std::size_t head = round_up(address, alignment) - address;
    if (head > 0) ::munmap(start, head);
    Mapping mapping(static_cast<std::byte*>(start) + head, reserved - head);
    if (::mprotect(mapping.start(), bytes, PROT_READ | PROT_WRITE) != 0) {
        refuse_memory(
            spec, std::string("mprotect: ") + std::strerror(errno), detail::memory_room());
    }
    return mapping;
}

// Why transparent huge pages cannot be had; empty where they can.
std::string thp_obstacle() {
    std::ifstream stream(kThpMode);
    std::string modes;
    if (!std::getline(stream, modes)) return "thp: this kernel has none";
    if (modes.find("[never]") != std::string::npos) {
        return fmt::format("thp: they are off (echo madvise > {})", kThpMode);
    }
    if (::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1) {
        return "thp: off for this process (its parent called prctl PR_SET_THP_DISABLE)";
    }
    return {};
}

// Bytes on huge pages in [start, start + bytes). The file is read up to there only: each mapping
// that the kernel writes about costs it a walk of that mapping's pages.
std::size_t anon_huge_bytes(const std::byte* start, std::size_t bytes) {
    const auto first = reinterpret_cast<std::uintptr_t>(start);
    const std::uintptr_t last = first + bytes;
    constexpr std::string_view kKey = "AnonHugePages:";
    std::ifstream stream("/proc/self/smaps");
    std::string line;
    bool inside = false;
    std::size_t huge = 0;
    while (std::getline(stream, line)) {
        std::uintptr_t begin = 0;
        const char* const end = line.data() + line.size();
        const auto [dash, error] = std::from_chars(line.data(), end, begin, 16);
        if (error == std::errc{} && dash != end && *dash == '-') {
            if (begin >= last) break;
            std::uintptr_t behind = 0;
            std::from_chars(dash + 1, end, behind, 16);
            inside = behind > first;
        } else if (inside && line.starts_with(kKey)) {
            huge += std::strtoull(line.c_str() + kKey.size(), nullptr, 10) * 1024;
        }
    }
    return std::min(huge, bytes);
}

// The lower rungs: transparent huge pages where `thp`, else 4K.
Mapping map_thp_or_base(const RegionSpec& spec, bool thp, RegionReport& report) {
    const bool big = spec.bytes >= kHugePage;
    report.mapped_bytes = round_up(spec.bytes, thp ? kHugePage : base_page());
    check_room(spec, report.mapped_bytes);
    Mapping mapping = map_ordinary(spec, report.mapped_bytes, big ? kHugePage : base_page());
    std::byte* const start = mapping.start();
    if (thp && ::madvise(start, report.mapped_bytes, MADV_HUGEPAGE) != 0) {
        report.steps.push_back(fmt::format("thp: MADV_HUGEPAGE: {}", std::strerror(errno)));
        thp = false;
    }
    // A machine set to `always` would give huge pages to those who asked for none.
    if (spec.huge_pages == HugePages::never) ::madvise(start, report.mapped_bytes, MADV_NOHUGEPAGE);
    prefer_node(start, report.mapped_bytes, node_of(spec), report);
    if (const int error = populate(start, report.mapped_bytes); error == EINVAL) {
        populate_by_touch(start, report.mapped_bytes);
    } else if (error != 0) {
        refuse_memory(
            spec, std::string("populating: ") + std::strerror(error), detail::memory_room());
    }
    if (!thp) return mapping;

    report.huge_bytes = anon_huge_bytes(start, report.mapped_bytes);
    if (report.huge_bytes > 0) report.backing = Backing::thp;
    if (report.huge_bytes < report.mapped_bytes) {
        report.steps.push_back(
            fmt::format("thp: {:.0f} of {:.0f} MiB were got, memory is in pieces "
                        "(sysctl vm.compact_memory=1)",
                        mib(report.huge_bytes),
                        mib(report.mapped_bytes)));
    }
    return mapping;
}

Mapping map_region(const RegionSpec& spec, RegionReport& report) {
    if (spec.bytes < kHugePage || spec.huge_pages == HugePages::never)
        return map_thp_or_base(spec, false, report);
    const bool required = spec.huge_pages == HugePages::require;
    if (Mapping mapping = map_hugetlb(spec, report); mapping.start() != nullptr) {
        report.mapped_bytes = report.huge_bytes = mapping.bytes();
        report.backing = Backing::hugetlb_2m;
        return mapping;
    }
    std::string obstacle = thp_obstacle();
    const bool thp = obstacle.empty();
    if (!thp) report.steps.push_back(std::move(obstacle));
    if (required && !thp) refuse_pages(spec, report);
    Mapping mapping = map_thp_or_base(spec, thp, report);
    if (required && report.huge_bytes < report.mapped_bytes) refuse_pages(spec, report);
    return mapping;
}

}  // namespace

std::string_view backing_name(Backing backing) noexcept {
    switch (backing) {
        case Backing::hugetlb_2m: return "hugetlb-2M";
        case Backing::thp: return "thp";
        case Backing::base_4k: break;
    }
    return "4K";
}

Region::Region(const RegionSpec& spec) {
    report_.tag = spec.tag;
    report_.bytes = spec.bytes;
    if (spec.bytes == 0) return;
    // Rounding up must not wrap; no address space is half as large.
    if (spec.bytes > std::numeric_limits<std::size_t>::max() / 2) check_room(spec, spec.bytes);
    Mapping mapping = map_region(spec, report_);
    mapping_bytes_ = mapping.bytes();
    data_ = mapping.release();
}

Region::Region(Region&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      mapping_bytes_(std::exchange(other.mapping_bytes_, 0)),
      report_(std::exchange(other.report_, {})) {}

Region& Region::operator=(Region&& other) noexcept {
    Region taken(std::move(other));  // leaves with the old memory of this one
    std::swap(data_, taken.data_);
    std::swap(mapping_bytes_, taken.mapping_bytes_);
    std::swap(report_, taken.report_);
    return *this;
}

Region::~Region() {
    if (data_ != nullptr) ::munmap(data_, mapping_bytes_);
}

std::size_t available_memory_bytes() { return detail::memory_room().bytes; }

// Not getrusage: its maximum is inherited across exec, from a parent that may have been larger.
std::size_t peak_rss_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        constexpr std::string_view kKey = "VmHWM:";
        if (line.starts_with(kKey))
            return std::strtoull(line.c_str() + kKey.size(), nullptr, 10) * 1024;
    }
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace slidekit::system
