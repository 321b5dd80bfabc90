// The kernel's pages: mappings, what populates them, and what can be had of each size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include <slidekit/system/ids.hpp>
#include <slidekit/system/region.hpp>

namespace slidekit::system::detail {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

[[nodiscard]] std::size_t base_page();
[[nodiscard]] constexpr std::size_t round_up(std::size_t bytes, std::size_t page) {
    return (bytes + page - 1) / page * page;
}
[[nodiscard]] constexpr double mib(std::uint64_t bytes) {
    return static_cast<double>(bytes) / (1 << 20);
}

/// Owner while a region is in the making, so that a refusal leaves nothing mapped.
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
    ~Mapping();

    [[nodiscard]] std::byte* start() const { return start_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    std::byte* release() { return std::exchange(start_, nullptr); }

private:
    std::byte* start_ = nullptr;
    std::size_t bytes_ = 0;
};

/// Gives pages to a range by MADV_POPULATE_WRITE: 0 or an errno (EINVAL on kernels before 5.14).
[[nodiscard]] int populate(std::byte* start, std::size_t bytes);
/// The same, with a touch of each page on old kernels. Not for hugetlb: there it is a SIGBUS.
[[nodiscard]] int populate_or_touch(std::byte* start, std::size_t bytes);

/// A size of pages that the kernel keeps in a pool of its own.
struct HugetlbSize {
    std::size_t bytes;
    const char* name;    // for people
    const char* folder;  // below hugepages/
    Backing backing;
};
inline constexpr HugetlbSize kHugetlb1G = {
    std::size_t{1} << 30, "hugetlb 1G", "hugepages-1048576kB", Backing::hugetlb_1g};
inline constexpr HugetlbSize kHugetlb2M = {
    kHugePage, "hugetlb 2M", "hugepages-2048kB", Backing::hugetlb_2m};

/// Why the pool does not have so many pages, with its remedy; nothing where it has.
[[nodiscard]] std::optional<std::string> pool_shortage(const HugetlbSize& size,
                                                       std::size_t needed,
                                                       const std::filesystem::path& root = "/");
/// The same for one node's part of it.
[[nodiscard]] std::optional<std::string> pool_shortage(const HugetlbSize& size,
                                                       std::size_t needed,
                                                       NodeId node,
                                                       const std::filesystem::path& root = "/");

/// Why transparent huge pages cannot be had; nothing where they can.
[[nodiscard]] std::optional<std::string> thp_obstacle(const std::filesystem::path& root = "/");

/// Bytes on transparent huge pages in [start, start + bytes).
[[nodiscard]] std::size_t anon_huge_bytes(const std::byte* start, std::size_t bytes);

}  // namespace slidekit::system::detail
