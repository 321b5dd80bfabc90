// Reading of /proc and /sys; what is missing there is missing here, and never an error.
#include "machine_state.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

namespace slidekit::cli {

namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
    std::ifstream stream(file);
    std::string line;
    std::getline(stream, line);
    return line;
}

std::optional<std::uint64_t> number_in(const fs::path& file) {
    std::ifstream stream(file);
    std::uint64_t value = 0;
    if (!(stream >> value)) return std::nullopt;
    return value;
}

// Bytes of the line that has `key` in a file of lines "... key  number kB".
std::optional<std::uint64_t> kilobytes_behind(const fs::path& file, std::string_view key) {
    std::ifstream stream(file);
    std::string line;
    while (std::getline(stream, line)) {
        const std::size_t at = line.find(key);
        if (at == std::string::npos) continue;
        std::istringstream rest(line.substr(at + key.size()));
        std::uint64_t kib = 0;
        if (rest >> kib) return kib * 1024;
    }
    return std::nullopt;
}

// Folders "hugepages-2048kB", each with its figures.
std::vector<HugetlbPool> pools_in(const fs::path& folder) {
    std::vector<HugetlbPool> pools;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        constexpr std::string_view kPrefix = "hugepages-";
        const std::string name = entry.path().filename();
        std::uint64_t kib = 0;
        if (!name.starts_with(kPrefix)) continue;
        std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), kib);
        pools.push_back({.page_bytes = kib * 1024,
                         .pages = number_in(entry.path() / "nr_hugepages").value_or(0),
                         .free = number_in(entry.path() / "free_hugepages").value_or(0)});
    }
    std::sort(pools.begin(), pools.end(), [](const HugetlbPool& a, const HugetlbPool& b) {
        return a.page_bytes < b.page_bytes;
    });
    return pools;
}

std::optional<std::uint64_t> limit_of(__rlimit_resource resource) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
    return limit.rlim_cur;
}

}  // namespace

MachineState read_machine(const fs::path& root) {
    const fs::path memory = root / "sys/kernel/mm";
    utsname system{};
    return {.kernel = ::uname(&system) == 0 ? system.release : "",
            .thp_mode = chosen_word(first_line(memory / "transparent_hugepage/enabled")),
            .thp_defrag = chosen_word(first_line(memory / "transparent_hugepage/defrag")),
            .thp_off_for_process = ::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1,
            .pools = pools_in(memory / "hugepages"),
            .autonuma = number_in(root / "proc/sys/kernel/numa_balancing"),
            .memory_bytes = kilobytes_behind(root / "proc/meminfo", "MemTotal:"),
            .free_bytes = kilobytes_behind(root / "proc/meminfo", "MemAvailable:"),
            .rlimit_as = limit_of(RLIMIT_AS),
            .rlimit_data = limit_of(RLIMIT_DATA),
            .rlimit_memlock = limit_of(RLIMIT_MEMLOCK)};
}

NodeState read_node(NodeId node, const fs::path& root) {
    if (node == NodeId::unknown) return {};
    const fs::path folder =
        root / fmt::format("sys/devices/system/node/node{}", static_cast<int>(node));
    NodeState state{.free_bytes = kilobytes_behind(folder / "meminfo", "MemFree:"),
                    .pools = pools_in(folder / "hugepages"),
                    .distances = {}};
    std::ifstream stream(folder / "distance");
    for (int distance = 0; stream >> distance;) state.distances.push_back(distance);
    return state;
}

std::string chosen_word(const std::string& words) {
    const std::size_t open = words.find('[');
    const std::size_t close = words.find(']', open);
    if (open == std::string::npos || close == std::string::npos) return {};
    return words.substr(open + 1, close - open - 1);
}

std::string ranges_text(const std::vector<int>& numbers) {
    std::string text;
    for (std::size_t begin = 0; begin < numbers.size();) {
        std::size_t end = begin + 1;
        while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
        if (!text.empty()) text += ',';
        text += std::to_string(numbers[begin]);
        if (end - begin > 1) text += fmt::format("-{}", numbers[end - 1]);
        begin = end;
    }
    return text;
}

}  // namespace slidekit::cli
