// Time for measuring: seconds that never jump.
#pragma once

#include <chrono>

namespace slidekit::system {

/// Seconds since some moment before the process.
[[nodiscard]] inline double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace slidekit::system
