// Asks TBB for its memory nodes.
#include <slidekit/system/tbb_view.hpp>

#include <oneapi/tbb/info.h>

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace slidekit::system {

namespace {

bool hwloc_is_told_something() {
    for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable)
        if (std::string_view(*variable).starts_with("HWLOC_")) return true;
    return false;
}

}  // namespace

TbbView tbb_view(const Topology& topology) {
    TbbView view;
    std::vector<int> ours;
    for (const Domain& domain : topology.domains) {
        if (domain.tbb_id >= 0) ours.push_back(domain.tbb_id);
    }
    ours.erase(std::unique(ours.begin(), ours.end()), ours.end());
    // TBB 2021.8's binding library ends the process by SIGSEGV where hwloc shows another machine
    // or none.
    if (ours.empty() || hwloc_is_told_something()) {
        view.note =
            "TBB is not asked for its memory nodes where hwloc shows none or follows a variable "
            "HWLOC_*; we bind threads ourselves, nothing is lost";
        return view;
    }
    const std::vector<tbb::numa_node_id> seen = tbb::info::numa_nodes();
    std::copy(seen.begin(), seen.end(), std::back_inserter(view.nodes));
    if (view.nodes == std::vector<int>{-1}) {
        view.note =
            "TBB sees no memory nodes: libtbbbind is missing; we bind threads ourselves, nothing "
            "is lost";
        return view;
    }
    view.agrees = std::all_of(ours.begin(), ours.end(), [&](int id) {
        return std::find(view.nodes.begin(), view.nodes.end(), id) != view.nodes.end();
    });
    if (!view.agrees) {
        view.note = fmt::format(
            "TBB sees the memory nodes {{{}}}, we see {{{}}}; we bind threads by our own list",
            fmt::join(view.nodes, ", "),
            fmt::join(ours, ", "));
    }
    return view;
}

}  // namespace slidekit::system
