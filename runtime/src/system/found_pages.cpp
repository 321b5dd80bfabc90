// Asks the kernel where pages stand: page by page with move_pages, which a container may forbid;
// else by the sums of numa_maps.
#include "found_pages.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "limits.hpp"
#include "pages.hpp"

namespace slidekit::system {

std::string_view verified_name(Verified verified) noexcept {
    switch (verified) {
        case Verified::one_node: return "one node";
        case Verified::move_pages: return "move_pages";
        case Verified::numa_maps: return "numa_maps";
        case Verified::unknown: break;
    }
    return "unknown";
}

namespace detail {

namespace {

bool names(const Part& part, NodeId node) {
    return std::find(part.nodes.begin(), part.nodes.end(), node) != part.nodes.end();
}

std::size_t bytes_on(std::span<const NodeBytes> sums, NodeId node) {
    const auto at = std::find_if(
        sums.begin(), sums.end(), [node](const NodeBytes& a) { return a.node == node; });
    return at == sums.end() ? 0 : at->bytes;
}

void count(FoundPages& found, const Part& part, NodeId node, std::size_t bytes) {
    add_bytes(found.nodes, node, bytes);
    if (!part.nodes.empty() && !names(part, node)) found.misplaced_bytes += bytes;
}

std::size_t total_of(std::span<const Part> parts) { return parts.empty() ? 0 : parts.back().end; }

}  // namespace

FoundPages find_by_move_pages(const std::byte* start,
                              std::span<const Part> parts,
                              std::size_t page) {
    constexpr std::size_t kBatch = 4096;
    FoundPages found{.nodes = {}, .verified = Verified::move_pages};
    std::vector<const void*> pages;
    std::vector<int> status;
    for (const Part& part : parts) {
        for (std::size_t at = part.begin; at < part.end; at += kBatch * page) {
            pages.clear();
            for (std::size_t p = at; p < std::min(part.end, at + kBatch * page); p += page)
                pages.push_back(start + p);
            status.assign(pages.size(), -ENOENT);
            const long result =
                ::syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, status.data(), 0);
            if (result < 0) return {.nodes = {}, .unverified_bytes = total_of(parts)};
            for (const int node : status) {
                if (node < 0) {
                    found.unverified_bytes += page;
                } else {
                    count(found, part, static_cast<NodeId>(node), page);
                }
            }
        }
    }
    return found;
}

// The kernel sums up each mapping. Where it has bound nothing, the parts share one, so only what a
// node has beyond all its parts is known to be misplaced.
FoundPages find_by_numa_maps(const std::byte* start,
                             std::span<const Part> parts,
                             const std::filesystem::path& root) {
    const auto first = reinterpret_cast<std::uintptr_t>(start);
    const std::size_t total = total_of(parts);
    FoundPages found;
    std::size_t seen = 0;
    std::ifstream stream(root / "proc/self/numa_maps");
    for (std::string line; std::getline(stream, line);) {
        std::uintptr_t address = 0;
        std::from_chars(line.data(), line.data() + line.size(), address, 16);
        if (address >= first + total) break;
        if (address < first) continue;
        constexpr std::string_view kPageSize = "kernelpagesize_kB=";
        const std::size_t at = line.find(kPageSize);
        if (at == std::string::npos) continue;
        const std::size_t page = std::strtoull(&line[at + kPageSize.size()], nullptr, 10) * 1024;
        std::istringstream words(line);
        for (std::string word; words >> word;) {  // "N0=512"
            const std::size_t equals = word.find('=');
            int node = -1;
            if (word[0] != 'N' || equals == std::string::npos) continue;
            std::from_chars(&word[1], &word[equals], node);
            const std::size_t bytes = std::strtoull(&word[equals + 1], nullptr, 10) * page;
            add_bytes(found.nodes, static_cast<NodeId>(node), bytes);
            seen += bytes;
        }
    }
    found.unverified_bytes = total - std::min(total, seen);
    if (seen == 0) return found;
    found.verified = Verified::numa_maps;
    const std::vector<NodeBytes> wanted = bytes_by_node(parts);
    std::size_t anywhere = 0;
    std::size_t beyond = 0;
    for (const Part& part : parts)
        if (part.nodes.empty()) anywhere += part.end - part.begin;
    const bool interleaved = parts.size() == 1 && parts[0].nodes.size() > 1;
    for (const auto& [node, bytes] : found.nodes) {
        const std::size_t own =
            interleaved && names(parts[0], node) ? bytes : bytes_on(wanted, node);
        beyond += bytes - std::min(bytes, own);
    }
    found.misplaced_bytes = beyond - std::min(beyond, anywhere);
    return found;
}

FoundPages find_pages(const std::byte* start, std::span<const Part> parts, std::size_t page) {
    const std::vector<int> nodes = read_list("/sys/devices/system/node/has_memory");
    if (nodes.size() <= 1) {
        FoundPages found{.nodes = {}, .verified = Verified::one_node};
        const NodeId only{nodes.empty() ? 0 : nodes.front()};
        for (const Part& part : parts) count(found, part, only, part.end - part.begin);
        return found;
    }
    FoundPages found = find_by_move_pages(start, parts, page);
    if (found.verified == Verified::unknown) found = find_by_numa_maps(start, parts);
    return found;
}

std::string misplacement(const FoundPages& found, std::span<const Part> parts) {
    const std::vector<NodeBytes> wanted = bytes_by_node(parts);
    if (wanted.empty() || found.misplaced_bytes + found.unverified_bytes == 0) return {};
    if (found.misplaced_bytes == 0) {
        return fmt::format("placement: where {} of {} bytes stand is not told by {}",
                           found.unverified_bytes,
                           total_of(parts),
                           found.verified == Verified::unknown ? "move_pages or numa_maps"
                                                               : verified_name(found.verified));
    }
    std::vector<std::string> short_nodes;
    for (const auto& [node, bytes] : wanted) {
        if (bytes_on(found.nodes, node) >= bytes) continue;
        const int number = static_cast<int>(node);
        const std::optional<NodeMemory> memory = node_memory(number);
        short_nodes.push_back(memory ? fmt::format("node {} has {:.1f} MiB free, {:.1f} of cache",
                                                   number,
                                                   mib(memory->free_bytes),
                                                   mib(memory->cache_bytes))
                                     : fmt::format("there is no node {}", number));
    }
    return fmt::format(
        "placement: {} of {} bytes are on other nodes; {} (end other programs "
        "there, numastat -m tells; echo 1 > /proc/sys/vm/drop_caches)",
        found.misplaced_bytes,
        total_of(parts),
        fmt::join(short_nodes, "; "));
}

}  // namespace detail

}  // namespace slidekit::system
