// Regions as owners of what the ladder maps, and the report of where it stands.
#include <slidekit/system/region.hpp>

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "found_pages.hpp"
#include "ladder.hpp"
#include "limits.hpp"
#include "pages.hpp"
#include "placement.hpp"

namespace slidekit::system {

namespace {

std::size_t page_of(Backing backing) {
    switch (backing) {
        case Backing::hugetlb_1g: return detail::kHugetlb1G.bytes;
        case Backing::hugetlb_2m: return detail::kHugetlb2M.bytes;
        case Backing::thp:  // parts of a huge page may be elsewhere
        case Backing::base_4k: break;
    }
    return detail::base_page();
}

FoundPages find_pages(const std::byte* start, const RegionReport& report, std::string& problem) {
    const std::size_t page = page_of(report.backing);
    const std::vector<detail::Part> parts =
        detail::parts_of(report.placement, report.mapped_bytes, page);
    FoundPages found = detail::find_pages(start, parts, page);
    problem = detail::misplacement(found, parts);
    return found;
}

}  // namespace

std::string_view backing_name(Backing backing) noexcept {
    switch (backing) {
        case Backing::hugetlb_1g: return "hugetlb-1G";
        case Backing::hugetlb_2m: return "hugetlb-2M";
        case Backing::thp: return "thp";
        case Backing::base_4k: break;
    }
    return "4K";
}

Region::Region(const RegionSpec& spec) {
    report_.tag = spec.tag;
    report_.bytes = spec.bytes;
    report_.placement = spec.placement;
    if (spec.bytes == 0) return;
    // Rounding up must not wrap; no address space is half as large.
    if (spec.bytes > std::numeric_limits<std::size_t>::max() / 2)
        detail::check_room(spec, spec.bytes);
    detail::Mapping mapping = detail::map_region(spec, report_);
    std::string problem;
    report_.found = find_pages(mapping.start(), report_, problem);
    if (!problem.empty()) {
        report_.steps.push_back(std::move(problem));
        if (spec.placement_strictness == Strictness::require)
            detail::refuse_placement(spec, report_);
    }
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

RegionReport Region::report_now() const {
    RegionReport now = report_;
    if (data_ == nullptr) return now;
    std::string problem;
    now.found = find_pages(data_, now, problem);
    if (!problem.empty()) now.steps.push_back(std::move(problem));
    if (now.backing == Backing::thp)
        now.huge_bytes = detail::anon_huge_bytes(data_, now.mapped_bytes);
    return now;
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
