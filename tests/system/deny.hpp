// Takes system calls away from this process, as a container's seccomp filter does.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <initializer_list>
#include <vector>

namespace slidekit::testing {

/// The calls have this outcome (SECCOMP_RET_...) from here on, in this process and its children.
/// False where the kernel has no filters.
inline bool filter_calls(std::initializer_list<long> calls, unsigned outcome) {
    std::vector<sock_filter> filter;
    filter.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)});
    for (const long call : calls) {
        filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<__u32>(call)});
        filter.push_back({BPF_RET | BPF_K, 0, 0, outcome});
    }
    filter.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
    const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// The calls fail with `error`.
inline bool deny(std::initializer_list<long> calls, int error) {
    return filter_calls(calls, SECCOMP_RET_ERRNO | static_cast<unsigned>(error));
}

/// The process dies in the calls, as if it were killed just then.
inline bool kill_in(std::initializer_list<long> calls) {
    return filter_calls(calls, SECCOMP_RET_KILL_PROCESS);
}

}  // namespace slidekit::testing
