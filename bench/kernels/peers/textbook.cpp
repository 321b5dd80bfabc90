// What the textbooks and the released engines do, and the standard library, where that is another
// algorithm than the scalar level's.
#include "lists.hpp"

#include "doph.hpp"
#include "dwta.hpp"
#include "selection.hpp"
#include "simhash.hpp"

namespace slidekit::bench {

PeerList textbook_peers() {
    static const std::vector<Peer> all{
        SLIDEKIT_PEER(select_top_k, "nth_element", nth_element::select_top_k),
        SLIDEKIT_PEER(select_top_counts, "nth_element", nth_element::select_top_counts),
        SLIDEKIT_PEER(dedup_ids, "unordered_set", unordered_set::dedup_ids),
        SLIDEKIT_RIVAL(dedup_ids, "sort", sort_unique::dedup_ids),
        SLIDEKIT_RIVAL(count_ids, "map", map::count_ids),
        SLIDEKIT_PEER(hash_dwta, "textbook", textbook::hash_dwta),
        SLIDEKIT_PEER(hash_dwta_rows, "textbook", textbook::hash_dwta_rows),
        SLIDEKIT_PEER(hash_dwta_sparse, "plain", textbook::hash_dwta_sparse),
        SLIDEKIT_PEER(mix_keys, "textbook", textbook::mix_keys),
        SLIDEKIT_PEER(hash_doph_set, "textbook", textbook::hash_doph_set),
        SLIDEKIT_PEER(hash_doph, "textbook", textbook::hash_doph),
        SLIDEKIT_PEER(hash_doph_rows, "textbook", textbook::hash_doph_rows),
        SLIDEKIT_PEER(hash_pstable, "textbook", textbook::hash_pstable),
        SLIDEKIT_PEER(hash_pstable_rows, "textbook", textbook::hash_pstable_rows),
        SLIDEKIT_PEER(hash_simhash, "textbook", textbook::hash_simhash),
        SLIDEKIT_PEER(hash_simhash_rows, "textbook", textbook::hash_simhash_rows),
        SLIDEKIT_PEER(hash_hadamard, "textbook", textbook::hash_hadamard),
        SLIDEKIT_PEER(hash_hadamard_rows, "textbook", textbook::hash_hadamard_rows),
    };
    return {all.data(), all.size()};
}

}  // namespace slidekit::bench
