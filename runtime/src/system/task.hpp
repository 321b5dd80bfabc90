// Names a stretch of a thread's work for Intel's VTune (ITT tasks). Compiles to nothing unless the
// build has -Ditt=enabled; then a task that nobody collects costs a test of two pointers.
//
//     static const system::TaskName kSelect("select");
//     const system::Task task(kSelect);  // until the end of the block
#pragma once

#ifdef SLIDEKIT_ITT
#include <ittnotify.h>
#endif

namespace slidekit::system {

#ifdef SLIDEKIT_ITT

/// Made once for each name: making it takes a look-up. Thread-safe.
class TaskName {
public:
    explicit TaskName(const char* name) noexcept : handle_(__itt_string_handle_create(name)) {}

private:
    friend class Task;
    __itt_string_handle* handle_;
};

/// Begins and ends on one thread; tasks of a thread nest.
class Task {
public:
    explicit Task(const TaskName& name) noexcept {
        __itt_task_begin(domain(), __itt_null, __itt_null, name.handle_);
    }
    ~Task() { __itt_task_end(domain()); }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

private:
    static __itt_domain* domain() noexcept {
        static __itt_domain* const ours = __itt_domain_create("slidekit");
        return ours;
    }
};

#else

struct TaskName {
    constexpr explicit TaskName(const char* /*name*/) noexcept {}
};

class [[maybe_unused]] Task {
public:
    constexpr explicit Task(const TaskName& /*name*/) noexcept {}
};

#endif

}  // namespace slidekit::system
