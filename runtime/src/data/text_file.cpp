// Lines of a mapped text, and numbers in them.
#include "data/text_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>

namespace slidekit::data {

TextFile::TextFile(const std::filesystem::path& file)
    : name_(file.string()),
      mapping_(file),
      rest_(reinterpret_cast<const char*>(mapping_.bytes().data()), mapping_.bytes().size()) {}

bool TextFile::next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number_;
    return true;
}

void TextFile::fail(const std::string& what) const {
    throw Error(ErrorCode::input, fmt::format("{}:{}", name_, number_), what);
}

void TextFile::fail_file(const std::string& what) const {
    throw Error(ErrorCode::input, name_, what);
}

bool parse_finite(std::string_view text, float& value) {
    double wide = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wide);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    if (!(std::abs(wide) <= static_cast<double>(std::numeric_limits<float>::max()))) return false;
    value = static_cast<float>(wide);
    return true;
}

}  // namespace slidekit::data
