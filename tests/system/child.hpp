// Runs a piece of a test in a process of its own, for what cannot be undone: limits, affinity, a
// fault.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

namespace slidekit::testing {

/// What body() returned in the child; -1 where a signal ended it, 99 where an exception did.
/// Requires: the process has started no threads.
template <class Body>
int exit_code_in_child(Body&& body) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            ::_exit(body());
        } catch (const std::exception& error) {
            std::fprintf(stderr, "in the child: %s\n", error.what());
        }
        ::_exit(99);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
}

}  // namespace slidekit::testing
