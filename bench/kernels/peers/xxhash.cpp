// xxHash, where kernels mix or hash integers.
#include "lists.hpp"

#if __has_include("xxhash.hpp")
#include "xxhash.hpp"
#endif

namespace slidekit::bench {

PeerList xxhash_peers() {
#if __has_include("xxhash.hpp")
    static const Peer all[] = {SLIDEKIT_RIVAL(mix_keys, "xxhash", xxhash::mix_keys)};
    return {all, std::size(all)};
#else
    return {nullptr, 0};
#endif
}

}  // namespace slidekit::bench
