// Makes the kernel refuse system calls to this process, as a container's seccomp filter does. There
// is no way back: call it in a child.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace slidekit::testing {

/// Each of `calls` (SYS_mbind) fails with `error` from now on. False: no filter could be set.
inline bool refuse_calls(std::initializer_list<long> calls, int error) {
    std::vector<sock_filter> filter;
    const auto add = [&](int code, std::uint32_t value, std::uint8_t skipped_unless) {
        filter.push_back({static_cast<std::uint16_t>(code), 0, skipped_unless, value});
    };
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr), 0);
    for (const long call : calls) {
        add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 1);
        add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error), 0);
    }
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0);
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace slidekit::testing
