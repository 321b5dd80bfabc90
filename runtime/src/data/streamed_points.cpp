// The shuffle buffer between a text and its batches; see the header.
#include <slidekit/data/streamed_points.hpp>

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

#include "data/mapped_file.hpp"
#include "data/packed_point.hpp"
#include "data/read_ahead.hpp"
#include "data/xmc_reader.hpp"

namespace slidekit::data {

namespace {

// A piece is full at either: points are many small ones in one text, few large ones in another.
constexpr std::size_t kPiecePoints = 512;
constexpr std::size_t kPieceNumbers = std::size_t{1} << 17;

/// Empties for the next points; memory is kept.
void clear(PointArrays& arrays, bool valued) {
    arrays.label_offsets.resize(1);
    arrays.feature_offsets.resize(1);
    arrays.label_ids.clear();
    arrays.label_values.clear();
    arrays.feature_ids.clear();
    arrays.feature_values.clear();
    arrays.valued = valued;
}

/// One epoch of one text, from the thread that reads it.
class Epoch {
public:
    Epoch(const std::filesystem::path& file,
          const TextSummary& summary,
          std::uint32_t buffer,
          ReadAhead& ahead)
        : file_(file),
          summary_(summary),
          ahead_(ahead),
          buffer_(std::min(buffer, summary.shape.points)) {
        piece_.valued = summary.has_label_values;
    }

    void run(system::Stream stream, std::uint32_t skip) {
        check_unchanged();
        try {
            shuffle(stream, skip);
        } catch (const Error&) {
            check_unchanged();  // the better reason
            throw;
        }
    }

private:
    void shuffle(system::Stream stream, std::uint32_t skip) {
        XmcReader reader(file_);
        if (reader.shape() != summary_.shape) changed();
        std::vector<PackedPoint> held;
        for (std::optional<PackedPoint> point; held.size() < buffer_ && (point = read(reader));)
            held.push_back(*std::move(point));
        while (!held.empty()) {
            PackedPoint& drawn = held[stream.below(static_cast<std::uint32_t>(held.size()))];
            if (skip > 0) {
                --skip;
            } else {
                drawn.append_to(piece_);
                if (is_full(piece_) && !hand_over()) return;
            }
            if (std::optional<PackedPoint> point = read(reader)) {
                drawn = *std::move(point);
            } else {
                drawn = std::move(held.back());
                held.pop_back();
            }
        }
        if (piece_.label_offsets.size() > 1) (void)hand_over();
    }

    std::optional<PackedPoint> read(XmcReader& reader) {
        if (ended_ || ahead_.stopped()) return std::nullopt;
        clear(line_, summary_.has_label_values);
        if (reader.next(line_)) return PackedPoint(line_);
        ended_ = true;
        check_unchanged();  // else the points that were read are of two states
        return std::nullopt;
    }

    static bool is_full(const PointArrays& piece) {
        return piece.label_offsets.size() > kPiecePoints ||
               piece.feature_ids.size() + piece.label_ids.size() >= kPieceNumbers;
    }

    bool hand_over() {
        piece_.features = summary_.shape.features;
        piece_.labels = summary_.shape.labels;
        const bool go_on = ahead_.put(std::move(piece_));
        piece_ = {};
        piece_.valued = summary_.has_label_values;
        return go_on;
    }

    void check_unchanged() const {
        if (identify(file_) != FileIdentity{summary_.file_bytes, summary_.modified_ns}) changed();
    }
    [[noreturn]] void changed() const {
        throw Error(ErrorCode::input,
                    file_.string(),
                    "has changed since this run read it first, and is not read on; start again, "
                    "and leave the file as it is while it is streamed");
    }

    const std::filesystem::path& file_;
    const TextSummary& summary_;
    ReadAhead& ahead_;
    std::uint32_t buffer_;
    bool ended_ = false;
    PointArrays line_;
    PointArrays piece_;
};

}  // namespace

std::uint64_t TextSummary::bytes() const noexcept {
    return 2 * (std::uint64_t{shape.points} + 1) * sizeof(std::uint64_t) +
           nnz * (sizeof(std::uint32_t) + sizeof(float)) +
           label_count * (sizeof(std::uint32_t) + (has_label_values ? sizeof(float) : 0));
}

TextSummary summarize_text(const std::filesystem::path& file) {
    const FileIdentity identity = identify(file);
    XmcReader reader(file);
    TextSummary summary;
    summary.shape = reader.shape();
    summary.file_bytes = identity.size;
    summary.modified_ns = identity.modified_ns;
    summary.label_counts.resize(summary.shape.labels);
    PointArrays line;
    for (clear(line, false); reader.next(line); clear(line, false)) {
        summary.nnz += line.feature_ids.size();
        summary.label_count += line.label_ids.size();
        summary.has_label_values |= line.valued;
        summary.points_without_labels += line.label_ids.empty() ? 1 : 0;
        summary.points_without_features += line.feature_ids.empty() ? 1 : 0;
        for (const std::uint32_t label : line.label_ids) ++summary.label_counts[label];
    }
    return summary;
}

struct StreamedPoints::State {
    std::filesystem::path file;
    TextSummary summary;
    std::uint32_t buffer;
    std::optional<PointArrays> piece;
    std::size_t at = 0;  // the piece's next point
    std::optional<ReadAhead> reading;
};

StreamedPoints::StreamedPoints(std::filesystem::path file,
                               TextSummary summary,
                               std::uint32_t buffer)
    : state_(new State{.file = std::move(file),
                       .summary = std::move(summary),
                       .buffer = buffer,
                       .piece = std::nullopt,
                       .reading = std::nullopt}) {}

StreamedPoints::~StreamedPoints() = default;

PointShape StreamedPoints::shape() const noexcept { return state_->summary.shape; }
const TextSummary& StreamedPoints::summary() const noexcept { return state_->summary; }

std::string StreamedPoints::order() const {
    return fmt::format("streamed by a shuffle buffer of {} points",
                       std::min(state_->buffer, shape().points));
}

void StreamedPoints::start_epoch(std::uint64_t seed, std::uint64_t epoch, std::uint32_t skip) {
    State& state = *state_;
    state.piece.reset();
    state.reading.reset();
    state.reading.emplace([&state, seed, epoch, skip](ReadAhead& ahead) {
        Epoch(state.file, state.summary, state.buffer, ahead)
            .run(system::Stream(seed, system::Purpose::shuffle, epoch), skip);
    });
}

std::uint32_t StreamedPoints::next(std::uint32_t count, Batch& batch) {
    State& state = *state_;
    batch.clear(state.summary.shape.features, state.summary.shape.labels);
    while (state.reading && batch.size() < count) {
        if (!state.piece) {
            state.piece = state.reading->take();
            state.at = 0;
            if (!state.piece) break;
        }
        const PointsView view = state.piece->view();
        const std::size_t end = std::min<std::size_t>(view.points, state.at + count - batch.size());
        while (state.at < end) batch.append(view, state.at++);
        if (state.at == view.points) state.piece.reset();
    }
    return batch.size();
}

std::uint64_t StreamedPoints::bytes(const TextSummary& summary, std::uint32_t buffer) {
    // A block's header and rounding; the reader's and zlib's blocks, and the pieces that wait.
    constexpr double kBytesPerBlock = 32;
    constexpr std::uint64_t kReading = std::uint64_t{24} << 20;
    const double points = summary.shape.points;
    const double words =
        2 + 2 * static_cast<double>(summary.nnz) / points +
        (summary.has_label_values ? 2 : 1) * static_cast<double>(summary.label_count) / points;
    const double held = std::min<double>(buffer, points);
    return kReading + static_cast<std::uint64_t>(held * (4 * words + kBytesPerBlock));
}

}  // namespace slidekit::data
