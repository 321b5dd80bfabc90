// Reads XMC text, plain or gzip, and refuses whatever departs from the format.
#pragma once

#include <filesystem>

#include "data/dataset_storage.hpp"

namespace slidekit::data {

/// Throws Error (input) naming file, line, value and remedy. See load_dataset() for the format.
[[nodiscard]] PointArrays read_xmc(const std::filesystem::path& file);

}  // namespace slidekit::data
