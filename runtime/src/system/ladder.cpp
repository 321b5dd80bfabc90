// The rungs, from the largest pages down: each is tried, and left with its reason.
//
// A page that cannot be touched lies behind each region on ordinary pages. It keeps the kernel from
// merging neighbours into one mapping, so that /proc/self/smaps tells the huge pages of this region
// alone, and it turns a write past the end into a fault at the place.
#include "ladder.hpp"

#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <slidekit/system/error.hpp>

#include "limits.hpp"
#include "placement.hpp"

namespace slidekit::system::detail {

namespace {

[[noreturn]] void refuse_memory(const RegionSpec& spec,
                                const std::string& reason,
                                const MemoryRoom& room) {
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

// A strict binding to a node that is full would be answered by the kernel's killer.
void check_nodes(const RegionSpec& spec, std::span<const Part> parts, RegionReport& report) {
    if (spec.placement_strictness != Strictness::require) return;
    std::vector<std::string> reasons = node_shortages(parts);
    if (reasons.empty()) return;
    report.steps.insert(report.steps.end(), reasons.begin(), reasons.end());
    refuse_placement(spec, report);
}

// ---- rungs ----

// Why the pool cannot serve the parts. Each node's own share counts: pages of another node are
// worth less than small pages at home.
std::optional<std::string> shortage_of_parts(const HugetlbSize& size,
                                             std::size_t bytes,
                                             std::span<const Part> parts) {
    if (auto reason = pool_shortage(size, bytes / size.bytes)) return reason;
    for (const auto& [node, share] : bytes_by_node(parts)) {
        if (auto reason = pool_shortage(size, share / size.bytes, node)) return reason;
    }
    return std::nullopt;
}

Mapping map_hugetlb(const RegionSpec& spec, const HugetlbSize& size, RegionReport& report) {
    const std::size_t bytes = round_up(spec.bytes, size.bytes);
    const std::vector<Part> parts = parts_of(spec.placement, bytes, size.bytes);
    if (auto reason = shortage_of_parts(size, bytes, parts)) {
        report.steps.push_back(std::move(*reason));
        return {};
    }
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
                      (std::countr_zero(size.bytes) << MAP_HUGE_SHIFT);
    void* start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (start == MAP_FAILED) {
        report.steps.push_back(fmt::format("{}: mmap: {}", size.name, std::strerror(errno)));
        return {};
    }
    Mapping mapping(start, bytes);
    std::vector<std::string> steps;  // kept where the pages are
    const int error = fill(mapping.start(),
                           parts,
                           {.strictness = spec.placement_strictness,
                            .run_on = spec.run_on,
                            .stripe = size.bytes,
                            .populate = populate},
                           steps);
    if (error != 0) {
        report.steps.push_back(fmt::format("{}: populating: {}", size.name, std::strerror(error)));
        return {};
    }
    report.steps.insert(report.steps.end(), steps.begin(), steps.end());
    report.mapped_bytes = report.huge_bytes = bytes;
    report.backing = size.backing;
    return mapping;
}

// `bytes` of ordinary pages with the guard page behind, aligned to `alignment`; not yet populated.
Mapping map_ordinary(const RegionSpec& spec, std::size_t bytes, std::size_t alignment) {
    const std::size_t reserved =
        bytes + alignment;  // a page is left behind: the start moves by less
    void* start = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        refuse_memory(spec, std::string("mmap: ") + std::strerror(errno), memory_room());
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    const std::size_t head = round_up(address, alignment) - address;
    if (head > 0) ::munmap(start, head);
    Mapping mapping(static_cast<std::byte*>(start) + head, reserved - head);
    if (::mprotect(mapping.start(), bytes, PROT_READ | PROT_WRITE) != 0) {
        refuse_memory(spec, std::string("mprotect: ") + std::strerror(errno), memory_room());
    }
    return mapping;
}

// Asks for huge pages, but not across cuts: the pages there belong to two nodes. Returns how many
// bytes can be on huge pages, or nothing with errno set.
std::optional<std::size_t> advise_huge(std::byte* start, std::span<const Part> parts) {
    const std::size_t total = parts.back().end;
    if (::madvise(start, total, MADV_HUGEPAGE) != 0) return std::nullopt;
    std::size_t most = total;
    std::size_t last = total;  // the huge page that was left out last
    for (const Part& part : parts) {
        const std::size_t page = part.end / kHugePage * kHugePage;
        if (part.end == page || page == last) continue;
        ::madvise(start + page, kHugePage, MADV_NOHUGEPAGE);
        most -= kHugePage;
        last = page;
    }
    return most;
}

// The lower rungs: transparent huge pages where `thp`, else 4K.
Mapping map_thp_or_base(const RegionSpec& spec, bool thp, RegionReport& report) {
    const bool big = spec.bytes >= kHugePage;
    report.mapped_bytes = round_up(spec.bytes, thp ? kHugePage : base_page());
    check_room(spec, report.mapped_bytes);
    const std::vector<Part> parts = parts_of(spec.placement, report.mapped_bytes, base_page());
    check_nodes(spec, parts, report);
    Mapping mapping = map_ordinary(spec, report.mapped_bytes, big ? kHugePage : base_page());
    std::byte* const start = mapping.start();
    std::size_t most_huge = 0;
    if (thp) {
        const std::optional<std::size_t> most = advise_huge(start, parts);
        if (!most) {
            report.steps.push_back(fmt::format("thp: MADV_HUGEPAGE: {}", std::strerror(errno)));
            if (spec.huge_pages == HugePages::require) refuse_pages(spec, report);
        }
        thp = most.has_value();
        most_huge = most.value_or(0);
    }
    // A machine set to `always` would give huge pages to those who asked for none.
    if (spec.huge_pages == HugePages::never) ::madvise(start, report.mapped_bytes, MADV_NOHUGEPAGE);
    const int error = fill(start,
                           parts,
                           {.strictness = spec.placement_strictness,
                            .run_on = spec.run_on,
                            .stripe = thp ? kHugePage : base_page(),
                            .populate = populate_or_touch},
                           report.steps);
    if (error != 0) {
        refuse_memory(spec, std::string("populating: ") + std::strerror(error), memory_room());
    }
    if (!thp) return mapping;

    report.huge_bytes = anon_huge_bytes(start, report.mapped_bytes);
    if (report.huge_bytes > 0) report.backing = Backing::thp;
    if (report.huge_bytes < most_huge) {
        report.steps.push_back(
            fmt::format("thp: {:.0f} of {:.0f} MiB were got, memory is in pieces "
                        "(sysctl vm.compact_memory=1)",
                        mib(report.huge_bytes),
                        mib(most_huge)));
        if (spec.huge_pages == HugePages::require) refuse_pages(spec, report);
    }
    return mapping;
}

}  // namespace

void refuse_placement(const RegionSpec& spec, const RegionReport& report) {
    throw Error(ErrorCode::memory,
                spec.tag,
                fmt::format("placement is required and {} bytes cannot all be on their nodes: {}",
                            spec.bytes,
                            fmt::join(report.steps, "; ")));
}

void check_room(const RegionSpec& spec, std::size_t mapped_bytes) {
    const MemoryRoom room = memory_room();
    if (mapped_bytes > room.bytes || headroom(mapped_bytes) > room.bytes - mapped_bytes)
        refuse_memory(spec, "it would not fit", room);
}

Mapping map_region(const RegionSpec& spec, RegionReport& report) {
    if (spec.bytes < kHugePage || spec.huge_pages == HugePages::never)
        return map_thp_or_base(spec, false, report);
    for (const HugetlbSize& size : {kHugetlb1G, kHugetlb2M}) {
        const bool gigantic = size.backing == Backing::hugetlb_1g;
        if (gigantic && (!spec.gigantic_pages || spec.bytes < size.bytes)) continue;
        Mapping mapping = map_hugetlb(spec, size, report);
        if (mapping.start() != nullptr) return mapping;
    }
    std::optional<std::string> obstacle = thp_obstacle();
    const bool thp = !obstacle;
    if (obstacle) report.steps.push_back(std::move(*obstacle));
    if (!thp && spec.huge_pages == HugePages::require) refuse_pages(spec, report);
    return map_thp_or_base(spec, thp, report);
}

}  // namespace slidekit::system::detail
