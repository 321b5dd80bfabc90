// Reading of weights: nothing is assumed of the text but that it is one.
#include <slidekit/data/point_weights.hpp>

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "data/parse_finite.hpp"
#include "data/printable.hpp"
#include "data/text_lines.hpp"

namespace slidekit::data {

namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view trimmed(std::string_view line) {
    const std::size_t begin = std::min(line.find_first_not_of(kBlanks), line.size());
    line.remove_prefix(begin);
    return line.substr(0, line.find_last_not_of(kBlanks) + 1);
}

}  // namespace

std::vector<float> read_point_weights(const std::filesystem::path& file, std::uint32_t points) {
    TextLines text(file);
    std::vector<float> weights;
    std::string_view line;
    while (text.next(line)) {
        const std::string_view token = trimmed(line);
        if (weights.size() == points) {
            if (token.empty()) continue;  // blank lines at the end
            text.fail(fmt::format(
                "a weight beyond the {} points of the training set; give one a point", points));
        }
        float weight = 0;
        if (!parse_finite(token, weight) || weight < 0) {
            text.fail(fmt::format(
                "{} is no weight; give one finite number of at least 0 a line, 1 for the usual",
                in_quotes(token)));
        }
        weights.push_back(weight);
    }
    if (weights.size() < points) {
        text.fail_file(
            fmt::format("ends after {} weights, but the training set has {} points; give "
                        "one a point",
                        weights.size(),
                        points));
    }
    if (std::all_of(weights.begin(), weights.end(), [](float weight) { return weight == 0; }))
        text.fail_file("all weights are 0: nothing to learn from; give some point more");
    return weights;
}

}  // namespace slidekit::data
