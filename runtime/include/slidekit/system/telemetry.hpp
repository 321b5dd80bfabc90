// Counters of the processor and the kernel over a stretch of work.
//
// "Unavailable" is a value: a counter that the machine, a virtual machine or a container does not
// give is empty, with the reason. Nothing here ever fails.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <slidekit/kernels/export.hpp>

namespace slidekit::system {

/// One counter's growth; empty where it could not be had, and then `reason` says why and what
/// mends it.
struct Count {
    std::string name;
    std::optional<std::uint64_t> value;
    std::string reason;
};

/// counters: of this process, in user mode: cycles, instructions, llc_misses, dtlb_load_misses,
/// remote_accesses (loads that another node's memory answered), page_faults, cpu_migrations. Scaled
/// up where the processor had to count them by turns.
/// kernel: growth of /proc/vmstat's numa_* and thp_* figures, which are the whole machine's.
struct TelemetryReport {
    double seconds = 0;
    std::vector<Count> counters;
    std::vector<Count> kernel;

    /// The counter of that name; nothing where it is unavailable.
    [[nodiscard]] SLIDEKIT_API std::optional<std::uint64_t> value(
        std::string_view name) const noexcept;
};

/// Counts from construction on, over the threads that the process has then and those that they
/// start later. Thread-compatible.
class SLIDEKIT_API Telemetry {
public:
    Telemetry();
    Telemetry(Telemetry&&) noexcept;
    Telemetry& operator=(Telemetry&&) noexcept;
    ~Telemetry();

    [[nodiscard]] TelemetryReport since_start() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace slidekit::system
