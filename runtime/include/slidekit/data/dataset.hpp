// A data set of sparse points with label sets, in memory or mapped from its cache file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <slidekit/kernels/export.hpp>

namespace slidekit::data {

/// Points as two CSR arrays. Offsets have points + 1 entries and begin at 0. The spans borrow from
/// the data set (or batch) that gave them.
struct PointsView {
    std::uint32_t points = 0;
    std::uint32_t features = 0;  // width of the input: feature ids are below it
    std::uint32_t labels = 0;    // width of the output: label ids are below it
    std::span<const std::uint64_t> feature_offsets;
    std::span<const std::uint32_t> feature_ids;
    std::span<const float> feature_values;
    std::span<const std::uint64_t> label_offsets;
    std::span<const std::uint32_t> label_ids;  // ascending and distinct within a point
    std::span<const float> label_values = {};  // targets, beside label_ids; empty: 1 each
    std::span<const float> weights = {};       // of the points, at least 0; empty: 1 each

    [[nodiscard]] std::span<const std::uint32_t> labels_of(std::size_t point) const noexcept {
        return label_ids.subspan(label_offsets[point],
                                 label_offsets[point + 1] - label_offsets[point]);
    }
    [[nodiscard]] std::size_t nnz_of(std::size_t point) const noexcept {
        return feature_offsets[point + 1] - feature_offsets[point];
    }
};

/// How often each label occurs, by label.
[[nodiscard]] SLIDEKIT_API std::vector<std::uint32_t> count_labels(const PointsView& points);

/// How a data set came about, for the run log and for `inspect`.
struct DatasetReport {
    std::string source;  // the text file
    std::uint64_t points_without_labels = 0;
    std::uint64_t points_without_features = 0;
    bool from_cache = false;
    std::string cache_note;  // why no cache was read or written; empty when all went well
    double seconds = 0;
};

/// Immutable once made; const access from many threads. Move-only.
class SLIDEKIT_API Dataset {
public:
    Dataset(Dataset&&) noexcept;
    Dataset& operator=(Dataset&&) noexcept;
    ~Dataset();

    [[nodiscard]] const PointsView& view() const noexcept;
    [[nodiscard]] const DatasetReport& report() const noexcept;

    struct Storage;  // the reader's and the cache's: vectors or a mapping
    explicit Dataset(std::unique_ptr<Storage> storage) noexcept;

private:
    std::unique_ptr<Storage> storage_;
};

enum class CachePolicy { use, ignore };

struct TextSummary;  // streamed_points.hpp

/// Reads XMC text (plain or .gz), or its binary cache where one beside it (FILE.cache) still agrees
/// with the text's size and modification time and with its own checksum. Writes the cache where it
/// can; a folder that cannot be written is noted, never an error.
///
/// Format: header `points features labels`; a line a point, `l1,l2 f:v f:v`; a label may carry a
/// value, `l1:v,l2:v f:v` (a target; those without have 1 where others have one); a point may have
/// no label (the line then begins with a blank) or no feature; LF or CRLF ends; features in any
/// order. Repeats of a label with one value are merged; repeats with several, or of a feature
/// within a point, are an error. Throws Error (input) naming file, line, value and remedy, for
/// every departure from it.
///
/// `known`, where the text has been summed up before: its arrays then take what they need at once,
/// rather than grow (which takes up to 2.5 times as much for a while).
[[nodiscard]] SLIDEKIT_API Dataset load_dataset(const std::filesystem::path& file,
                                                CachePolicy cache = CachePolicy::use,
                                                const TextSummary* known = nullptr);

}  // namespace slidekit::data
