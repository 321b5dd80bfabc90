// Nodes are preferred rather than bound, unless strictness is required: binding to a full node
// would be answered by the kernel's killer, not by an errno.
#include "placement.hpp"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "limits.hpp"
#include "pages.hpp"

namespace slidekit::system::detail {

namespace {

// 0 or an errno.
int bind(std::byte* start, const Part& part, Strictness strictness) {
    constexpr std::size_t kWordBits = 64;
    std::array<std::uint64_t, 16> mask{};
    for (const NodeId node : part.nodes) {
        const auto number = static_cast<std::size_t>(node);
        if (number >= mask.size() * kWordBits) return EINVAL;
        mask[number / kWordBits] |= std::uint64_t{1} << (number % kWordBits);
    }
    const int mode = part.nodes.size() > 1               ? MPOL_INTERLEAVE
                     : strictness == Strictness::require ? MPOL_BIND
                                                         : MPOL_PREFERRED;
    // The kernel reads one bit less than it is told.
    const long result = ::syscall(SYS_mbind,
                                  start + part.begin,
                                  part.end - part.begin,
                                  mode,
                                  mask.data(),
                                  mask.size() * kWordBits + 1,
                                  0UL);
    return result == 0 ? 0 : errno;
}

std::string bind_refusal(int error, const std::vector<int>& nodes, bool by_owners) {
    const char* why = "";
    if (error == EPERM) why = " (the container's seccomp filter: give it CAP_SYS_NICE)";
    if (error == ENOSYS) why = " (a kernel without NUMA: CONFIG_NUMA)";
    if (error == EINVAL) why = " (no such node, or not among this process's cpuset.mems)";
    return fmt::format("node {}: mbind: {}{}; placed by first touch of {}",
                       fmt::join(nodes, ", "),
                       std::strerror(error),
                       why,
                       by_owners ? "threads there" : "the calling thread");
}

// Each node's threads touch the stripes that are its own.
int fill_by_owners(std::byte* start, const Part& part, const Filling& filling) {
    const std::size_t owners = part.nodes.size();
    const std::size_t stripe = owners == 1 ? part.end - part.begin : filling.stripe;
    int error = 0;
    for (std::size_t i = 0; i < owners; ++i) {
        const std::function<void()> own = [&] {
            std::size_t at = part.begin + i * stripe;
            for (; at < part.end && error == 0; at += owners * stripe)
                error = filling.populate(start + at, std::min(stripe, part.end - at));
        };
        if (filling.run_on) {
            filling.run_on(part.nodes[i], own);
        } else {
            own();
        }
    }
    return error;
}

}  // namespace

std::vector<Part> parts_of(const Placement& placement, std::size_t bytes, std::size_t page) {
    const auto known = [](std::vector<NodeId> nodes) {
        std::erase(nodes, NodeId::unknown);
        return nodes;
    };
    if (placement.policy == Placement::Policy::local || placement.nodes.empty())
        return {{0, bytes, {}}};
    if (placement.policy != Placement::Policy::split) return {{0, bytes, known(placement.nodes)}};

    assert(placement.ends.size() == placement.nodes.size());
    std::vector<Part> parts;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < placement.nodes.size(); ++i) {
        const bool last = i + 1 == placement.nodes.size();
        const std::size_t end =
            last ? bytes : std::clamp(round_up(placement.ends[i], page), begin, bytes);
        if (begin == end) continue;
        std::vector<NodeId> nodes = known({placement.nodes[i]});
        if (!parts.empty() && parts.back().nodes == nodes) {
            parts.back().end = end;
        } else {
            parts.push_back({begin, end, std::move(nodes)});
        }
        begin = end;
    }
    return parts;
}

void add_bytes(std::vector<NodeBytes>& sums, NodeId node, std::size_t bytes) {
    const auto at = std::lower_bound(
        sums.begin(), sums.end(), node, [](const NodeBytes& a, NodeId b) { return a.node < b; });
    if (at != sums.end() && at->node == node) {
        at->bytes += bytes;
    } else {
        sums.insert(at, {node, bytes});
    }
}

std::vector<NodeBytes> bytes_by_node(std::span<const Part> parts) {
    std::vector<NodeBytes> sums;
    for (const Part& part : parts) {
        for (const NodeId node : part.nodes)
            add_bytes(sums, node, (part.end - part.begin) / part.nodes.size());
    }
    return sums;
}

std::vector<std::string> node_shortages(std::span<const Part> parts,
                                        const std::filesystem::path& root) {
    std::vector<std::string> reasons;
    for (const auto& [node, bytes] : bytes_by_node(parts)) {
        const int number = static_cast<int>(node);
        const std::optional<NodeMemory> memory = node_memory(number, root);
        if (!memory) {
            reasons.push_back(fmt::format("node {}: there is no such node", number));
        } else if (const std::size_t needed = bytes + headroom(bytes); memory->room() < needed) {
            reasons.push_back(fmt::format(
                "node {}: {:.1f} MiB needed, {:.1f} MiB free and {:.1f} MiB of page cache "
                "(end other programs there, numastat -m tells; echo 1 > /proc/sys/vm/drop_caches)",
                number,
                mib(needed),
                mib(memory->free_bytes),
                mib(memory->cache_bytes)));
        }
    }
    return reasons;
}

int fill(std::byte* start,
         std::span<const Part> parts,
         const Filling& filling,
         std::vector<std::string>& steps) {
    std::map<int, std::vector<int>> refused;  // nodes by errno
    int error = 0;
    for (const Part& part : parts) {
        const int refusal = part.nodes.empty() ? 0 : bind(start, part, filling.strictness);
        if (refusal == 0) {
            error = filling.populate(start + part.begin, part.end - part.begin);
        } else {
            for (const NodeId node : part.nodes) refused[refusal].push_back(static_cast<int>(node));
            error = fill_by_owners(start, part, filling);
        }
        if (error != 0) break;
    }
    for (const auto& [refusal, nodes] : refused)
        steps.push_back(bind_refusal(refusal, nodes, static_cast<bool>(filling.run_on)));
    return error;
}

}  // namespace slidekit::system::detail
