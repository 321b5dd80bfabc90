// Mapping a file, and its identity.
#include "data/mapped_file.hpp"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <slidekit/system/error.hpp>

namespace slidekit::data {

namespace {

Error unreadable(const std::filesystem::path& file, const char* reason) {
    return {ErrorCode::input,
            file.string(),
            std::string("cannot be read (") + reason + "); check the name and its permissions"};
}

}  // namespace

FileIdentity identify(const std::filesystem::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) throw unreadable(file, std::strerror(errno));
    if (S_ISDIR(status.st_mode)) throw unreadable(file, "it is a folder");
    constexpr std::int64_t kNsPerSecond = 1'000'000'000;
    return {static_cast<std::uint64_t>(status.st_size),
            std::int64_t{status.st_mtim.tv_sec} * kNsPerSecond + status.st_mtim.tv_nsec};
}

MappedFile::MappedFile(const std::filesystem::path& file) {
    const FileIdentity identity = identify(file);
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) throw unreadable(file, std::strerror(errno));
    void* mapping = identity.size == 0
                        ? nullptr
                        : ::mmap(nullptr, identity.size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int error = errno;
    ::close(descriptor);
    if (mapping == MAP_FAILED) throw unreadable(file, std::strerror(error));
    data_ = static_cast<const std::byte*>(mapping);
    size_ = identity.size;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace slidekit::data
