// Mapping a file, and its identity.
//
// What is mapped is measured through its own descriptor: another run may rename a shorter file to
// the name at any time, and a mapping longer than its file is a SIGBUS.
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

FileIdentity identity_of(const std::filesystem::path& file, const struct stat& status) {
    if (S_ISDIR(status.st_mode)) throw unreadable(file, "it is a folder");
    // Neither has a size to check counts against, nor a time to tie a cache to.
    if (!S_ISREG(status.st_mode)) {
        throw Error(ErrorCode::input,
                    file.string(),
                    "cannot be read (it is a pipe or a device); put its contents into a file");
    }
    constexpr std::int64_t kNsPerSecond = 1'000'000'000;
    return {static_cast<std::uint64_t>(status.st_size),
            std::int64_t{status.st_mtim.tv_sec} * kNsPerSecond + status.st_mtim.tv_nsec};
}

// Open for reading. Thread-confined.
class Descriptor {
public:
    // Without O_NONBLOCK, a pipe that nobody writes to would be waited for.
    explicit Descriptor(const std::filesystem::path& file)
        : number_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
        if (number_ < 0) throw unreadable(file, std::strerror(errno));
    }
    ~Descriptor() { ::close(number_); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int number() const noexcept { return number_; }

private:
    int number_;
};

}  // namespace

FileIdentity identify(const std::filesystem::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) throw unreadable(file, std::strerror(errno));
    return identity_of(file, status);
}

MappedFile::MappedFile(const std::filesystem::path& file) {
    const Descriptor descriptor(file);
    struct stat status {};
    if (::fstat(descriptor.number(), &status) != 0) throw unreadable(file, std::strerror(errno));
    const std::size_t size = identity_of(file, status).size;
    if (size == 0) return;
    void* const mapping = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.number(), 0);
    if (mapping == MAP_FAILED) throw unreadable(file, std::strerror(errno));
    data_ = static_cast<const std::byte*>(mapping);
    size_ = size;
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
