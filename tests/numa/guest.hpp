// Which guest of scripts/numa_vm_test.sh a test runs in. What would disturb a machine that is in
// use (its processors, its pools of pages) is tried in a guest only.
#pragma once

#include <cstdlib>
#include <string>

namespace slidekit::testing {

/// 2node, snc4 or hbm; empty elsewhere.
inline std::string guest() {
    const char* const name = std::getenv("SLIDEKIT_NUMA_GUEST");
    return name == nullptr ? "" : name;
}

}  // namespace slidekit::testing
