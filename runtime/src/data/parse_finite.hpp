// A number of a text: all of it, and finite.
#pragma once

#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>

namespace slidekit::data {

/// The whole of `text` as a finite number of 32 bits; false where it is none.
[[nodiscard]] inline bool parse_finite(std::string_view text, float& value) {
    double wide = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wide);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    if (!(std::abs(wide) <= static_cast<double>(std::numeric_limits<float>::max()))) return false;
    value = static_cast<float>(wide);
    return true;
}

}  // namespace slidekit::data
