// The cache file: a header of fixed size, then the arrays, each on a 64-byte boundary.
//
// It is tied to its text by size and modification time, and to itself by a checksum of everything,
// so that a torn or foreign file is noticed before a number of it is used. A checksum can be right
// and the numbers wrong (another program's cache, one that came with a download): offsets,
// ids and values are looked at as well, because nothing behind the loader checks them again.
#include "data/dataset_cache.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>

#include <slidekit/data/atomic_file.hpp>
#include <slidekit/system/error.hpp>

#include "data/checksum.hpp"

namespace slidekit::data {

namespace {

constexpr std::array<char, 8> kMagic = {'S', 'L', 'K', 'C', 'A', 'C', 'H', 'E'};
constexpr std::uint64_t kVersion = 2;
constexpr std::size_t kArrayAlignment = 64;

struct Header {
    std::array<char, 8> magic = kMagic;
    std::uint64_t version = kVersion;
    FileIdentity source;
    std::uint64_t points = 0;
    std::uint64_t features = 0;
    std::uint64_t labels = 0;
    std::uint64_t nnz = 0;
    std::uint64_t label_count = 0;
    std::uint64_t label_value_count = 0;  // label_count, or 0 where no label has a value
    std::uint64_t points_without_labels = 0;
    std::uint64_t points_without_features = 0;
    std::uint64_t payload_sum = 0;
    std::uint64_t header_sum = 0;  // of all fields before it
    std::array<std::uint64_t, 2> unused{};
};
static_assert(sizeof(Header) % kArrayAlignment == 0);

std::uint64_t header_checksum(const Header& header) {
    return checksum(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, header_sum)));
}

constexpr std::size_t aligned(std::size_t bytes) {
    return (bytes + kArrayAlignment - 1) / kArrayAlignment * kArrayAlignment;
}

// Bytes of the arrays, in the order of the file.
std::array<std::size_t, 6> array_bytes(const Header& header) {
    return {(header.points + 1) * sizeof(std::uint64_t),
            (header.points + 1) * sizeof(std::uint64_t),
            header.nnz * sizeof(std::uint32_t),
            header.nnz * sizeof(float),
            header.label_count * sizeof(std::uint32_t),
            header.label_value_count * sizeof(float)};
}

std::size_t payload_bytes(const Header& header) {
    std::size_t total = 0;
    for (const std::size_t bytes : array_bytes(header)) total += aligned(bytes);
    return total;
}

// Counts that a file of `bytes` bytes could hold, so that sums of them cannot overflow.
bool plausible(const Header& header, std::size_t bytes) {
    const auto is_width = [](std::uint64_t count) { return count > 0 && count <= kLargestCount; };
    return is_width(header.points) && is_width(header.features) && is_width(header.labels) &&
           header.points < bytes && header.nnz < bytes && header.label_count < bytes &&
           (header.label_value_count == 0 || header.label_value_count == header.label_count) &&
           sizeof(Header) + payload_bytes(header) == bytes;
}

// Rows that lie one after the other and hold ascending, distinct ids below `bound`, as the reader
// makes them.
bool is_csr(std::span<const std::uint64_t> offsets,
            std::span<const std::uint32_t> ids,
            std::uint32_t bound) {
    if (offsets.front() != 0 || offsets.back() != ids.size()) return false;
    for (std::size_t row = 0; row + 1 < offsets.size(); ++row) {
        const std::uint64_t begin = offsets[row];
        const std::uint64_t end = offsets[row + 1];
        if (begin > end || end > ids.size()) return false;
        if (begin == end) continue;
        bool ascending = true;  // no way out of the loop, so that it runs in vectors
        for (std::uint64_t i = begin + 1; i < end; ++i) ascending &= ids[i - 1] < ids[i];
        if (!ascending || ids[end - 1] >= bound) return false;
    }
    return true;
}

bool all_finite(std::span<const float> values) {
    bool finite = true;
    for (const float value : values) finite &= std::abs(value) <= std::numeric_limits<float>::max();
    return finite;
}

// Hands the payload to `consume` in pieces, from where the arrays are: a copy of the whole would
// double what a load needs.
template <class Consume>
void for_each_piece(const PointsView& view, Consume&& consume) {
    const std::array<std::span<const std::byte>, 6> arrays = {std::as_bytes(view.feature_offsets),
                                                              std::as_bytes(view.label_offsets),
                                                              std::as_bytes(view.feature_ids),
                                                              std::as_bytes(view.feature_values),
                                                              std::as_bytes(view.label_ids),
                                                              std::as_bytes(view.label_values)};
    for (const std::span<const std::byte> array : arrays) {
        const std::size_t whole = array.size() / kArrayAlignment * kArrayAlignment;
        consume(array.first(whole));
        if (whole == array.size()) continue;
        std::array<std::byte, kArrayAlignment> padded{};
        std::copy(array.begin() + static_cast<std::ptrdiff_t>(whole), array.end(), padded.begin());
        consume(std::span<const std::byte>(padded));
    }
}

template <class T>
std::span<const T> take(std::span<const std::byte>& bytes, std::size_t count) {
    const std::span<const T> array{reinterpret_cast<const T*>(bytes.data()), count};
    bytes = bytes.subspan(aligned(count * sizeof(T)));
    return array;
}

}  // namespace

std::filesystem::path cache_of(const std::filesystem::path& file) {
    std::filesystem::path cache = file;
    cache += ".cache";
    return cache;
}

std::unique_ptr<Dataset::Storage> read_cache(const std::filesystem::path& file,
                                             const FileIdentity& source,
                                             std::string& why) {
    const std::filesystem::path name = cache_of(file);
    std::error_code unknown;
    if (!std::filesystem::is_regular_file(name, unknown)) return nullptr;
    auto storage = std::make_unique<Dataset::Storage>();
    storage->mapping = MappedFile(name);
    const std::span<const std::byte> bytes = storage->mapping.bytes();
    Header header;
    if (bytes.size() < sizeof(Header)) {
        why = "its cache is cut off and was made anew";
        return nullptr;
    }
    std::memcpy(&header, bytes.data(), sizeof(Header));
    if (header.magic != kMagic || header.version != kVersion) {
        why = "its cache is of another kind or version and was made anew";
        return nullptr;
    }
    constexpr const char* kDamaged = "its cache is damaged and was made anew";
    if (header.header_sum != header_checksum(header) || !plausible(header, bytes.size())) {
        why = kDamaged;
        return nullptr;
    }
    if (header.source != source) return nullptr;  // the text has changed: nothing to remark
    if (header.payload_sum != checksum(bytes.subspan(sizeof(Header)))) {
        why = kDamaged;
        return nullptr;
    }

    std::span<const std::byte> rest = bytes.subspan(sizeof(Header));
    PointsView& view = storage->view;
    view.points = static_cast<std::uint32_t>(header.points);
    view.features = static_cast<std::uint32_t>(header.features);
    view.labels = static_cast<std::uint32_t>(header.labels);
    view.feature_offsets = take<std::uint64_t>(rest, header.points + 1);
    view.label_offsets = take<std::uint64_t>(rest, header.points + 1);
    view.feature_ids = take<std::uint32_t>(rest, header.nnz);
    view.feature_values = take<float>(rest, header.nnz);
    view.label_ids = take<std::uint32_t>(rest, header.label_count);
    view.label_values = take<float>(rest, header.label_value_count);
    if (!is_csr(view.feature_offsets, view.feature_ids, view.features) ||
        !is_csr(view.label_offsets, view.label_ids, view.labels) ||
        !all_finite(view.feature_values) || !all_finite(view.label_values)) {
        why = kDamaged;
        return nullptr;
    }
    storage->report.points_without_labels = header.points_without_labels;
    storage->report.points_without_features = header.points_without_features;
    storage->report.from_cache = true;
    return storage;
}

void write_cache(const std::filesystem::path& file,
                 const FileIdentity& source,
                 const Dataset::Storage& storage) {
    const PointsView& view = storage.view;
    Checksum payload;
    for_each_piece(view, [&](std::span<const std::byte> piece) { payload.add(piece); });
    Header header;
    header.source = source;
    header.points = view.points;
    header.features = view.features;
    header.labels = view.labels;
    header.nnz = view.feature_ids.size();
    header.label_count = view.label_ids.size();
    header.label_value_count = view.label_values.size();
    header.points_without_labels = storage.report.points_without_labels;
    header.points_without_features = storage.report.points_without_features;
    header.payload_sum = payload.sum();
    header.header_sum = header_checksum(header);
    AtomicFile out(cache_of(file));
    out.write(&header, sizeof(header));
    for_each_piece(
        view, [&](std::span<const std::byte> piece) { out.write(piece.data(), piece.size()); });
    out.commit();
}

}  // namespace slidekit::data
