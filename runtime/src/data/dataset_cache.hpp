// The binary cache of a data set: its arrays behind a header, mapped instead of parsed.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "data/dataset_storage.hpp"

namespace slidekit::data {

/// FILE.cache, beside the text.
[[nodiscard]] std::filesystem::path cache_of(const std::filesystem::path& file);

/// The cached data set, or null where there is no cache of this very text, or the cache is torn or
/// foreign; `why` then says which, unless there simply is none.
[[nodiscard]] std::unique_ptr<Dataset::Storage> read_cache(const std::filesystem::path& file,
                                                           const FileIdentity& source,
                                                           std::string& why);

/// Throws Error (output).
void write_cache(const std::filesystem::path& file,
                 const FileIdentity& source,
                 const Dataset::Storage& storage);

}  // namespace slidekit::data
