// Blocks from zlib, lines from blocks.
#include "data/text_lines.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>

#include "data/mapped_file.hpp"

namespace slidekit::data {

namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
constexpr std::size_t kLongestLineBytes = std::size_t{64} << 20;

gzFile open_text(const std::filesystem::path& file) {
    (void)identify(file);  // refuses a folder, which can be opened, and a pipe
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return nullptr;
    // Read ahead further; what is read stays in the page cache as long as others leave it there.
    (void)::posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    const gzFile opened = ::gzdopen(descriptor, "rb");
    if (opened == nullptr) ::close(descriptor);
    return opened;
}

}  // namespace

TextLines::TextLines(const std::filesystem::path& file)
    : name_(file.string()), file_(open_text(file)) {
    if (file_ == nullptr) {
        fail_file(fmt::format("cannot be read ({}); check the name and its permissions",
                              std::strerror(errno)));
    }
    ::gzbuffer(file_, kBlockBytes);
}

bool TextLines::next(std::string_view& line) {
    std::size_t searched = begin_;
    for (;;) {
        const void* found = end_ == searched
                                ? nullptr
                                : std::memchr(buffer_.data() + searched, '\n', end_ - searched);
        if (found != nullptr) {
            const auto at =
                static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
            line = take(at, at + 1);
            return true;
        }
        const std::size_t held = end_ - begin_;
        if (held > kLongestLineBytes) {
            ++number_;
            fail(fmt::format("a line of more than {} MiB; is this XMC text, one point a line?",
                             kLongestLineBytes >> 20));
        }
        if (!fill()) {
            if (held == 0) return false;
            line = take(end_, end_);  // the last line may lack its end
            return true;
        }
        searched = begin_ + held;
    }
}

void TextLines::fail(const std::string& what) const {
    throw Error(ErrorCode::input, fmt::format("{}:{}", name_, number_), what);
}

void TextLines::fail_file(const std::string& what) const {
    throw Error(ErrorCode::input, name_, what);
}

std::string_view TextLines::take(std::size_t end, std::size_t next) {
    std::string_view line(buffer_.data() + begin_, end - begin_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin_ = next;
    ++number_;
    return line;
}

// Reads a block behind what is held; false where nothing is left.
bool TextLines::fill() {
    if (begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() < end_ + kBlockBytes)
        buffer_.resize(std::max(end_ + kBlockBytes, 2 * buffer_.size()));
    const int read = ::gzread(file_, buffer_.data() + end_, kBlockBytes);
    int error = Z_OK;
    const char* const message = ::gzerror(file_, &error);
    if (read < 0 || error == Z_BUF_ERROR) {
        fail_file(
            fmt::format("cannot be read on after line {} ({}); the file is damaged or cut "
                        "off: fetch it again",
                        number_,
                        error == Z_ERRNO ? std::strerror(errno) : message));
    }
    end_ += static_cast<std::size_t>(read);
    return read > 0;
}

}  // namespace slidekit::data
