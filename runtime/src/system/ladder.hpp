// From a specification to populated memory on the largest pages that can be had.
#pragma once

#include <cstddef>

#include <slidekit/system/region.hpp>

#include "pages.hpp"

namespace slidekit::system::detail {

/// Maps and populates, and writes into the report what was got and why not more. Throws Error
/// (memory).
[[nodiscard]] Mapping map_region(const RegionSpec& spec, RegionReport& report);

/// Throws Error (memory) where so many bytes would not fit: the kernel kills a process that
/// populates more than there is.
void check_room(const RegionSpec& spec, std::size_t mapped_bytes);

/// Throws Error (memory) with the steps of the report.
[[noreturn]] void refuse_placement(const RegionSpec& spec, const RegionReport& report);

}  // namespace slidekit::system::detail
