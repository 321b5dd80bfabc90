// What `slidekit doctor` looks at, and what it concludes from it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <slidekit/system/region.hpp>
#include <slidekit/system/tbb_view.hpp>
#include <slidekit/system/telemetry.hpp>
#include <slidekit/system/topology.hpp>

#include "machine_state.hpp"
#include "system_calls.hpp"

namespace slidekit::cli {

/// Memory that was mapped, placed and verified on one domain.
struct Probe {
    std::string error = {};  // empty: it was had
    system::RegionReport region = {};
};

struct Examination {
    std::string isa;             // in use
    std::string best_isa;        // that this machine supports
    std::string isa_complaint;   // about SLIDEKIT_ISA
    bool hwloc_is_told = false;  // a variable HWLOC_* is set
    system::Topology topology;   // as it is cut for the run
    system::TbbView tbb;
    unsigned threads = 0;
    std::size_t unbound = 0;
    std::size_t available_bytes = 0;
    system::HugePages huge_pages = system::HugePages::prefer;
    MachineState machine;
    std::vector<NodeState> nodes;  // by domain
    std::vector<SystemCall> system_calls;
    system::TelemetryReport telemetry;
    std::string jemalloc;       // version; empty: it is not in the program
    std::vector<Probe> probes;  // by domain

    [[nodiscard]] int error_of(std::string_view system_call) const;
};

enum class Severity { info, degraded, broken };

/// One shortfall: what is missing, what that costs, and the command that mends it.
struct Finding {
    Severity severity = Severity::info;
    std::string what;
    std::string cost;
    std::string mend;
};

/// Gravest first.
[[nodiscard]] std::vector<Finding> judge(const Examination& examination);

/// "ok" (info alone), "degraded" or "broken", and the exit code 0, 1 or 2.
[[nodiscard]] std::string_view severity_name(Severity severity);
[[nodiscard]] std::string_view status_name(const std::vector<Finding>& findings);
[[nodiscard]] int exit_code(const std::vector<Finding>& findings);

}  // namespace slidekit::cli
