// The calls themselves.
#include "system_calls.hpp"

#include <linux/mempolicy.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14, newer than some C libraries
#endif

namespace slidekit::cli {

namespace {

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

// One page, freed at the end.
class Page {
public:
    Page()
        : start_(::mmap(
              nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
    ~Page() {
        if (start_ != MAP_FAILED) ::munmap(start_, page_bytes());
    }
    Page(const Page&) = delete;
    Page& operator=(const Page&) = delete;
    [[nodiscard]] void* start() const { return start_; }

private:
    void* start_;
};

template <class... Arguments>
int error_of(long number, Arguments... arguments) {
    return ::syscall(number, arguments...) < 0 ? errno : 0;
}

struct NodeMask {
    explicit NodeMask(NodeId node) {
        const auto number = static_cast<std::size_t>(std::max(0, static_cast<int>(node)));
        if (number < kBits) words[number / 64] |= 1UL << (number % 64);
    }
    static constexpr std::size_t kBits = 1024;
    unsigned long words[kBits / 64] = {};
};

// Policies are a thread's own: a thread of its own keeps ours as it is.
int try_set_mempolicy(const NodeMask& mask) {
    int error = 0;
    std::thread([&] {
        error = error_of(SYS_set_mempolicy, MPOL_PREFERRED, mask.words, NodeMask::kBits + 1);
    }).join();
    return error;
}

int try_sched_setaffinity() {
    int error = 0;
    std::thread([&] {
        unsigned long words[128] = {};
        const long bytes = ::syscall(SYS_sched_getaffinity, 0, sizeof words, words);
        error = bytes < 0 ? errno : error_of(SYS_sched_setaffinity, 0, bytes, words);
    }).join();
    return error;
}

int try_perf_event_open() {
    perf_event_attr attributes{};
    attributes.size = sizeof attributes;
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.config = PERF_COUNT_SW_PAGE_FAULTS;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    const long descriptor =
        ::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (descriptor < 0) return errno;
    ::close(static_cast<int>(descriptor));
    return 0;
}

}  // namespace

std::vector<SystemCall> try_system_calls(NodeId node) {
    const NodeMask mask(node);
    const Page page;
    if (page.start() == MAP_FAILED) return {{"mmap", ENOMEM}};
    const int mbind = error_of(SYS_mbind,
                               page.start(),
                               page_bytes(),
                               MPOL_PREFERRED,
                               mask.words,
                               NodeMask::kBits + 1,
                               0UL);
    const int populate =
        ::madvise(page.start(), page_bytes(), MADV_POPULATE_WRITE) == 0 ? 0 : errno;
    *static_cast<volatile char*>(page.start()) = 1;
    void* pages[] = {page.start()};
    int status = 0;
    const int move_pages = error_of(SYS_move_pages, 0, 1UL, pages, nullptr, &status, 0);
    return {{"mbind", mbind},
            {"set_mempolicy", try_set_mempolicy(mask)},
            {"move_pages", move_pages},
            {"madvise_populate", populate},
            {"sched_setaffinity", try_sched_setaffinity()},
            {"perf_event_open", try_perf_event_open()}};
}

}  // namespace slidekit::cli
