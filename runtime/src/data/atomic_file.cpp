// Atomic files; the temporary name carries the process, so that two runs never write one.
#include <slidekit/data/atomic_file.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <slidekit/system/error.hpp>

namespace slidekit::data {

AtomicFile::AtomicFile(std::filesystem::path file) : file_(std::move(file)) {
    std::error_code unknown;
    // A link stays a link: what it points to is replaced.
    const std::filesystem::path target = std::filesystem::canonical(file_, unknown);
    if (!unknown) file_ = target;
    temporary_ = file_;
    const std::filesystem::file_status status = std::filesystem::status(file_, unknown);
    const bool special =
        std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
    if (!special) temporary_ += ".partial-" + std::to_string(::getpid());
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail(errno);
}

AtomicFile::~AtomicFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    if (!in_place()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* bytes, std::size_t count) {
    const char* at = static_cast<const char*>(bytes);
    while (count > 0) {
        const ssize_t written = ::write(descriptor_, at, count);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail(errno);
        at += written;
        count -= static_cast<std::size_t>(written);
    }
}

void AtomicFile::commit() {
    if (!in_place()) {
        if (::fsync(descriptor_) != 0) fail(errno);
        if (::rename(temporary_.c_str(), file_.c_str()) != 0) fail(errno);
        sync_folder();
    }
    ::close(std::exchange(descriptor_, -1));
}

// Without it a power cut may undo the rename. Some file systems have nothing to sync, and a folder
// may be closed to readers.
void AtomicFile::sync_folder() const {
    const std::filesystem::path folder = file_.has_parent_path() ? file_.parent_path() : ".";
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    const int error = ::fsync(descriptor) == 0 ? 0 : errno;
    ::close(descriptor);
    if (error == EIO || error == ENOSPC) fail(error);
}

void AtomicFile::fail(int error) const {
    throw Error(ErrorCode::output,
                file_.string(),
                std::string("cannot be written (") + std::strerror(error) +
                    "); free some space, or choose a file in a folder that exists and is yours");
}

}  // namespace slidekit::data
