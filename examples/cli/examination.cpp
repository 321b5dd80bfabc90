// The judgement: each function looks at one subject.
//
// Degraded is what makes a run slower than this machine could be and can be mended. What the
// machine does not have, or what costs nothing here, is told as info.
#include "examination.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "options.hpp"

namespace slidekit::cli {

namespace {

using Findings = std::vector<Finding>;

// bench/README.md: huge pages against 4K, a row of Adam and a dependent probe of a table.
constexpr const char* kSmallPagesCost =
    "Adam rows about 1.2x, dependent table probes 1.4x slower on 4K pages";
constexpr const char* kRemoteCost = "rows on another node are read 1.5x to 2x slower";
constexpr const char* kUnset =
    "unset HWLOC_XMLFILE HWLOC_SYNTHETIC HWLOC_COMPONENTS HWLOC_THISSYSTEM HWLOC_FSROOT";
constexpr const char* kAllowNuma =
    "docker run --cap-add SYS_NICE, or a seccomp profile that allows it";

bool any_memory(const Examination& seen) {
    return std::any_of(seen.probes.begin(), seen.probes.end(), [](const Probe& probe) {
        return probe.error.empty();
    });
}

bool any_huge_page(const Examination& seen) {
    return std::any_of(seen.probes.begin(), seen.probes.end(), [](const Probe& probe) {
        return probe.region.huge_bytes > 0;
    });
}

std::uint64_t free_hugetlb_bytes(const Examination& seen) {
    std::uint64_t bytes = 0;
    for (const HugetlbPool& pool : seen.machine.pools) bytes += pool.free * pool.page_bytes;
    return bytes;
}

void judge_isa(const Examination& seen, Findings& findings) {
    if (!seen.isa_complaint.empty()) {
        findings.push_back({Severity::degraded,
                            seen.isa_complaint,
                            "the level in use is not the one that was asked for",
                            "unset SLIDEKIT_ISA"});
    } else if (seen.isa != seen.best_isa) {
        findings.push_back(
            {Severity::info,
             fmt::format("{} was asked for, {} is supported", seen.isa, seen.best_isa),
             "slower kernels",
             "unset SLIDEKIT_ISA, leave --isa out"});
    }
}

void judge_processors(const Examination& seen, Findings& findings) {
    const unsigned processors = seen.topology.processors();
    if (seen.topology.quota.value_or(processors) < processors) {
        findings.push_back(
            {Severity::degraded,
             fmt::format(
                 "cpu.max gives the time of {} of {} processors", *seen.topology.quota, processors),
             "threads beyond the quota would be stopped for a part of each 100 ms",
             fmt::format("docker run --cpus {}, or raise cpu.max of the job's "
                         "cgroup",
                         processors)});
    }
    if (seen.unbound > 0) {
        findings.push_back({Severity::degraded,
                            fmt::format("{} times a thread could not be bound to its processors "
                                        "(offline, or forbidden)",
                                        seen.unbound),
                            "threads wander between domains; " + std::string(kRemoteCost),
                            seen.hwloc_is_told ? kUnset : "taskset -p $$ shows what is allowed"});
    }
}

void judge_topology(const Examination& seen, Findings& findings) {
    if (!seen.topology.note.empty()) {
        findings.push_back(
            {Severity::degraded,
             seen.topology.note,
             "threads and memory may be on different nodes; " + std::string(kRemoteCost),
             seen.hwloc_is_told ? kUnset
                                : "lstopo shows what hwloc sees; in a container: docker run "
                                  "--cpuset-mems with the nodes of all processors"});
    }
    if (!seen.tbb.agrees) {
        const bool missing = seen.tbb.nodes == std::vector<int>{-1};
        findings.push_back(
            {Severity::info,
             seen.tbb.note,
             "nothing",
             missing ? "apt-get install libtbbbind-2-5" : "nothing needs to be done"});
    }
    for (const system::MemoryNode& memory : seen.topology.memory_only) {
        findings.push_back({Severity::info,
                            fmt::format("node {} has memory ({}) but no processors",
                                        static_cast<int>(memory.os_node),
                                        bytes_text(memory.bytes)),
                            "it is not used unless the nodes with processors are full",
                            fmt::format("numactl --preferred={} slidekit ... to try it",
                                        static_cast<int>(memory.os_node))});
    }
}

void judge_pages(const Examination& seen, Findings& findings) {
    constexpr const char* kMend = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
    const bool off = seen.machine.thp_mode.empty() || seen.machine.thp_mode == "never";
    if (seen.huge_pages == system::HugePages::never) {
        findings.push_back({Severity::info,
                            "--huge-pages never: huge pages were not tried",
                            kSmallPagesCost,
                            "leave --huge-pages out"});
    } else if (off || seen.machine.thp_off_for_process) {
        findings.push_back(
            {any_huge_page(seen) ? Severity::info : Severity::degraded,
             off ? "transparent huge pages are off"
                 : "transparent huge pages are off for this process (prctl PR_SET_THP_DISABLE)",
             kSmallPagesCost,
             off ? kMend : "start it from another parent"});
    } else if (any_memory(seen) && !any_huge_page(seen)) {
        findings.push_back({Severity::degraded,
                            "no huge page was got: memory is in pieces",
                            kSmallPagesCost,
                            "sysctl vm.compact_memory=1"});
    }
    if (free_hugetlb_bytes(seen) == 0) {
        const std::uint64_t half = seen.available_bytes / 2 / (std::uint64_t{2} << 20);
        findings.push_back(
            {Severity::info,
             "no free pages in the hugetlb pool",
             "nothing while transparent huge pages can be had",
             fmt::format("sysctl vm.nr_hugepages={}", std::max<std::uint64_t>(1, half))});
    }
    if (seen.machine.autonuma.value_or(0) != 0 && seen.topology.domains.size() > 1) {
        findings.push_back({Severity::info,
                            "the kernel balances memory between nodes by itself (AutoNUMA)",
                            "page faults that find out who uses a page",
                            "sysctl kernel.numa_balancing=0"});
    }
}

void judge_limits(const Examination& seen, Findings& findings) {
    const std::uint64_t free = seen.machine.free_bytes.value_or(seen.available_bytes);
    if (seen.available_bytes >= free / 16 * 15) return;
    const bool by_cgroup = seen.topology.memory_max.has_value();
    findings.push_back({Severity::info,
                        fmt::format("{} of {} free can be used, by {}",
                                    bytes_text(seen.available_bytes),
                                    bytes_text(free),
                                    by_cgroup ? "the cgroup's memory limit" : "ulimit"),
                        "a model that is larger is refused",
                        by_cgroup ? "raise memory.max of the container or job (docker run -m)"
                                  : "ulimit -v unlimited; ulimit -d unlimited"});
}

void judge_calls(const Examination& seen, Findings& findings) {
    const bool several = seen.topology.domains.size() > 1;
    const auto refused =
        [&](const char* call, Severity severity, const char* cost, const char* mend) {
            const int error = seen.error_of(call);
            if (error == 0) return;
            findings.push_back(
                {severity, fmt::format("{}: {}", call, std::strerror(error)), cost, mend});
        };
    refused("mbind",
            several ? Severity::degraded : Severity::info,
            several ? "pages are placed by a thread of their domain that touches them first"
                    : "nothing with one memory node",
            kAllowNuma);
    refused("move_pages",
            Severity::info,
            "where pages stand is known for whole mappings at best",
            kAllowNuma);
    refused("sched_setaffinity",
            several ? Severity::degraded : Severity::info,
            "threads wander between domains",
            "a seccomp profile that allows it");
    refused("madvise_populate",
            Severity::info,
            "pages are touched one by one as regions are made (a kernel before 5.14)",
            "a newer kernel");
    refused("perf_event_open",
            Severity::info,
            "the log has no hardware counters",
            "sysctl kernel.perf_event_paranoid=2; docker run --cap-add PERFMON");
}

// What the region says about nodes, not about pages.
std::string placing_steps(const system::RegionReport& region) {
    std::string text;
    for (const std::string& step : region.steps)
        if (step.starts_with("node") || step.starts_with("placement")) text += "; " + step;
    return text;
}

void judge_probes(const Examination& seen, Findings& findings) {
    for (std::size_t d = 0; d < seen.probes.size(); ++d) {
        const Probe& probe = seen.probes[d];
        const system::FoundPages& found = probe.region.found;
        if (!probe.error.empty()) {
            findings.push_back({Severity::broken,
                                fmt::format("domain {}: {}", d, probe.error),
                                "nothing can be trained",
                                "end other programs, or raise the limit that is named"});
        } else if (found.misplaced_bytes > 0) {
            findings.push_back({Severity::degraded,
                                fmt::format("domain {}: {} of {} are not on node {}{}",
                                            d,
                                            bytes_text(found.misplaced_bytes),
                                            bytes_text(probe.region.mapped_bytes),
                                            static_cast<int>(seen.topology.domains[d].os_node),
                                            placing_steps(probe.region)),
                                kRemoteCost,
                                seen.hwloc_is_told
                                    ? kUnset
                                    : "free memory of that node (numastat -m shows it), or allow "
                                      "mbind"});
        } else if (found.unverified_bytes > 0) {
            findings.push_back({Severity::info,
                                fmt::format("domain {}: the kernel does not tell where {} of {} "
                                            "stand",
                                            d,
                                            bytes_text(found.unverified_bytes),
                                            bytes_text(probe.region.mapped_bytes)),
                                "memory on the wrong node would not be noticed",
                                kAllowNuma});
        }
    }
}

}  // namespace

int Examination::error_of(std::string_view system_call) const {
    for (const SystemCall& call : system_calls)
        if (call.name == system_call) return call.error;
    return 0;
}

std::vector<Finding> judge(const Examination& examination) {
    Findings findings;
    judge_isa(examination, findings);
    judge_processors(examination, findings);
    judge_topology(examination, findings);
    judge_pages(examination, findings);
    judge_limits(examination, findings);
    judge_calls(examination, findings);
    judge_probes(examination, findings);
    if (examination.jemalloc.empty()) {
        findings.push_back({Severity::info,
                            "jemalloc is not in this program",
                            "loading of data sets and logs by the C library's allocator",
                            "apt-get install libjemalloc-dev; meson setup --reconfigure BUILDDIR "
                            "-Djemalloc=enabled"});
    }
    std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
        return a.severity > b.severity;
    });
    return findings;
}

std::string_view severity_name(Severity severity) {
    switch (severity) {
        case Severity::broken: return "broken";
        case Severity::degraded: return "degraded";
        case Severity::info: break;
    }
    return "info";
}

std::string_view status_name(const std::vector<Finding>& findings) {
    return exit_code(findings) == 0 ? "ok" : severity_name(findings.front().severity);
}

int exit_code(const std::vector<Finding>& findings) {
    return findings.empty() ? 0 : static_cast<int>(findings.front().severity);
}

}  // namespace slidekit::cli
