// What runs beside a kernel: functions with the kernel's own signature, so that they are called on
// the very arguments of the kernel.
#pragma once

#include <cstddef>

#include "kernel_entries.hpp"

namespace slidekit::bench {

/// A function of one of the kernels' types, which only the kernel's name tells.
struct Peer {
    const char* kernel;
    const char* who;
    void (*function)();
    bool has_same_results = true;
};

struct PeerList {
    const Peer* peers;
    std::size_t count;
};

template <class Function>
Peer make_peer(const char* kernel, const char* who, Function function, bool has_same_results) {
    return {kernel, who, reinterpret_cast<void (*)()>(function), has_same_results};
}

}  // namespace slidekit::bench

/// An element of a list of peers: the compiler checks that its type is the kernel's.
#define SLIDEKIT_PEER(kernel, who, function) SLIDEKIT_PEER_WITH(kernel, who, function, true)

/// One that does the same job with other results, which are not compared: another hash.
#define SLIDEKIT_RIVAL(kernel, who, function) SLIDEKIT_PEER_WITH(kernel, who, function, false)

#define SLIDEKIT_PEER_WITH(kernel, who, function, has_same_results)       \
    ::slidekit::bench::make_peer<decltype(&::slidekit::kernels::kernel)>( \
        #kernel,                                                          \
        who,                                                              \
        static_cast<decltype(&::slidekit::kernels::kernel)>(&function),   \
        has_same_results)
