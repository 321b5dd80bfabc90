// Reads XMC text, plain or gzip, and refuses whatever departs from the format.
#pragma once

#include <cstdint>
#include <filesystem>

#include <slidekit/data/point_source.hpp>

#include "data/dataset_storage.hpp"
#include "data/text_lines.hpp"

namespace slidekit::data {

/// The points of a text, one after the other. Every function throws Error (input) naming file,
/// line, value and remedy. See load_dataset() for the format.
class XmcReader {
public:
    /// Reads the header.
    explicit XmcReader(const std::filesystem::path& file);

    [[nodiscard]] const PointShape& shape() const noexcept { return shape_; }
    /// Appends the next point. False once all were read and nothing but blank lines is behind them.
    bool next(PointArrays& arrays);

private:
    void check_end();

    std::uint64_t file_bytes_;
    TextLines lines_;
    PointShape shape_;
    std::uint32_t points_ = 0;
};

/// All points of a text, into arrays of the size that `known` says, or that grow.
[[nodiscard]] PointArrays read_xmc(const std::filesystem::path& file,
                                   const TextSummary* known = nullptr);

}  // namespace slidekit::data
