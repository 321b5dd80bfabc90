// What the kernel says about pages, memory nodes and limits, read from /proc and /sys as it is now.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <slidekit/system/ids.hpp>

namespace slidekit::cli {

/// Pages set aside for hugetlb, of one size.
struct HugetlbPool {
    std::uint64_t page_bytes = 0;
    std::uint64_t pages = 0;
    std::uint64_t free = 0;
};

struct NodeState {
    std::optional<std::uint64_t> free_bytes;
    std::vector<HugetlbPool> pools;
    std::vector<int> distances;  // to each node, by the kernel's numbers; 10 is the node itself
};

/// thp_mode is "always", "madvise" or "never"; empty where this kernel has none, and so are the
/// others. Limits are empty where there is none.
struct MachineState {
    std::string kernel;
    std::string thp_mode;
    std::string thp_defrag;
    bool thp_off_for_process = false;
    std::vector<HugetlbPool> pools;
    std::optional<std::uint64_t> autonuma;  // kernel.numa_balancing
    std::optional<std::uint64_t> memory_bytes;
    std::optional<std::uint64_t> free_bytes;  // that can be had without pushing others out
    std::optional<std::uint64_t> rlimit_as;
    std::optional<std::uint64_t> rlimit_data;
    std::optional<std::uint64_t> rlimit_memlock;
};

/// root: where /proc and /sys are looked for.
[[nodiscard]] MachineState read_machine(const std::filesystem::path& root = "/");
[[nodiscard]] NodeState read_node(NodeId node, const std::filesystem::path& root = "/");

/// "madvise" of "always [madvise] never"; empty where nothing is chosen.
[[nodiscard]] std::string chosen_word(const std::string& words);
/// "0-3,8" of 0, 1, 2, 3, 8 (ascending).
[[nodiscard]] std::string ranges_text(const std::vector<int>& numbers);

}  // namespace slidekit::cli
