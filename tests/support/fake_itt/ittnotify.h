// The part of Intel's ittnotify.h that we use, for a test that stands in for the collector.
#pragma once

struct __itt_domain {
    const char* name;
};
struct __itt_string_handle {
    const char* name;
};
struct __itt_id {
    unsigned long long d1, d2, d3;
};
inline constexpr __itt_id __itt_null = {0, 0, 0};

__itt_domain* __itt_domain_create(const char* name);
__itt_string_handle* __itt_string_handle_create(const char* name);
void __itt_task_begin(const __itt_domain* domain,
                      __itt_id task,
                      __itt_id parent,
                      __itt_string_handle* name);
void __itt_task_end(const __itt_domain* domain);
