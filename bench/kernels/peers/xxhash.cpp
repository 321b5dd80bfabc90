// xxHash, where kernels mix or hash integers.
#include "lists.hpp"

#include "xxhash.hpp"

namespace slidekit::bench {

PeerList xxhash_peers() {
    static const Peer all[] = {SLIDEKIT_RIVAL(mix_keys, "xxhash", xxhash::mix_keys)};
    return {all, std::size(all)};
}

}  // namespace slidekit::bench
