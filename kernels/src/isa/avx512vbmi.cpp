// What the AVX-512 level does otherwise on processors with VBMI (Ice Lake, Zen 4 and later): not a
// level of its own, since all else stays the same.
#include "hash-one-inl.hpp"
#include "table.hpp"

namespace slidekit::kernels::detail {

void use_avx512vbmi(KernelTable& table) noexcept {
    table.hash_dwta = &hash_dwta_by_permutes<QuantisedByteCodes, ByteCodeJoiner>;
}

}  // namespace slidekit::kernels::detail
