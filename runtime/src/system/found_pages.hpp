// On which nodes the pages of a region stand, and what to say where that is not as asked.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include <slidekit/system/placement.hpp>

#include "placement.hpp"

namespace slidekit::system::detail {

/// Where the pages of the parts stand: each one of `page` bytes is asked.
[[nodiscard]] FoundPages find_pages(const std::byte* start,
                                    std::span<const Part> parts,
                                    std::size_t page);
/// Its ways, for tests. Bytes that the kernel says nothing about are unverified.
[[nodiscard]] FoundPages find_by_move_pages(const std::byte* start,
                                            std::span<const Part> parts,
                                            std::size_t page);
[[nodiscard]] FoundPages find_by_numa_maps(const std::byte* start,
                                           std::span<const Part> parts,
                                           const std::filesystem::path& root = "/");

/// What is wrong with what was found, with the remedy; empty where nothing is.
[[nodiscard]] std::string misplacement(const FoundPages& found, std::span<const Part> parts);

}  // namespace slidekit::system::detail
