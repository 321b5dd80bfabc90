// flock() on a file in the folder.
#include "train/folder_lock.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <slidekit/system/error.hpp>

namespace slidekit::train {

namespace {

[[noreturn]] void refuse(const std::filesystem::path& folder, int error) {
    throw Error(ErrorCode::output,
                folder.string(),
                std::string("checkpoints cannot be written there (") + std::strerror(error) +
                    "); choose a folder that is yours, on a disk that is not read-only");
}

// The number that the file has, or words for it.
std::string holder(int descriptor) {
    std::array<char, 32> text{};
    const ssize_t count = ::pread(descriptor, text.data(), text.size() - 1, 0);
    std::string number(text.data(), count < 0 ? 0 : static_cast<std::size_t>(count));
    number.erase(number.find_last_not_of('\n') + 1);
    const bool digits = number.find_first_not_of("0123456789") == std::string::npos;
    return number.empty() || !digits ? "another process" : "process " + number;
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) {
    if (::access(folder.c_str(), W_OK | X_OK) != 0) refuse(folder, errno);
    descriptor_ = ::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) refuse(folder, errno);
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        const std::string other = holder(descriptor_);
        ::close(descriptor_);
        if (error != EWOULDBLOCK) refuse(folder, error);
        throw Error(ErrorCode::output,
                    folder.string(),
                    other +
                        " keeps its checkpoints there; wait for it, end it, or choose another "
                        "folder");
    }
    // On a full disk the number is lost and the lock still holds.
    const std::string number = std::to_string(::getpid()) + "\n";
    if (::ftruncate(descriptor_, 0) != 0 ||
        ::pwrite(descriptor_, number.data(), number.size(), 0) < 0)
        return;
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

FolderLock::~FolderLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace slidekit::train
