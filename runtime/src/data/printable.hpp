// Pieces of a file as a message shows them.
//
// Files are hostile: a NUL would end the message before its remedy, an escape sequence would reach
// the terminal, a line break would make two lines of one. What is not printable ASCII is spelt out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slidekit::data {

/// The first 40 bytes, spelt out; "..." stands for the rest.
[[nodiscard]] inline std::string printable(std::string_view bytes) {
    constexpr std::size_t kMost = 40;
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const char byte : bytes.substr(0, kMost)) {
        const auto code = static_cast<std::uint8_t>(byte);
        if (byte == '\t') {
            text += "\\t";
        } else if (code < 0x20 || code >= 0x7f) {
            text += "\\x";
            text += kDigits[code >> 4];
            text += kDigits[code & 15];
        } else {
            text += byte;
        }
    }
    return bytes.size() <= kMost ? text : text + "...";
}

[[nodiscard]] inline std::string in_quotes(std::string_view bytes) {
    return '"' + printable(bytes) + '"';
}

}  // namespace slidekit::data
