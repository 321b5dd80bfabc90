// What the kernel lets this process have: processors by its cgroup's quota, memory by several
// limits at once.
//
// A limit of an outer cgroup binds as well as the own one, so every level up to the mount is read.
// Page cache counts as used in a cgroup's figures although the kernel drops it before it kills
// anybody: it is added back, or a data set that has just been read would refuse its own model.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace slidekit::system::detail {

/// This process's cgroup for one controller: its directory and those around it, innermost first.
struct Cgroup {
    bool unified = false;  // version 2
    std::vector<std::filesystem::path> levels;
};

/// Memory of one node: unused, and taken by page cache that the kernel drops when it needs memory.
struct NodeMemory {
    std::uint64_t free_bytes = 0;
    std::uint64_t cache_bytes = 0;

    /// What can be taken without danger. Half of the cache is left, as part of it is in use.
    [[nodiscard]] std::uint64_t room() const noexcept { return free_bytes + cache_bytes / 2; }
};

/// Memory that may still be used, and who sets the limit.
struct MemoryRoom {
    std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();
    std::string limit = "no known limit";
    std::string remedy = "take a smaller model";

    void at_most(std::uint64_t room, std::string_view who, std::string_view mend) {
        if (room >= bytes) return;
        bytes = room;
        limit = who;
        remedy = mend;
    }
};

/// Left to the kernel (page tables) and to others beside an allocation of so many bytes.
constexpr std::uint64_t headroom(std::uint64_t bytes) {
    constexpr std::uint64_t kMost = std::uint64_t{64} << 20;
    return bytes / 16 < kMost ? bytes / 16 : kMost;
}

/// The number that a file of /proc or /sys starts with; nothing where there is none ("max", "-1",
/// no file).
inline std::optional<std::uint64_t> read_number(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::int64_t value = -1;
    stream >> value;
    if (!stream || value < 0) return std::nullopt;
    return static_cast<std::uint64_t>(value);
}

/// The number behind `key` in a file of lines "key number ..."; 0 where it is missing.
inline std::uint64_t read_field(const std::filesystem::path& file, std::string_view key) {
    std::ifstream stream(file);
    std::string line;
    while (std::getline(stream, line)) {
        if (!line.starts_with(key)) continue;
        std::istringstream rest(line.substr(key.size()));
        std::uint64_t value = 0;
        if (rest >> value) return value;
    }
    return 0;
}

/// The numbers of a file that holds a list as "0-3,8"; empty where there is no such file.
inline std::vector<int> read_list(const std::filesystem::path& file) {
    std::ifstream stream(file);
    std::vector<int> numbers;
    int first = 0;
    while (stream >> first) {
        int last = first;
        if (stream.peek() == '-' && !(stream.ignore() >> last)) break;
        for (int number = first; number <= last; ++number) numbers.push_back(number);
        if (stream.peek() == ',') stream.ignore();
    }
    return numbers;
}

inline bool has_item(const std::string& list, std::string_view item) {
    std::istringstream items(list);
    std::string each;
    while (std::getline(items, each, ',')) {
        if (each == item) return true;
    }
    return false;
}

/// The path of this process under `controller`, from lines "7:cpu,cpuacct:/path". Version 1 comes
/// first: in a hybrid mount the unified tree is there too, without controllers.
inline std::optional<std::string> cgroup_path(const std::filesystem::path& root,
                                              std::string_view controller,
                                              bool& unified) {
    std::ifstream stream(root / "proc/self/cgroup");
    std::optional<std::string> unified_path;
    std::string line;
    while (std::getline(stream, line)) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (has_item(controllers, controller)) {
            unified = false;
            return line.substr(second + 1);
        }
        if (controllers.empty()) unified_path = line.substr(second + 1);
    }
    unified = true;
    return unified_path;
}

/// Where that tree is mounted. In a container the mount's root is often the own cgroup, whose path
/// then has to be taken off.
inline Cgroup find_cgroup(std::string_view controller, const std::filesystem::path& root = "/") {
    Cgroup cgroup;
    const std::optional<std::string> path = cgroup_path(root, controller, cgroup.unified);
    if (!path) return cgroup;
    std::ifstream stream(root / "proc/self/mountinfo");
    std::string line;
    while (std::getline(stream, line)) {
        const std::size_t dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        std::string skipped, mount_root, mount_point, type, source, options;
        std::istringstream(line) >> skipped >> skipped >> skipped >> mount_root >> mount_point;
        std::istringstream(line.substr(dash + 3)) >> type >> source >> options;
        if (type != (cgroup.unified ? "cgroup2" : "cgroup")) continue;
        if (!cgroup.unified && !has_item(options, controller)) continue;

        const std::filesystem::path mount = root / mount_point.substr(1);
        const std::filesystem::path own(*path), base(mount_root);
        const std::filesystem::path inside = own.lexically_relative(base);
        if (inside.empty() || *inside.begin() == "..") return cgroup.levels = {mount}, cgroup;
        for (std::filesystem::path at = inside; !at.empty() && at != "."; at = at.parent_path()) {
            cgroup.levels.push_back(mount / at);
        }
        cgroup.levels.push_back(mount);
        return cgroup;
    }
    return cgroup;
}

/// Processors' worth of time that the cgroup may use, rounded up; nothing where there is no quota.
inline std::optional<unsigned> processor_quota(const std::filesystem::path& root = "/") {
    const Cgroup cgroup = find_cgroup("cpu", root);
    std::optional<unsigned> least;
    for (const std::filesystem::path& level : cgroup.levels) {
        std::int64_t quota = -1;
        std::int64_t period = 0;
        if (cgroup.unified) {
            std::ifstream(level / "cpu.max") >> quota >>
                period;  // "max 100000" fails to parse: quota is 0
        } else {
            std::ifstream(level / "cpu.cfs_quota_us") >> quota;
            std::ifstream(level / "cpu.cfs_period_us") >> period;
        }
        if (quota <= 0 || period <= 0) continue;
        const auto processors = static_cast<unsigned>((quota + period - 1) / period);
        least = std::min(processors, least.value_or(processors));
    }
    return least;
}

/// Bytes that the cgroups around this process may use at most; nothing where they are not limited.
inline std::optional<std::uint64_t> cgroup_memory_max(const std::filesystem::path& root = "/") {
    constexpr auto kUnlimited =
        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) >> 1;
    const Cgroup cgroup = find_cgroup("memory", root);
    std::optional<std::uint64_t> least;
    for (const std::filesystem::path& level : cgroup.levels) {
        const auto most =
            read_number(level / (cgroup.unified ? "memory.max" : "memory.limit_in_bytes"));
        // Version 1 writes "no limit" as the largest number of whole pages.
        if (most && *most < kUnlimited) least = std::min(*most, least.value_or(*most));
    }
    return least;
}

inline void limit_by_cgroup(MemoryRoom& room, const std::filesystem::path& root) {
    const Cgroup cgroup = find_cgroup("memory", root);
    const bool unified = cgroup.unified;
    for (const std::filesystem::path& level : cgroup.levels) {
        const auto most = read_number(level / (unified ? "memory.max" : "memory.limit_in_bytes"));
        const auto used =
            read_number(level / (unified ? "memory.current" : "memory.usage_in_bytes"));
        if (!most || !used) continue;
        const std::filesystem::path stat = level / "memory.stat";
        const std::uint64_t cache =
            read_field(stat, unified ? "inactive_file " : "total_inactive_file ") +
            read_field(stat, unified ? "active_file " : "total_active_file ");
        const std::uint64_t kept = *used - std::min(*used, cache);
        room.at_most(*most - std::min(*most, kept),
                     "the cgroup's memory limit",
                     "raise memory.max of the container or job");
    }
}

inline void limit_by_rlimits(MemoryRoom& room, const std::filesystem::path& root) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::uint64_t size = 0, resident = 0, shared = 0, text = 0, library = 0, data = 0;
    std::ifstream(root / "proc/self/statm") >> size >> resident >> shared >> text >> library >>
        data;
    rlimit limit{};
    if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        room.at_most(limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur, size * page),
                     "RLIMIT_AS",
                     "ulimit -v unlimited");
    }
    if (::getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        room.at_most(limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur, data * page),
                     "RLIMIT_DATA",
                     "ulimit -d unlimited");
    }
}

/// Nothing where there is no such node.
inline std::optional<NodeMemory> node_memory(int node, const std::filesystem::path& root = "/") {
    const std::string number = std::to_string(node);
    const std::filesystem::path file =
        root / "sys/devices/system/node" / ("node" + number) / "meminfo";
    if (!std::ifstream(file)) return std::nullopt;
    const auto bytes_of = [&](std::string_view key) {
        return read_field(file, "Node " + number + " " + std::string(key)) * 1024;
    };
    return NodeMemory{.free_bytes = bytes_of("MemFree:"),
                      .cache_bytes = bytes_of("Active(file):") + bytes_of("Inactive(file):") +
                                     bytes_of("SReclaimable:")};
}

inline MemoryRoom memory_room(const std::filesystem::path& root = "/") {
    constexpr std::string_view kMend = "take a smaller model or end other programs";
    MemoryRoom room;
    if (const std::uint64_t kib = read_field(root / "proc/meminfo", "MemAvailable:"); kib > 0) {
        room.at_most(kib * 1024, "the machine's free memory", kMend);
    } else {
        const long pages = ::sysconf(_SC_AVPHYS_PAGES);
        const long page = ::sysconf(_SC_PAGESIZE);
        if (pages > 0) {
            room.at_most(static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page),
                         "the machine's free memory",
                         kMend);
        }
    }
    limit_by_cgroup(room, root);
    limit_by_rlimits(room, root);
    return room;
}

}  // namespace slidekit::system::detail
