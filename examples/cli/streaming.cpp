// The choice between memory and streaming; see the header.
#include "streaming.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include <fmt/core.h>

#include <slidekit/system/error.hpp>
#include <slidekit/system/region.hpp>

namespace slidekit::cli {

namespace {

/// Bytes that a text's points take in memory at most, by its size alone; 0 where it is missing,
/// which loading will say. A point takes 16 bytes and its line one at least, a feature 8 and 4, and
/// arrays that grow are there twice for a while; texts compress to a third, seldom to a tenth.
std::uint64_t most_bytes(const std::string& file) {
    std::error_code missing;
    const std::uint64_t bytes = std::filesystem::file_size(file, missing);
    if (missing) return 0;
    return bytes * (std::string_view(file).ends_with(".gz") ? 50 : 5);
}

std::uint64_t bytes_of(const data::PointsView& points) {
    return points.feature_offsets.size_bytes() + points.feature_ids.size_bytes() +
           points.feature_values.size_bytes() + points.label_offsets.size_bytes() +
           points.label_ids.size_bytes() + points.label_values.size_bytes() +
           points.weights.size_bytes();
}

/// An option that was given and needs all points at once; null where there is none.
const char* needs_memory(const TrainOptions& options) {
    for (const char* flag : {"--validation", "--sample-weights"}) {
        if (std::find(options.given.begin(), options.given.end(), flag) != options.given.end())
            return flag;
    }
    return nullptr;
}

}  // namespace

TrainingData::TrainingData(const TrainOptions& options) {
    const bool asked = options.stream == "always";
    const char* const whole = needs_memory(options);
    if (asked && whole != nullptr) {
        throw Error(ErrorCode::usage,
                    whole,
                    "needs the training points in memory, but --stream was asked for; leave one "
                    "of the two out");
    }
    // Half of what is free is left to the network, unless a look at the text says more.
    const std::uint64_t most = most_bytes(options.train) + most_bytes(options.test);
    if (asked || most > system::available_memory_bytes() / 2) {
        const std::string misfit = summarize(options);
        if (!asked && !misfit.empty() && (options.stream == "never" || whole != nullptr)) {
            throw Error(ErrorCode::memory,
                        options.train,
                        fmt::format("{}; leave {} out, so that they are streamed, or give this run "
                                    "more memory",
                                    misfit,
                                    whole != nullptr ? whole : "--no-stream"));
        }
        if (asked || !misfit.empty()) {
            stream(options, asked ? "" : misfit);
            return;
        }
    }
    set_.emplace(load(options.train, options.cache, summary_ ? &*summary_ : nullptr), options);
    points_ = set_->points();
    counts_ = data::count_labels(points_);
    source_ = std::make_unique<data::PointsInMemory>(points_);
}

// The first pass; gives the figures where the points, the test set and the network do not fit.
std::string TrainingData::summarize(const TrainOptions& options) {
    const std::uint64_t available = system::available_memory_bytes();
    const auto start = std::chrono::steady_clock::now();
    summary_ = data::summarize_text(options.train);
    pass_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    points_ = {};
    points_.points = summary_->shape.points;
    points_.features = summary_->shape.features;
    points_.labels = summary_->shape.labels;
    check_options(options, points_.labels);
    const std::uint64_t test = most_bytes(options.test);
    const std::uint64_t network = nn::Network::bytes(
        network_config(options, points_, train::met_labels(summary_->label_counts).size()),
        options.training.batch);
    if (summary_->bytes() + test + network <= available) return {};
    return fmt::format(
        "its points would take {}, the test set at most {}, the network {}, and {} are free",
        bytes_text(summary_->bytes()),
        bytes_text(test),
        bytes_text(network),
        bytes_text(available));
}

void TrainingData::stream(const TrainOptions& options, const std::string& misfit) {
    const data::PointShape shape = summary_->shape;
    counts_ = summary_->label_counts;
    buffer_bytes_ = data::StreamedPoints::bytes(*summary_, options.shuffle_buffer);
    data::DatasetReport report;
    report.points_without_labels = summary_->points_without_labels;
    report.points_without_features = summary_->points_without_features;
    say_shape(
        options.train,
        points_,
        report,
        fmt::format(
            "{:.2f} s for a first pass{}{}", pass_seconds_, misfit.empty() ? "" : "; ", misfit));
    source_ = std::make_unique<data::StreamedPoints>(
        options.train, *std::move(summary_), options.shuffle_buffer);
    fmt::print(stderr,
               "{}: {} of {} ({})\n",
               options.train,
               source_->order(),
               shape.points,
               bytes_text(buffer_bytes_));
}

train::Fields TrainingData::data_fields() const {
    train::Fields fields;
    if (set_) {
        fields = train::data_fields(points_);
    } else {
        data::PointsView counted = points_;
        counted.label_ids = counts_;
        fields = train::data_fields(counted);
    }
    fields["order"] = source_->order();
    return fields;
}

data::PointsView TrainingData::validation() const {
    return set_ ? set_->validation() : data::PointsView{};
}

MemoryEstimate estimate_memory(std::uint64_t network,
                               const TrainingData& train,
                               const data::PointsView& test) {
    return {.network = network,
            .data = bytes_of(train.points()) + bytes_of(test),
            .shuffle_buffer = train.buffer_bytes(),
            .available = system::available_memory_bytes()};
}

void check_memory(const MemoryEstimate& estimate) {
    if (estimate.network + estimate.shuffle_buffer <= estimate.available) return;
    const bool streamed = estimate.shuffle_buffer > 0;
    throw Error(ErrorCode::memory,
                "memory",
                fmt::format("this network takes {}{}, {} are free; lower --hidden or --hash-l, "
                            "or use --optimizer sgd{}",
                            bytes_text(estimate.network),
                            streamed ? ", the shuffle buffer " + bytes_text(estimate.shuffle_buffer)
                                     : std::string(),
                            bytes_text(estimate.available),
                            streamed ? ", or lower --shuffle-buffer" : ""));
}

std::string memory_text(const MemoryEstimate& estimate) {
    return fmt::format("network {}, points {}{}; {} are free beside the points",
                       bytes_text(estimate.network),
                       bytes_text(estimate.data),
                       estimate.shuffle_buffer > 0
                           ? ", shuffle buffer " + bytes_text(estimate.shuffle_buffer)
                           : std::string(),
                       bytes_text(estimate.available));
}

nlohmann::ordered_json memory_json(const MemoryEstimate& estimate) {
    return {{"network_bytes", estimate.network},
            {"data_bytes", estimate.data},
            {"shuffle_buffer_bytes", estimate.shuffle_buffer},
            {"available_bytes", estimate.available}};
}

}  // namespace slidekit::cli
