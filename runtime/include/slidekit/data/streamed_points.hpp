// Points that are read from a text while training goes on: for sets larger than memory.
//
// Each epoch reads the text from front to back in a thread of its own. A buffer of points stands
// between the text and the batches: each draw takes a random place of it, and the next point of the
// text takes that place. So a point comes some half a buffer before to a few buffers after its turn
// in the text; a text sorted by label wants a buffer that holds many labels, or to be shuffled once
// before (shuf).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <slidekit/data/point_source.hpp>
#include <slidekit/kernels/export.hpp>

namespace slidekit::data {

/// What one pass over a text tells, and which state of the file it was.
struct TextSummary {
    PointShape shape;
    std::uint64_t nnz = 0;          // features of all points
    std::uint64_t label_count = 0;  // labels of all points
    bool has_label_values = false;  // a label has one
    std::uint64_t points_without_labels = 0;
    std::uint64_t points_without_features = 0;
    std::vector<std::uint32_t> label_counts;  // how often each label occurs
    std::uint64_t file_bytes = 0;
    std::int64_t modified_ns = 0;

    /// Bytes of these points in memory, as load_dataset() holds them.
    [[nodiscard]] SLIDEKIT_API std::uint64_t bytes() const noexcept;
};

/// Reads a text once (plain or .gz) and keeps none of its points. Throws Error (input) as
/// load_dataset() does.
[[nodiscard]] SLIDEKIT_API TextSummary summarize_text(const std::filesystem::path& file);

/// A file is read as it was when it was summed up: where its size or time has changed, or it ends
/// early, next() throws Error (input) that says so. Confined; its thread is its own.
class SLIDEKIT_API StreamedPoints final : public PointSource {
public:
    /// Requires: buffer > 0 points.
    StreamedPoints(std::filesystem::path file, TextSummary summary, std::uint32_t buffer);
    StreamedPoints(std::filesystem::path file, std::uint32_t buffer)
        : StreamedPoints(file, summarize_text(file), buffer) {}
    ~StreamedPoints() override;

    [[nodiscard]] PointShape shape() const noexcept override;
    [[nodiscard]] std::string order() const override;
    /// Points skipped are read, but not copied: some 400 MB of text a second.
    void start_epoch(std::uint64_t seed, std::uint64_t epoch, std::uint32_t skip = 0) override;
    std::uint32_t next(std::uint32_t count, Batch& batch) override;

    [[nodiscard]] const TextSummary& summary() const noexcept;
    /// About what a buffer of so many points takes, and the reading beside it.
    [[nodiscard]] static std::uint64_t bytes(const TextSummary& summary, std::uint32_t buffer);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace slidekit::data
