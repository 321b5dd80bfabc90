// Reading of predictions: strict, since a file of another data set would give numbers too.
#include <slidekit/data/predictions.hpp>

#include <algorithm>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "data/parse_finite.hpp"
#include "data/printable.hpp"
#include "data/text_lines.hpp"

namespace slidekit::data {

namespace {

class Reader {
public:
    Reader(const std::filesystem::path& file, std::uint32_t points, std::uint32_t labels)
        : text_(file), points_(points), labels_(labels), line_of_(labels) {}

    Predictions read() {
        std::string_view line;
        while (text_.next(line)) {
            if (text_.number() > points_) {
                text_.fail(fmt::format(
                    "a line beyond the {} points of the test set; give one line a point, of the "
                    "test set that was predicted",
                    points_));
            }
            read_line(line);
        }
        if (found_.offsets.size() <= points_) {
            text_.fail_file(
                fmt::format("ends after {} lines, but the test set has {} points; give one line a "
                            "point, of the test set that was predicted",
                            found_.offsets.size() - 1,
                            points_));
        }
        return std::move(found_);
    }

private:
    void read_line(std::string_view line) {
        const std::size_t begin = found_.labels.size();
        float last = 0;
        while (!line.empty()) {
            const std::size_t end = std::min(line.find(' '), line.size());
            const float score = read_item(line.substr(0, end));
            if (found_.labels.size() - begin > 1 && score > last) {
                text_.fail(fmt::format(
                    "score {:.6g} behind {:.6g}: the best label comes first; sort each line by "
                    "score, the highest first",
                    score,
                    last));
            }
            last = score;
            line.remove_prefix(end);
            if (line == " ") text_.fail("a blank at the end; write label:score label:score ...");
            if (!line.empty()) line.remove_prefix(1);
        }
        found_.most = std::max(found_.most, found_.labels.size() - begin);
        found_.offsets.push_back(found_.labels.size());
    }

    // One `label:score`.
    float read_item(std::string_view item) {
        const std::size_t colon = item.find(':');
        if (colon == std::string_view::npos)
            text_.fail(fmt::format("{} is no prediction; write label:score", in_quotes(item)));
        const std::string_view label = item.substr(0, colon);
        const std::string_view number = item.substr(colon + 1);
        std::uint32_t id = 0;
        const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), id);
        if (label.empty() || end != label.data() + label.size() ||
            error == std::errc::invalid_argument)
            text_.fail(
                fmt::format("label {} is no whole number; write label:score", in_quotes(label)));
        if (error != std::errc() || id >= labels_) {
            text_.fail(
                fmt::format("label {} out of range, the test set has {} labels (0..{}); use "
                            "files of one data set",
                            printable(label),
                            labels_,
                            labels_ - 1));
        }
        if (line_of_[id] == text_.number())
            text_.fail(fmt::format("label {} occurs twice in this line; give it once", id));
        line_of_[id] = text_.number();
        float score = 0;
        if (!parse_finite(number, score)) {
            text_.fail(
                fmt::format("score {} of label {} is no finite number; write it like 0.25 or "
                            "-1e-3",
                            in_quotes(number),
                            id));
        }
        found_.labels.push_back(id);
        return score;
    }

    TextLines text_;
    std::size_t points_;
    std::uint32_t labels_;
    std::vector<std::size_t> line_of_;  // where a label was last met
    Predictions found_;
};

}  // namespace

Predictions read_predictions(const std::filesystem::path& file,
                             std::uint32_t points,
                             std::uint32_t labels) {
    return Reader(file, points, labels).read();
}

}  // namespace slidekit::data
