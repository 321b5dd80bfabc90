// slidekit doctor: what this machine gives to a run, what is missing, and what mends it.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <slidekit/kernels/isa.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/runtime.hpp>

#include "commands.hpp"
#include "doctor_page.hpp"
#include "examination.hpp"
#include "options.hpp"

// jemalloc's, where the program is linked or preloaded with it.
extern "C" __attribute__((weak)) int mallctl(const char*, void*, std::size_t*, void*, std::size_t);

namespace slidekit::cli {

namespace {

std::string jemalloc_version() {
    const char* version = nullptr;
    std::size_t size = sizeof version;
    if (mallctl == nullptr || mallctl("version", &version, &size, nullptr, 0) != 0) return {};
    const std::string text = version;
    return text.substr(0, text.find('-'));
}

// Maps, places and verifies memory of one domain, as a run would.
Probe probe_domain(system::Runtime& runtime, std::size_t domain) {
    constexpr std::size_t kBytes = std::size_t{8} << 20;
    try {
        return {.region = runtime.allocate(kBytes, "probe", runtime.on_domain(domain)).report()};
    } catch (const Error& error) {
        return {.error = error.what()};
    }
}

bool hwloc_is_told() {
    for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable)
        if (std::string_view(*variable).starts_with("HWLOC_")) return true;
    return false;
}

// Has every thread run, so that those that cannot be bound are counted.
void wake_threads(system::Executor& executor) {
    executor.for_each_domain(
        [&](std::size_t) { executor.for_each(64, [](std::size_t, system::Worker) {}); });
}

Examination examine(const MachineOptions& options) {
    const system::Telemetry telemetry;
    system::Runtime runtime = start_runtime(options);
    wake_threads(runtime.executor());
    Examination seen;
    seen.isa = kernels::isa_name(kernels::active_isa());
    for (const kernels::Isa isa : kernels::kIsaLevels)
        if (kernels::is_supported(isa)) seen.best_isa = kernels::isa_name(isa);
    seen.isa_complaint = kernels::isa_complaint();
    seen.hwloc_is_told = hwloc_is_told();
    seen.topology = runtime.topology();
    seen.tbb = system::tbb_view(system::Topology::detect());  // before it was cut
    seen.threads = runtime.executor().threads();
    seen.huge_pages = options.huge_pages;
    seen.machine = read_machine();
    seen.available_bytes = system::available_memory_bytes();
    for (std::size_t d = 0; d < seen.topology.domains.size(); ++d) {
        seen.nodes.push_back(read_node(seen.topology.domains[d].os_node));
        seen.probes.push_back(probe_domain(runtime, d));
    }
    seen.system_calls = try_system_calls(seen.topology.domains.front().os_node);
    seen.unbound = runtime.executor().unbound();
    seen.jemalloc = jemalloc_version();
    seen.telemetry = telemetry.since_start();
    return seen;
}

}  // namespace

Command add_doctor(CLI::App& program) {
    CLI::App& command = *program.add_subcommand(
        "doctor", "Show what this machine gives to a run, and the command for what is missing");
    struct Options {
        MachineOptions machine;
        bool json = false;
    };
    const auto options = std::make_shared<Options>();
    add_machine_options(command, options->machine);
    command.add_flag("--json", options->json, "One JSON object instead of a page");
    return [options](const std::string&) {
        const Examination seen = examine(options->machine);
        const std::vector<Finding> findings = judge(seen);
        if (options->json) {
            fmt::print("{}\n", doctor_json(seen, findings).dump(2));
        } else {
            fmt::print("{}", doctor_page(seen, findings));
        }
        if (exit_code(findings) != 0) throw Exit{exit_code(findings)};
    };
}

}  // namespace slidekit::cli
