// The figures of /proc/vmstat that tell about placement and huge pages.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <slidekit/system/telemetry.hpp>

namespace slidekit::system::detail {

inline constexpr const char* kVmstatNames[] = {
    "numa_hit",
    "numa_miss",
    "numa_foreign",
    "numa_interleave",
    "numa_local",
    "numa_other",
    "numa_hint_faults",
    "numa_hint_faults_local",
    "numa_pages_migrated",
    "thp_fault_alloc",
    "thp_fault_fallback",
    "thp_collapse_alloc",
    "thp_split_page",
    "compact_stall",
    "compact_fail",
};

/// All lines "name number" of the file.
inline std::map<std::string, std::uint64_t> read_vmstat(const std::string& file = "/proc/vmstat") {
    std::map<std::string, std::uint64_t> figures;
    std::ifstream stream(file);
    std::string line, name;
    while (std::getline(stream, line)) {
        std::istringstream words(line);
        std::uint64_t value = 0;
        if (words >> name >> value) figures[name] = value;
    }
    return figures;
}

/// Growth of the figures above. A kernel leaves out what it was built without.
inline std::vector<Count> vmstat_growth(const std::map<std::string, std::uint64_t>& before,
                                        const std::map<std::string, std::uint64_t>& after) {
    std::vector<Count> counts;
    for (const char* name : kVmstatNames) {
        const auto first = before.find(name);
        const auto last = after.find(name);
        if (first == before.end() || last == after.end()) {
            counts.push_back({name, std::nullopt, "this kernel does not count it"});
        } else {
            counts.push_back({name, last->second - first->second, {}});
        }
    }
    return counts;
}

}  // namespace slidekit::system::detail
