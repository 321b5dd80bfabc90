// A file that appears under its name only when it is whole: written beside it, synced, renamed.
//
// A name that stands for no regular file (/dev/stdout, a pipe) is written in place, never replaced.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

#include <slidekit/kernels/export.hpp>

namespace slidekit::data {

/// Move-less; confined. Every failure throws Error (output) with the reason and leaves a file that
/// was there before as it was; without commit() nothing remains.
class SLIDEKIT_API AtomicFile {
public:
    explicit AtomicFile(std::filesystem::path file);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(const void* bytes, std::size_t count);
    void write(std::string_view text) { write(text.data(), text.size()); }
    /// The file takes its name, replacing an older one at once.
    void commit();

private:
    void sync_folder() const;
    [[noreturn]] void fail(int error) const;
    [[nodiscard]] bool in_place() const { return temporary_ == file_; }

    std::filesystem::path file_;
    std::filesystem::path temporary_;
    int descriptor_ = -1;
};

}  // namespace slidekit::data
