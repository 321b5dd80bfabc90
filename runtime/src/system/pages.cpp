// What the kernel says about its pages, and the calls that ask it for them.
#include "pages.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include <fmt/format.h>

#include "limits.hpp"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14, newer than some C libraries
#endif

namespace slidekit::system::detail {

std::size_t base_page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

Mapping::~Mapping() {
    if (start_ != nullptr) ::munmap(start_, bytes_);
}

int populate(std::byte* start, std::size_t bytes) {
    while (::madvise(start, bytes, MADV_POPULATE_WRITE) != 0) {
        if (errno != EINTR && errno != EAGAIN) return errno;
    }
    return 0;
}

int populate_or_touch(std::byte* start, std::size_t bytes) {
    const int error = populate(start, bytes);
    if (error != EINVAL) return error;
    for (std::size_t at = 0; at < bytes; at += base_page())
        *static_cast<volatile std::byte*>(start + at) = std::byte{0};
    return 0;
}

std::optional<std::string> pool_shortage(const HugetlbSize& size,
                                         std::size_t needed,
                                         const std::filesystem::path& root) {
    const std::filesystem::path pool = root / "sys/kernel/mm/hugepages" / size.folder;
    const std::size_t total = read_number(pool / "nr_hugepages").value_or(0);
    const std::size_t unused = read_number(pool / "free_hugepages").value_or(0);
    const std::size_t reserved = read_number(pool / "resv_hugepages").value_or(0);
    const std::size_t pages = unused - std::min(unused, reserved);
    if (pages >= needed) return std::nullopt;
    const std::size_t wanted = total + needed - pages;
    const std::string remedy =
        size.bytes == kHugePage
            ? fmt::format("sysctl vm.nr_hugepages={}", wanted)
            : fmt::format("echo {} > {}", wanted, (pool / "nr_hugepages").string());
    return fmt::format("{}: {} of {} pages are free ({})", size.name, pages, needed, remedy);
}

std::optional<std::string> pool_shortage(const HugetlbSize& size,
                                         std::size_t needed,
                                         NodeId node,
                                         const std::filesystem::path& root) {
    const int number = static_cast<int>(node);
    const std::filesystem::path pool =
        root / fmt::format("sys/devices/system/node/node{}/hugepages/{}", number, size.folder);
    const std::size_t total = read_number(pool / "nr_hugepages").value_or(0);
    const std::optional<std::uint64_t> pages = read_number(pool / "free_hugepages");
    if (!pages || *pages >= needed) return std::nullopt;  // no such node: binding will say so
    return fmt::format("{}: node {} has {} of {} pages free (echo {} > {})",
                       size.name,
                       number,
                       *pages,
                       needed,
                       total + needed - *pages,
                       (pool / "nr_hugepages").string());
}

std::optional<std::string> thp_obstacle(const std::filesystem::path& root) {
    const std::filesystem::path mode = root / "sys/kernel/mm/transparent_hugepage/enabled";
    std::ifstream stream(mode);
    std::string modes;
    if (!std::getline(stream, modes)) return "thp: this kernel has none";
    if (modes.find("[never]") != std::string::npos)
        return fmt::format("thp: they are off (echo madvise > {})", mode.string());
    if (::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1)
        return "thp: off for this process (its parent called prctl PR_SET_THP_DISABLE)";
    return std::nullopt;
}

// The file is read up to there only: each mapping that the kernel writes about costs it a walk of
// that mapping's pages.
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

}  // namespace slidekit::system::detail
