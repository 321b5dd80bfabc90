// What the level of AVX-512 with VNNI does otherwise on processors with AMX tiles of bytes
// (Sapphire Rapids and later): not a level of its own, since all else stays the same.
#include "i8-product-amx-inl.hpp"
#include "table.hpp"

namespace slidekit::kernels::detail {

void use_amxint8(KernelTable& table) noexcept {
    table.multiply_rows_i8 = &multiply_rows_i8_amx;
    table.scan_rows_i8 = &scan_rows_i8_amx;
}

}  // namespace slidekit::kernels::detail
