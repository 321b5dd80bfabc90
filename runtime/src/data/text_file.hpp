// A plain text mapped for reading, line by line; failures name file and line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "data/mapped_file.hpp"

namespace slidekit::data {

/// Confined to a thread. Throws Error (input).
class TextFile {
public:
    explicit TextFile(const std::filesystem::path& file);

    /// The next line without its end, LF or CRLF, which the last may lack; false after it.
    bool next(std::string_view& line);
    /// Lines given so far: the number of the last.
    [[nodiscard]] std::size_t number() const noexcept { return number_; }

    [[noreturn]] void fail(const std::string& what) const;       // at the last line
    [[noreturn]] void fail_file(const std::string& what) const;  // as a whole

private:
    std::string name_;
    MappedFile mapping_;
    std::string_view rest_;
    std::size_t number_ = 0;
};

/// The whole of `text` as a finite number of 32 bits.
[[nodiscard]] bool parse_finite(std::string_view text, float& value);

}  // namespace slidekit::data
