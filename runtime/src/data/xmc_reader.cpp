// The XMC text reader: points from lines.
//
// Nothing is reserved by what the header says: arrays grow with what is really there.
#include "data/xmc_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <slidekit/data/streamed_points.hpp>

#include "data/printable.hpp"

namespace slidekit::data {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool ends_label(char c) { return is_blank(c) || c == ','; }

std::string_view token_at(const char* at, const char* end) {
    return {at, static_cast<std::size_t>(std::find_if(at, end, ends_label) - at)};
}

// A whole number below `bound`, from `at` on; moves `at` behind it.
std::uint32_t parse_id(const TextLines& lines,
                       const char*& at,
                       const char* end,
                       std::uint32_t bound,
                       const char* what,
                       const char* remark = "") {
    const char* const begin = at;
    std::uint64_t value = 0;
    for (; at != end && *at >= '0' && *at <= '9'; ++at) {
        value = value * 10 + static_cast<std::uint64_t>(*at - '0');
        if (value > std::numeric_limits<std::uint32_t>::max()) {
            lines.fail(fmt::format("{} {} does not fit 32 bits; ids count from 0 to {}",
                                   what,
                                   in_quotes(token_at(begin, end)),
                                   bound - 1));
        }
    }
    if (at == begin) {
        lines.fail(fmt::format("{} expected, found {}; ids are whole numbers from 0 to {}",
                               what,
                               in_quotes(token_at(begin, end)),
                               bound - 1));
    }
    if (value >= bound) {
        lines.fail(fmt::format("{} {} out of range, the header says {} {}s (0..{}){}",
                               what,
                               value,
                               bound,
                               what,
                               bound - 1,
                               remark));
    }
    return static_cast<std::uint32_t>(value);
}

// A finite number of either sign: negative values are as good as others, negative ids are not.
float parse_value(const TextLines& lines,
                  const char*& at,
                  const char* end,
                  bool (*is_end)(char),
                  const char* what) {
    float value = 0;
    auto [next, error] = std::from_chars(at, end, value);
    if (error == std::errc::result_out_of_range) {
        // Too small is 0, as rounding has it; too large is refused below.
        long double wide = std::numeric_limits<long double>::infinity();
        next = std::from_chars(at, end, wide).ptr;
        if (std::abs(wide) < 1) {
            value = 0;
            error = std::errc();
        }
    }
    const bool whole = next == end || is_end(*next);
    if (error != std::errc() || !whole || !std::isfinite(value)) {
        lines.fail(
            fmt::format("{} value {} is no finite number of 32 bits; write it like 0.25 or 1e-3",
                        what,
                        in_quotes(token_at(at, end))));
    }
    at = next;
    return value;
}

PointShape read_header(TextLines& lines, std::uint64_t file_bytes) {
    std::string_view line;
    if (!lines.next(line))
        lines.fail_file("is empty; the first line has to be `points features labels`");
    const char* at = line.data();
    const char* const end = at + line.size();
    std::array<std::uint32_t, 3> counts{};
    for (std::uint32_t& count : counts) {
        while (at != end && *at == ' ') ++at;
        const auto [next, error] = std::from_chars(at, end, count);
        if (error != std::errc() || count == 0 || count > kLargestCount ||
            (next != end && *next != ' ')) {
            lines.fail(
                fmt::format("the header is `points features labels`, three numbers from 1 to {}; "
                            "found {} in {}",
                            kLargestCount,
                            in_quotes(token_at(at, end)),
                            in_quotes(line)));
        }
        at = next;
    }
    while (at != end && *at == ' ') ++at;
    if (at != end)
        lines.fail(fmt::format("the header is `points features labels`; found {} behind it",
                               in_quotes(token_at(at, end))));
    // A point takes a byte at least; of a compressed text, more than a thousandth of one.
    constexpr std::uint64_t kMostCompression = 1100;
    if (counts[0] > file_bytes * kMostCompression) {
        lines.fail(
            fmt::format("the header says {} points, but the file has {} bytes; it is cut off, or "
                        "the header is wrong",
                        counts[0],
                        file_bytes));
    }
    return {.points = counts[0], .features = counts[1], .labels = counts[2]};
}

// Both are ascending in most files; a file in another order gives the same data set.
void sort_labels(const TextLines& lines, PointArrays& arrays, std::size_t begin) {
    std::vector<std::uint32_t>& ids = arrays.label_ids;
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(begin);
    if (std::adjacent_find(first, ids.end(), std::greater_equal<>()) == ids.end()) return;
    if (!arrays.valued) {
        std::sort(first, ids.end());
        ids.erase(std::unique(first, ids.end()), ids.end());
        return;
    }
    std::vector<std::pair<std::uint32_t, float>> pairs(ids.size() - begin);
    for (std::size_t i = 0; i < pairs.size(); ++i)
        pairs[i] = {ids[begin + i], arrays.label_values[begin + i]};
    std::sort(pairs.begin(), pairs.end());
    pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
    ids.resize(begin);
    arrays.label_values.resize(begin);
    for (const auto& [id, value] : pairs) {
        if (ids.size() > begin && ids.back() == id) {
            lines.fail(
                fmt::format("label {} occurs with the values {} and {} in this point; give "
                            "it once",
                            id,
                            arrays.label_values.back(),
                            value));
        }
        ids.push_back(id);
        arrays.label_values.push_back(value);
    }
}

void sort_features(const TextLines& lines, PointArrays& arrays, std::size_t begin) {
    const std::span<std::uint32_t> ids = std::span(arrays.feature_ids).subspan(begin);
    const std::span<float> values = std::span(arrays.feature_values).subspan(begin);
    if (std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) == ids.end()) return;
    std::vector<std::pair<std::uint32_t, float>> pairs(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) pairs[i] = {ids[i], values[i]};
    std::sort(
        pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (i > 0 && pairs[i].first == pairs[i - 1].first) {
            lines.fail(
                fmt::format("feature {} occurs twice in this point; give it once", pairs[i].first));
        }
        std::tie(ids[i], values[i]) = pairs[i];
    }
}

void read_labels(const TextLines& lines,
                 const PointShape& shape,
                 const char*& at,
                 const char* end,
                 PointArrays& arrays) {
    if (at == end || is_blank(*at)) return;
    // A point whose labels and blank were forgotten has a feature there.
    const bool feature = token_at(at, end).find(':') != std::string_view::npos;
    const char* const remark = feature ? "; a point without labels begins with a blank" : "";
    for (;; ++at) {
        const char* const label = at;
        arrays.label_ids.push_back(parse_id(lines, at, end, shape.labels, "label", remark));
        if (at != end && *at == ':') {
            ++at;
            arrays.valued = true;
            arrays.label_values.resize(arrays.label_ids.size() - 1, 1.0F);
            arrays.label_values.push_back(parse_value(lines, at, end, ends_label, "label"));
        }
        if (at == end || is_blank(*at)) break;
        if (*at != ',')
            lines.fail(fmt::format("label {} is no whole number", in_quotes(token_at(label, end))));
    }
}

void read_features(const TextLines& lines,
                   const PointShape& shape,
                   const char* at,
                   const char* end,
                   PointArrays& arrays) {
    for (;;) {
        while (at != end && is_blank(*at)) ++at;
        if (at == end) return;
        const char* const token = at;
        const std::uint32_t id = parse_id(lines, at, end, shape.features, "feature");
        if (at == end || *at != ':') {
            lines.fail(fmt::format("{} is no feature; write feature:value",
                                   in_quotes(token_at(token, end))));
        }
        ++at;
        arrays.feature_ids.push_back(id);
        arrays.feature_values.push_back(parse_value(lines, at, end, is_blank, "feature"));
    }
}

}  // namespace

XmcReader::XmcReader(const std::filesystem::path& file)
    : file_bytes_(identify(file).size), lines_(file), shape_(read_header(lines_, file_bytes_)) {}

bool XmcReader::next(PointArrays& arrays) {
    std::string_view line;
    if (points_ == shape_.points) {
        check_end();
        return false;
    }
    if (!lines_.next(line)) {
        lines_.fail_file(
            fmt::format("ends after {} points, but its header says {}; the file is cut off, or "
                        "the header is wrong",
                        points_,
                        shape_.points));
    }
    const char* at = line.data();
    const char* const end = at + line.size();
    read_labels(lines_, shape_, at, end, arrays);
    if (arrays.valued) arrays.label_values.resize(arrays.label_ids.size(), 1.0F);
    sort_labels(lines_, arrays, arrays.label_offsets.back());
    read_features(lines_, shape_, at, end, arrays);
    sort_features(lines_, arrays, arrays.feature_offsets.back());
    arrays.label_offsets.push_back(arrays.label_ids.size());
    arrays.feature_offsets.push_back(arrays.feature_ids.size());
    ++points_;
    return true;
}

void XmcReader::check_end() {
    std::string_view line;
    while (lines_.next(line)) {
        if (line.find_first_not_of(" \t") != std::string_view::npos) {
            lines_.fail(
                fmt::format("a point beyond the {} that the header says; correct the header, or "
                            "remove the line",
                            shape_.points));
        }
    }
}

PointArrays read_xmc(const std::filesystem::path& file, const TextSummary* known) {
    XmcReader reader(file);
    PointArrays arrays;
    if (known != nullptr) {
        arrays.feature_offsets.reserve(known->shape.points + std::size_t{1});
        arrays.label_offsets.reserve(known->shape.points + std::size_t{1});
        arrays.feature_ids.reserve(known->nnz);
        arrays.feature_values.reserve(known->nnz);
        arrays.label_ids.reserve(known->label_count);
        if (known->has_label_values) arrays.label_values.reserve(known->label_count);
    }
    arrays.features = reader.shape().features;
    arrays.labels = reader.shape().labels;
    while (reader.next(arrays)) {
    }
    return arrays;
}

}  // namespace slidekit::data
