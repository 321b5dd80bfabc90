// All peers that this build has.
#pragma once

#include <string>
#include <vector>

#include "peer.hpp"

namespace slidekit::bench {

// Each list has a file of its own, built with flags of its own (meson.build).
PeerList plain_o3_peers();
PeerList plain_ofast_peers();
PeerList textbook_peers();
#ifdef SLIDEKIT_BENCH_EIGEN
PeerList eigen_peers();
#endif
#ifdef SLIDEKIT_BENCH_CBLAS
PeerList blas_peers();
std::string describe_blas();
#endif
#ifdef SLIDEKIT_BENCH_XXHASH
PeerList xxhash_peers();
#endif

inline std::vector<PeerList> all_peers() {
    std::vector<PeerList> all{plain_o3_peers(), plain_ofast_peers(), textbook_peers()};
#ifdef SLIDEKIT_BENCH_EIGEN
    all.push_back(eigen_peers());
#endif
#ifdef SLIDEKIT_BENCH_CBLAS
    all.push_back(blas_peers());
#endif
#ifdef SLIDEKIT_BENCH_XXHASH
    all.push_back(xxhash_peers());
#endif
    return all;
}

/// Which there are and how they were built, and which are missing.
inline std::string describe_peers() {
    std::string text = "-O3: " SLIDEKIT_PEER_FLAGS_O3 "; -Ofast: " SLIDEKIT_PEER_FLAGS_OFAST;
#ifdef SLIDEKIT_BENCH_EIGEN
    text += "; Eigen " SLIDEKIT_BENCH_EIGEN;
#else
    text += "; Eigen is missing";
#endif
#ifdef SLIDEKIT_BENCH_CBLAS
    text += "; " + describe_blas();
#else
    text += "; OpenBLAS is missing";
#endif
#ifdef SLIDEKIT_BENCH_XXHASH
    text += "; xxHash " SLIDEKIT_BENCH_XXHASH;
#else
    text += "; xxHash is missing";
#endif
    return text;
}

}  // namespace slidekit::bench
