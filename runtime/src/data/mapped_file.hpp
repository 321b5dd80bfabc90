// A file mapped for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace slidekit::data {

/// Move-only. The bytes live as long as the object.
class MappedFile {
public:
    MappedFile() noexcept = default;
    /// Throws Error (input) where the file is missing, no regular file or cannot be mapped.
    explicit MappedFile(const std::filesystem::path& file);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    ~MappedFile();

    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

private:
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// What tells one state of a file from another without reading it.
struct FileIdentity {
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;

    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// Throws Error (input) naming what is wrong: missing, a folder, a pipe or device, not readable.
[[nodiscard]] FileIdentity identify(const std::filesystem::path& file);

}  // namespace slidekit::data
