// Big zeroed memory on the largest pages that can be had, with a report of what was got and why not
// more.
//
// The ladder: hugetlb 1G (only where asked for) -> hugetlb 2M -> transparent huge pages -> 4K. A
// step down is never an error unless pages are required; each is recorded with its reason. Memory
// of the right node on small pages goes before huge pages of another one. Pages are populated with
// madvise, because touching a hugetlb page of an empty pool is a SIGBUS while MADV_POPULATE_WRITE
// is an errno; and only after a look at what is free, because populating more than that is a
// SIGKILL. Then every page is asked where it stands. Regions under 2 MiB are on 4K pages by any
// policy.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/placement.hpp>

namespace slidekit::system {

enum class HugePages { prefer, require, never };
enum class Backing { hugetlb_1g, hugetlb_2m, thp, base_4k };

[[nodiscard]] SLIDEKIT_API std::string_view backing_name(Backing backing) noexcept;

struct RegionSpec {
    std::size_t bytes = 0;
    std::string tag;  // what it holds, for reports and errors: "output.weight"
    HugePages huge_pages = HugePages::prefer;
    bool gigantic_pages = false;  // pages of 1 GiB are tried first, where the region is as large
    Placement placement = {};
    Strictness placement_strictness = Strictness::prefer;
    RunOnNode run_on = {};  // empty: the calling thread stands in for every node
};

/// What was got. bytes is what was asked for; mapped_bytes is rounded up to whole pages (of 2 MiB,
/// where huge ones were tried). Nodes and huge_bytes are as they were when the region was made.
struct RegionReport {
    std::string tag;
    std::size_t bytes = 0;
    std::size_t mapped_bytes = 0;
    std::size_t huge_bytes = 0;  // bytes really on huge pages
    Backing backing = Backing::base_4k;
    Placement placement;             // as asked
    FoundPages found;                // of mapped_bytes
    std::vector<std::string> steps;  // each step down, with its reason
};

/// Owner of one mapping. Move-only; thread-compatible. All bytes are zero, the start is 64-byte
/// aligned (2 MiB aligned from 2 MiB on).
class SLIDEKIT_API Region {
public:
    Region() noexcept = default;
    /// Maps, places, populates and verifies. Throws Error (memory) where the memory cannot be had,
    /// or huge pages or nodes are required and not all of it can be on them; the message lists
    /// every reason and the command that mends it.
    explicit Region(const RegionSpec& spec);
    Region(Region&& other) noexcept;
    Region& operator=(Region&& other) noexcept;
    ~Region();

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return report_.bytes; }
    [[nodiscard]] const RegionReport& report() const noexcept { return report_; }
    /// The report as it would be now: the kernel may have moved pages since (AutoNUMA, swapping).
    [[nodiscard]] RegionReport report_now() const;

    /// The region as an array of T. T must be trivial; all-zero bytes are its initial value.
    template <class T>
    [[nodiscard]] std::span<T> as() const noexcept {
        static_assert(std::is_trivially_copyable_v<T>);
        return {reinterpret_cast<T*>(data_), report_.bytes / sizeof(T)};
    }

private:
    std::byte* data_ = nullptr;
    std::size_t mapping_bytes_ = 0;  // from data_ on, with the guard page behind
    RegionReport report_;
};

/// Memory that this process may still use: the least of free memory and its cgroup's and rlimit's
/// room.
[[nodiscard]] SLIDEKIT_API std::size_t available_memory_bytes();

/// The largest resident set that this process has had.
[[nodiscard]] SLIDEKIT_API std::size_t peak_rss_bytes();

}  // namespace slidekit::system
