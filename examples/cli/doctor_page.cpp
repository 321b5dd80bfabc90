// One field of the object, or one line of the page, for each subject.
#include "doctor_page.hpp"

#include <cstdlib>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <slidekit/kernels/isa.hpp>

#include "options.hpp"

namespace slidekit::cli {

namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json or_null(const std::optional<T>& value) {
    return value ? ordered_json(*value) : ordered_json();
}

std::vector<std::string> levels() {
    std::vector<std::string> names;
    for (const kernels::Isa isa : kernels::kIsaLevels)
        if (kernels::is_supported(isa)) names.emplace_back(kernels::isa_name(isa));
    return names;
}

int number(NodeId node) { return static_cast<int>(node); }

// ---- JSON ----

ordered_json isa_json() {
    const char* const forced = std::getenv("SLIDEKIT_ISA");
    return {{"available", levels()},
            {"active", kernels::isa_name(kernels::active_isa())},
            {"byte_tiles", kernels::uses_byte_tiles()},
            {"SLIDEKIT_ISA", forced == nullptr ? ordered_json() : ordered_json(forced)}};
}

ordered_json pools_json(const std::vector<HugetlbPool>& pools) {
    ordered_json list = ordered_json::array();
    for (const HugetlbPool& pool : pools) {
        list.push_back(
            {{"page_bytes", pool.page_bytes}, {"pages", pool.pages}, {"free", pool.free}});
    }
    return list;
}

ordered_json domains_json(const Examination& seen) {
    ordered_json list = ordered_json::array();
    for (std::size_t d = 0; d < seen.topology.domains.size(); ++d) {
        const system::Domain& domain = seen.topology.domains[d];
        list.push_back({{"node", number(domain.os_node)},
                        {"tbb_id", domain.tbb_id},
                        {"package", domain.package},
                        {"cpus", ranges_text(domain.cpus)},
                        {"bytes", domain.bytes},
                        {"free_bytes", or_null(seen.nodes[d].free_bytes)},
                        {"hugetlb", pools_json(seen.nodes[d].pools)},
                        {"distances", seen.nodes[d].distances}});
    }
    return list;
}

ordered_json memory_only_json(const Examination& seen) {
    ordered_json list = ordered_json::array();
    for (const system::MemoryNode& memory : seen.topology.memory_only) {
        list.push_back({{"node", number(memory.os_node)},
                        {"bytes", memory.bytes},
                        {"nearest_domain", memory.nearest}});
    }
    return list;
}

ordered_json calls_json(const Examination& seen) {
    ordered_json calls = ordered_json::object();
    for (const SystemCall& call : seen.system_calls)
        calls[call.name] = call.error == 0 ? "ok" : std::strerror(call.error);
    return calls;
}

ordered_json counters_json(const Examination& seen) {
    ordered_json counters = ordered_json::object();
    for (const system::Count& count : seen.telemetry.counters)
        counters[count.name] = count.value ? "ok" : count.reason;
    return counters;
}

ordered_json probes_json(const Examination& seen) {
    ordered_json list = ordered_json::array();
    for (const Probe& probe : seen.probes) {
        if (!probe.error.empty()) {
            list.push_back({{"error", probe.error}});
            continue;
        }
        const system::RegionReport& region = probe.region;
        ordered_json nodes = ordered_json::object();
        for (const system::NodeBytes& part : region.found.nodes)
            nodes[std::to_string(number(part.node))] = part.bytes;
        list.push_back({{"bytes", region.mapped_bytes},
                        {"pages", system::backing_name(region.backing)},
                        {"huge_bytes", region.huge_bytes},
                        {"bytes_by_node", nodes},
                        {"misplaced_bytes", region.found.misplaced_bytes},
                        {"unverified_bytes", region.found.unverified_bytes},
                        {"verified", system::verified_name(region.found.verified)},
                        {"steps", region.steps}});
    }
    return list;
}

ordered_json findings_json(const std::vector<Finding>& findings) {
    ordered_json list = ordered_json::array();
    for (const Finding& finding : findings) {
        list.push_back({{"severity", severity_name(finding.severity)},
                        {"what", finding.what},
                        {"cost", finding.cost},
                        {"mend", finding.mend}});
    }
    return list;
}

// ---- page ----

std::string call_name(const SystemCall& call) {
    return call.error == 0 ? call.name + " ok"
                           : fmt::format("{} refused ({})", call.name, std::strerror(call.error));
}

std::string pool_text(const HugetlbPool& pool) {
    return fmt::format("hugetlb {} {} of {} free",
                       pool.page_bytes >= 1U << 30 ? fmt::format("{}G", pool.page_bytes >> 30)
                                                   : fmt::format("{}M", pool.page_bytes >> 20),
                       pool.free,
                       pool.pages);
}

std::vector<std::string> pool_texts(const std::vector<HugetlbPool>& pools) {
    std::vector<std::string> texts;
    for (const HugetlbPool& pool : pools) texts.push_back(pool_text(pool));
    return texts;
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

std::string domain_line(const Examination& seen, std::size_t d) {
    const system::Domain& domain = seen.topology.domains[d];
    const NodeState& node = seen.nodes[d];
    std::string line = fmt::format("node {}, hwloc and TBB {}, package {}, cpus {}, {}",
                                   number(domain.os_node),
                                   domain.tbb_id,
                                   domain.package,
                                   ranges_text(domain.cpus),
                                   bytes_text(domain.bytes));
    if (node.free_bytes) line += fmt::format(" ({} free)", bytes_text(*node.free_bytes));
    for (const HugetlbPool& pool : node.pools)
        if (pool.pages > 0) line += ", " + pool_text(pool);
    if (node.distances.size() > 1)
        line += fmt::format(", distances {}", fmt::join(node.distances, " "));
    return line;
}

std::string probe_line(const Probe& probe) {
    if (!probe.error.empty()) return probe.error;
    const system::RegionReport& region = probe.region;
    std::string line = fmt::format(
        "{} on {}", bytes_text(region.mapped_bytes), system::backing_name(region.backing));
    for (const system::NodeBytes& part : region.found.nodes)
        line += fmt::format(", {} on node {}", bytes_text(part.bytes), number(part.node));
    return line + fmt::format("; {} misplaced, {} unknown (verified by {})",
                              bytes_text(region.found.misplaced_bytes),
                              bytes_text(region.found.unverified_bytes),
                              system::verified_name(region.found.verified));
}

std::string counters_line(const Examination& seen) {
    std::vector<std::string> counted, missing;
    std::string reason;
    for (const system::Count& count : seen.telemetry.counters) {
        (count.value ? counted : missing).push_back(count.name);
        if (!count.value) reason = count.reason;
    }
    std::string line = or_none(fmt::format("{}", fmt::join(counted, " ")));
    if (!missing.empty()) line += fmt::format("; without {}: {}", fmt::join(missing, " "), reason);
    return line;
}

std::string processors_line(const Examination& seen) {
    return fmt::format("{}, quota {}, {} threads{}",
                       seen.topology.processors(),
                       seen.topology.quota ? std::to_string(*seen.topology.quota) : "none",
                       seen.threads,
                       seen.unbound > 0 ? ", some not bound" : "");
}

std::string memory_line(const Examination& seen) {
    const MachineState& machine = seen.machine;
    const auto limit = [](const std::optional<std::uint64_t>& bytes) {
        return bytes ? bytes_text(*bytes) : "none";
    };
    return fmt::format(
        "{} of {} can be had; memory.max {}, RLIMIT_AS {}, RLIMIT_DATA {}, RLIMIT_MEMLOCK {}",
        bytes_text(seen.available_bytes),
        limit(machine.memory_bytes),
        limit(seen.topology.memory_max),
        limit(machine.rlimit_as),
        limit(machine.rlimit_data),
        limit(machine.rlimit_memlock));
}

std::string pages_line(const MachineState& machine) {
    return fmt::format("THP {} (defrag {}), {}, AutoNUMA {}",
                       or_none(machine.thp_mode),
                       or_none(machine.thp_defrag),
                       machine.pools.empty()
                           ? "no hugetlb"
                           : fmt::format("{}", fmt::join(pool_texts(machine.pools), ", ")),
                       !machine.autonuma       ? "none"
                       : *machine.autonuma > 0 ? "on"
                                               : "off");
}

}  // namespace

ordered_json doctor_json(const Examination& seen, const std::vector<Finding>& findings) {
    const MachineState& machine = seen.machine;
    return {
        {"status", status_name(findings)},
        {"kernel", machine.kernel},
        {"isa", isa_json()},
        {"processors", seen.topology.processors()},
        {"quota", or_null(seen.topology.quota)},
        {"threads", seen.threads},
        {"unbound", seen.unbound},
        {"domains", domains_json(seen)},
        {"memory_only", memory_only_json(seen)},
        {"topology_note", seen.topology.note},
        {"tbb", {{"nodes", seen.tbb.nodes}, {"agrees", seen.tbb.agrees}, {"note", seen.tbb.note}}},
        {"memory",
         {{"bytes", or_null(machine.memory_bytes)},
          {"available_bytes", seen.available_bytes},
          {"memory_max", or_null(seen.topology.memory_max)},
          {"rlimit_as", or_null(machine.rlimit_as)},
          {"rlimit_data", or_null(machine.rlimit_data)},
          {"rlimit_memlock", or_null(machine.rlimit_memlock)}}},
        {"pages",
         {{"thp", machine.thp_mode},
          {"thp_defrag", machine.thp_defrag},
          {"hugetlb", pools_json(machine.pools)},
          {"autonuma", or_null(machine.autonuma)}}},
        {"system_calls", calls_json(seen)},
        {"counters", counters_json(seen)},
        {"jemalloc", seen.jemalloc.empty() ? ordered_json() : ordered_json(seen.jemalloc)},
        {"probes", probes_json(seen)},
        {"findings", findings_json(findings)}};
}

std::string doctor_page(const Examination& seen, const std::vector<Finding>& findings) {
    std::string page = fmt::format("slidekit doctor: {}\n\n", status_name(findings));
    const auto line = [&](const std::string& subject, const std::string& text) {
        page += fmt::format("{:<12}{}\n", subject, text);
    };
    line("isa",
         fmt::format("{} of {}{}",
                     kernels::isa_name(kernels::active_isa()),
                     fmt::join(levels(), " "),
                     kernels::uses_byte_tiles() ? ", AMX tiles for bytes" : ""));
    line("processors", processors_line(seen));
    for (std::size_t d = 0; d < seen.nodes.size(); ++d)
        line(fmt::format("domain {}", d), domain_line(seen, d));
    for (const system::MemoryNode& memory : seen.topology.memory_only) {
        line("memory only",
             fmt::format("node {}, {}, nearest to domain {}",
                         number(memory.os_node),
                         bytes_text(memory.bytes),
                         memory.nearest));
    }
    line("memory", memory_line(seen));
    line("pages", pages_line(seen.machine));
    std::vector<std::string> calls;
    for (const SystemCall& call : seen.system_calls) calls.push_back(call_name(call));
    line("calls", fmt::format("{}", fmt::join(calls, ", ")));
    line("counters", counters_line(seen));
    line("allocator", seen.jemalloc.empty() ? "the C library's" : "jemalloc " + seen.jemalloc);
    for (std::size_t d = 0; d < seen.probes.size(); ++d)
        line(fmt::format("probe {}", d), probe_line(seen.probes[d]));
    if (!findings.empty()) page += "\n";
    for (const Finding& finding : findings) {
        line(std::string(severity_name(finding.severity)), finding.what);
        line("", "costs: " + finding.cost);
        line("", "mend:  " + finding.mend);
    }
    return page;
}

}  // namespace slidekit::cli
