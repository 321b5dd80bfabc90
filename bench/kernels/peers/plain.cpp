// Plain loops: the bodies of the scalar level, built again as a user would build his own loops,
// with all that his processor has, at -O3 and at -Ofast.
#include <cstddef>

#include "lists.hpp"
#include "table.hpp"

namespace slidekit::kernels::detail {

// kernels/src/isa/scalar.cpp with its getter renamed (meson.build).
const KernelTable* plain_o3_table() noexcept;
const KernelTable* plain_ofast_table() noexcept;

}  // namespace slidekit::kernels::detail

namespace slidekit::bench {
namespace {

std::vector<Peer> peers_of(const kernels::detail::KernelTable& table, const char* who) {
    return {
#define SLIDEKIT_KERNEL(name, result, parameters, arguments, ...) \
    make_peer(#name, who, table.name, true),
#include "kernels.def"
#undef SLIDEKIT_KERNEL
    };
}

}  // namespace

PeerList plain_o3_peers() {
    static const auto peers = peers_of(*kernels::detail::plain_o3_table(), "-O3");
    return {peers.data(), peers.size()};
}

PeerList plain_ofast_peers() {
    static const auto peers = peers_of(*kernels::detail::plain_ofast_table(), "-Ofast");
    return {peers.data(), peers.size()};
}

}  // namespace slidekit::bench
