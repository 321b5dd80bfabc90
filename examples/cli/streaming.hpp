// Training data in memory or streamed, and what a run will take of memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <slidekit/data/streamed_points.hpp>
#include <slidekit/train/run_fields.hpp>

#include "train_options.hpp"
#include "training_set.hpp"

namespace slidekit::cli {

/// The training set of a run, one of the two. Throws what loading and the first pass over a text
/// throw, Error (memory) where the points have to be in memory and do not fit, Error (usage) where
/// an option asks for both.
class TrainingData {
public:
    explicit TrainingData(const TrainOptions& options);

    /// Of points that are streamed: the counts alone, all arrays empty.
    [[nodiscard]] const data::PointsView& points() const noexcept { return points_; }
    [[nodiscard]] data::PointSource& source() noexcept { return *source_; }
    /// How often each label occurs.
    [[nodiscard]] const std::vector<std::uint32_t>& label_counts() const noexcept {
        return counts_;
    }
    /// What --validation holds out; no points without it.
    [[nodiscard]] data::PointsView validation() const;
    /// What a checkpoint knows the data by: of streamed points, their labels' counts.
    [[nodiscard]] train::Fields data_fields() const;
    [[nodiscard]] std::uint64_t buffer_bytes() const noexcept { return buffer_bytes_; }

private:
    std::string summarize(const TrainOptions& options);
    void stream(const TrainOptions& options, const std::string& misfit);

    std::optional<data::TextSummary> summary_;
    double pass_seconds_ = 0;
    std::optional<TrainingSet> set_;
    data::PointsView points_;
    std::unique_ptr<data::PointSource> source_;
    std::vector<std::uint32_t> counts_;  // by label
    std::uint64_t buffer_bytes_ = 0;
};

/// Bytes of a run, before its network is made.
struct MemoryEstimate {
    std::uint64_t network = 0;         // weights, moments, tables, a step's scratch
    std::uint64_t data = 0;            // points in memory, which are there by now
    std::uint64_t shuffle_buffer = 0;  // with the reading of the text
    std::uint64_t available = 0;       // beside what is there
};
[[nodiscard]] MemoryEstimate estimate_memory(std::uint64_t network,
                                             const TrainingData& train,
                                             const data::PointsView& test);
/// Throws Error (memory) with the figures and the remedy where it cannot fit.
void check_memory(const MemoryEstimate& estimate);
[[nodiscard]] std::string memory_text(const MemoryEstimate& estimate);
[[nodiscard]] nlohmann::ordered_json memory_json(const MemoryEstimate& estimate);

}  // namespace slidekit::cli
