// What the textbooks and the released engines do, where that is another algorithm than the scalar
// level's.
#include "lists.hpp"
#include "textbook_hash.hpp"
#include "textbook_selection.hpp"

namespace slidekit::bench {

PeerList textbook_peers() {
    static const Peer all[] = {
        SLIDEKIT_PEER(hash_dwta, "textbook", textbook::hash_dwta),
        SLIDEKIT_PEER(hash_dwta_rows, "textbook", textbook::hash_dwta_rows),
        SLIDEKIT_PEER(hash_simhash, "textbook", textbook::hash_simhash),
        SLIDEKIT_PEER(hash_simhash_rows, "textbook", textbook::hash_simhash_rows),
        SLIDEKIT_PEER(select_top_k, "nth_element", textbook::select_top_k),
    };
    return {all, std::size(all)};
}

}  // namespace slidekit::bench
