// The XMC text reader: blocks from zlib, lines from blocks, points from lines.
//
// zlib's reader passes a file that is not compressed through as it is, so one path serves both.
// Nothing is reserved by what the header says: arrays grow with what is really there.
#include "data/xmc_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zlib.h>

#include <slidekit/system/error.hpp>

#include "data/printable.hpp"

namespace slidekit::data {

namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
constexpr std::size_t kLongestLineBytes = std::size_t{64} << 20;
constexpr std::uint32_t kLargestCount = 0x7fffffff;

// Lines of a text, one after the other, without their ends.
class Lines {
public:
    explicit Lines(const std::filesystem::path& file)
        : name_(file.string()), file_(::gzopen(file.c_str(), "rbe")) {
        if (file_ == nullptr) {
            throw Error(ErrorCode::input,
                        name_,
                        fmt::format("cannot be read ({}); check the name and its permissions",
                                    std::strerror(errno)));
        }
        ::gzbuffer(file_, kBlockBytes);
    }
    ~Lines() { ::gzclose_r(file_); }
    Lines(const Lines&) = delete;
    Lines& operator=(const Lines&) = delete;

    /// False at the end of the text.
    bool next(std::string_view& line) {
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

    [[noreturn]] void fail(const std::string& what) const {
        throw Error(ErrorCode::input, fmt::format("{}:{}", name_, number_), what);
    }
    [[noreturn]] void fail_file(const std::string& what) const {
        throw Error(ErrorCode::input, name_, what);
    }
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

private:
    std::string_view take(std::size_t end, std::size_t next) {
        std::string_view line(buffer_.data() + begin_, end - begin_);
        if (line.ends_with('\r')) line.remove_suffix(1);
        begin_ = next;
        ++number_;
        return line;
    }

    // Reads a block behind what is held; false where nothing is left.
    bool fill() {
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
                fmt::format("cannot be read on after line {} ({}); the file is damaged or cut off: "
                            "fetch it again",
                            number_,
                            error == Z_ERRNO ? std::strerror(errno) : message));
        }
        end_ += static_cast<std::size_t>(read);
        return read > 0;
    }

    std::string name_;
    gzFile file_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::uint64_t number_ = 0;
};

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view token_at(const char* at, const char* end) {
    return {at,
            static_cast<std::size_t>(
                std::find_if(at, end, [](char c) { return is_blank(c) || c == ','; }) - at)};
}

// A whole number below `bound`, from `at` on; moves `at` behind it.
std::uint32_t parse_id(
    const Lines& lines, const char*& at, const char* end, std::uint32_t bound, const char* what) {
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
        lines.fail(fmt::format("{} {} out of range, the header says {} {}s (0..{})",
                               what,
                               value,
                               bound,
                               what,
                               bound - 1));
    }
    return static_cast<std::uint32_t>(value);
}

// A finite number of either sign: negative values are as good as others, negative ids are not.
float parse_value(const Lines& lines, const char*& at, const char* end) {
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
    const bool whole = next == end || is_blank(*next);
    if (error != std::errc() || !whole || !std::isfinite(value)) {
        lines.fail(fmt::format(
            "feature value {} is no finite number of 32 bits; write it like 0.25 or 1e-3",
            in_quotes(token_at(at, end))));
    }
    at = next;
    return value;
}

struct Header {
    std::uint32_t points = 0;
    std::uint32_t features = 0;
    std::uint32_t labels = 0;
};

Header read_header(Lines& lines, std::uint64_t file_bytes) {
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
    return {counts[0], counts[1], counts[2]};
}

// Both are ascending in most files; a file in another order gives the same data set.
void sort_labels(std::vector<std::uint32_t>& ids, std::size_t begin) {
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(begin);
    if (std::adjacent_find(first, ids.end(), std::greater_equal<>()) == ids.end()) return;
    std::sort(first, ids.end());
    ids.erase(std::unique(first, ids.end()), ids.end());
}

void sort_features(const Lines& lines, PointArrays& arrays, std::size_t begin) {
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

void read_labels(const Lines& lines,
                 const Header& header,
                 const char*& at,
                 const char* end,
                 PointArrays& arrays) {
    if (at == end || is_blank(*at)) return;
    const std::string_view first = token_at(at, end);
    if (first.find(':') != std::string_view::npos) {
        lines.fail(
            fmt::format("label expected, found {}; a point without labels begins with a blank",
                        in_quotes(first)));
    }
    for (;;) {
        const char* const label = at;
        arrays.label_ids.push_back(parse_id(lines, at, end, header.labels, "label"));
        if (at == end || is_blank(*at)) return;
        if (*at != ',')
            lines.fail(fmt::format("label {} is no whole number", in_quotes(token_at(label, end))));
        ++at;
    }
}

void read_features(const Lines& lines,
                   const Header& header,
                   const char* at,
                   const char* end,
                   PointArrays& arrays) {
    for (;;) {
        while (at != end && is_blank(*at)) ++at;
        if (at == end) return;
        const char* const token = at;
        const std::uint32_t id = parse_id(lines, at, end, header.features, "feature");
        if (at == end || *at != ':') {
            lines.fail(fmt::format("{} is no feature; write feature:value",
                                   in_quotes(token_at(token, end))));
        }
        ++at;
        arrays.feature_ids.push_back(id);
        arrays.feature_values.push_back(parse_value(lines, at, end));
    }
}

}  // namespace

PointArrays read_xmc(const std::filesystem::path& file) {
    const FileIdentity identity = identify(file);
    Lines lines(file);
    const Header header = read_header(lines, identity.size);
    PointArrays arrays;
    arrays.features = header.features;
    arrays.labels = header.labels;
    std::string_view line;
    for (std::uint32_t point = 0; point < header.points; ++point) {
        if (!lines.next(line)) {
            lines.fail_file(
                fmt::format("ends after {} points, but its header says {}; the file is cut off, or "
                            "the header is wrong",
                            point,
                            header.points));
        }
        const char* at = line.data();
        const char* const end = at + line.size();
        read_labels(lines, header, at, end, arrays);
        sort_labels(arrays.label_ids, arrays.label_offsets.back());
        read_features(lines, header, at, end, arrays);
        sort_features(lines, arrays, arrays.feature_offsets.back());
        arrays.label_offsets.push_back(arrays.label_ids.size());
        arrays.feature_offsets.push_back(arrays.feature_ids.size());
    }
    while (lines.next(line)) {
        if (line.find_first_not_of(" \t") != std::string_view::npos) {
            lines.fail(
                fmt::format("a point beyond the {} that the header says; correct the header, or "
                            "remove the line",
                            header.points));
        }
    }
    return arrays;
}

}  // namespace slidekit::data
