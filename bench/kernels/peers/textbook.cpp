// What the textbooks and the released engines do, and the standard library, where that is another
// algorithm than the scalar level's.
#include "lists.hpp"

#if __has_include("dwta.hpp")
#include "dwta.hpp"
#endif
#if __has_include("doph.hpp")
#include "doph.hpp"
#endif
#if __has_include("selection.hpp")
#include "selection.hpp"
#endif
#if __has_include("simhash.hpp")
#include "simhash.hpp"
#endif

namespace slidekit::bench {

PeerList textbook_peers() {
    static const std::vector<Peer> all {
#if __has_include("selection.hpp")
        SLIDEKIT_PEER(select_top_k, "nth_element", nth_element::select_top_k),
            SLIDEKIT_PEER(select_top_counts, "nth_element", nth_element::select_top_counts),
            SLIDEKIT_PEER(dedup_ids, "unordered_set", unordered_set::dedup_ids),
            SLIDEKIT_RIVAL(dedup_ids, "sort", sort_unique::dedup_ids),
            SLIDEKIT_RIVAL(count_ids, "map", map::count_ids),
#endif
#if __has_include("dwta.hpp")
            SLIDEKIT_PEER(hash_dwta, "textbook", textbook::hash_dwta),
            SLIDEKIT_PEER(hash_dwta_rows, "textbook", textbook::hash_dwta_rows),
            SLIDEKIT_PEER(hash_dwta_sparse, "textbook", textbook::hash_dwta_sparse),
#endif
#if __has_include("doph.hpp")
            SLIDEKIT_PEER(mix_keys, "textbook", textbook::mix_keys),
            SLIDEKIT_PEER(hash_doph_set, "textbook", textbook::hash_doph_set),
            SLIDEKIT_PEER(hash_doph, "textbook", textbook::hash_doph),
            SLIDEKIT_PEER(hash_doph_rows, "textbook", textbook::hash_doph_rows),
            SLIDEKIT_PEER(hash_pstable, "textbook", textbook::hash_pstable),
            SLIDEKIT_PEER(hash_pstable_rows, "textbook", textbook::hash_pstable_rows),
#endif
#if __has_include("simhash.hpp")
            SLIDEKIT_PEER(hash_simhash, "textbook", textbook::hash_simhash),
            SLIDEKIT_PEER(hash_simhash_rows, "textbook", textbook::hash_simhash_rows),
            SLIDEKIT_PEER(hash_hadamard, "textbook", textbook::hash_hadamard),
            SLIDEKIT_PEER(hash_hadamard_rows, "textbook", textbook::hash_hadamard_rows),
            SLIDEKIT_PEER(project_simhash, "textbook", textbook::project_simhash),
            SLIDEKIT_PEER(update_projections, "textbook", textbook::update_projections),
            SLIDEKIT_PEER(hash_projections, "textbook", textbook::hash_projections),
#endif
    };
    return {all.data(), all.size()};
}

}  // namespace slidekit::bench
