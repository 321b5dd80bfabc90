// One process a folder: a lock that the system gives up when its holder dies, however it dies.
#pragma once

#include <filesystem>

namespace slidekit::train {

/// Move-only; released on destruction. The file `lock` stays in the folder and has the number of
/// the process that holds it, or that held it last.
class FolderLock {
public:
    /// Throws Error (output) where another process has the folder, or where it cannot be written.
    explicit FolderLock(const std::filesystem::path& folder);
    FolderLock(FolderLock&& other) noexcept;
    FolderLock& operator=(FolderLock&& other) noexcept;
    ~FolderLock();

private:
    int descriptor_ = -1;
};

}  // namespace slidekit::train
