// Lines of a text, plain or gzip.
//
// zlib's reader passes a file that is not compressed through as it is, so one path serves both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <zlib.h>

namespace slidekit::data {

/// One line after the other, without their ends; LF or CRLF, the last may lack it. Holds a block
/// and a line, whatever the text's size. Throws Error (input) naming file, line and remedy.
class TextLines {
public:
    explicit TextLines(const std::filesystem::path& file);
    ~TextLines() { ::gzclose_r(file_); }
    TextLines(const TextLines&) = delete;
    TextLines& operator=(const TextLines&) = delete;

    /// False at the end of the text. The line lasts until the next call.
    bool next(std::string_view& line);

    /// Lines given so far: the number of the last.
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

    /// Of the line that next() gave: what is wrong with it.
    [[noreturn]] void fail(const std::string& what) const;
    [[noreturn]] void fail_file(const std::string& what) const;

private:
    std::string_view take(std::size_t end, std::size_t next);
    bool fill();

    std::string name_;
    gzFile file_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::uint64_t number_ = 0;
};

}  // namespace slidekit::data
