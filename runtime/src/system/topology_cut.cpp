// A topology as more or fewer domains than the machine has nodes.
#include <slidekit/system/topology.hpp>

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>

namespace slidekit::system {

namespace {

Domain join(std::span<const Domain> parts) {
    Domain joined = parts.front();
    if (parts.size() > 1)
        for (const Domain& part : parts) joined.joined.push_back(part.os_node);
    for (const Domain& part : parts.subspan(1)) {
        joined.cpus.insert(joined.cpus.end(), part.cpus.begin(), part.cpus.end());
        joined.bytes += part.bytes;
        if (part.os_node != joined.os_node) joined.os_node = NodeId::unknown;
        if (part.tbb_id != joined.tbb_id) joined.tbb_id = -1;
        if (part.package != joined.package) joined.package = -1;
    }
    std::sort(joined.cpus.begin(), joined.cpus.end());
    return joined;
}

// Part `index` of `count`; a node with fewer processors gives the same one to several parts.
Domain divide(const Domain& whole, std::size_t index, std::size_t count) {
    Domain part = whole;
    const std::size_t cpus = whole.cpus.size();
    const std::size_t begin = cpus * index / count;
    const std::size_t end = std::max(begin + 1, cpus * (index + 1) / count);
    part.cpus.assign(whole.cpus.begin() + static_cast<std::ptrdiff_t>(begin),
                     whole.cpus.begin() + static_cast<std::ptrdiff_t>(std::min(end, cpus)));
    part.bytes = whole.bytes / count;
    return part;
}

}  // namespace

Topology Topology::cut(unsigned count) const {
    if (count > kMostDomains) {
        throw Error(ErrorCode::usage,
                    "domains",
                    fmt::format("{} asked, at most {} can be had", count, kMostDomains));
    }
    if (count == 0 || count == domains.size()) return *this;
    Topology cut = *this;
    cut.domains.clear();
    const std::size_t nodes = domains.size();
    std::vector<std::size_t> first_part(nodes);  // of each node
    for (std::size_t i = 0; i < count && count < nodes; ++i) {
        const std::size_t begin = nodes * i / count;
        const std::size_t end = nodes * (i + 1) / count;
        std::fill(first_part.begin() + static_cast<std::ptrdiff_t>(begin),
                  first_part.begin() + static_cast<std::ptrdiff_t>(end),
                  i);
        cut.domains.push_back(join(std::span(domains).subspan(begin, end - begin)));
    }
    for (std::size_t node = 0; node < nodes && count > nodes; ++node) {
        const std::size_t parts = count * (node + 1) / nodes - count * node / nodes;
        first_part[node] = cut.domains.size();
        for (std::size_t i = 0; i < parts; ++i)
            cut.domains.push_back(divide(domains[node], i, parts));
    }
    for (MemoryNode& memory : cut.memory_only) memory.nearest = first_part[memory.nearest];
    return cut;
}

}  // namespace slidekit::system
