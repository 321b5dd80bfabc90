// Points streamed from a text: each once an epoch, in an order that seed, epoch and buffer decide,
// from any place on; and what happens to the file meanwhile is noticed.
#include <slidekit/data/streamed_points.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>

#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::data::streamed_points_test {
namespace {

using slidekit::testing::message_of;
using slidekit::testing::TemporaryFolder;
using slidekit::testing::write_file;

using Ids = std::vector<std::uint32_t>;

Ids counted(std::uint32_t count) {
    Ids ids(count);
    std::iota(ids.begin(), ids.end(), 0U);
    return ids;
}
Ids sorted(Ids ids) {
    std::sort(ids.begin(), ids.end());
    return ids;
}

// Point i has feature i, and label i but where i is a multiple of 5: that has none.
std::string numbered(std::uint32_t points) {
    std::string text =
        std::to_string(points) + ' ' + std::to_string(points) + ' ' + std::to_string(points) + '\n';
    for (std::uint32_t i = 0; i < points; ++i) {
        if (i % 5 != 0) text += std::to_string(i);
        text += ' ' + std::to_string(i) + ":1\n";
    }
    return text;
}

// The features of the epoch's points, which have to be as numbered() wrote them.
Ids features_of(PointSource& source, std::uint32_t batch_points = 7) {
    Ids features;
    Batch batch;
    while (const std::uint32_t count = source.next(batch_points, batch)) {
        const PointsView view = batch.view();
        EXPECT_EQ(view.points, count);
        for (std::uint32_t point = 0; point < count; ++point) {
            EXPECT_EQ(view.nnz_of(point), 1U);
            const std::uint32_t id = view.feature_ids[view.feature_offsets[point]];
            const auto labels = view.labels_of(point);
            EXPECT_EQ(Ids(labels.begin(), labels.end()), id % 5 == 0 ? Ids{} : Ids{id});
            features.push_back(id);
        }
    }
    EXPECT_EQ(source.next(batch_points, batch), 0U);
    return features;
}

class Streamed : public ::testing::Test {
protected:
    void write(std::string_view text) { write_file(name_, text); }
    void set_time(std::chrono::seconds later) {
        std::filesystem::last_write_time(name_, std::filesystem::last_write_time(name_) + later);
    }
    Ids epoch(std::uint32_t buffer, std::uint64_t seed, std::uint64_t number) {
        StreamedPoints points(name_, buffer);
        points.start_epoch(seed, number);
        return features_of(points);
    }
    static std::string failure(PointSource& source) {
        Batch batch;
        return message_of(ErrorCode::input, [&] {
            while (source.next(8, batch) > 0) {
            }
        });
    }

    TemporaryFolder folder_;
    std::filesystem::path name_ = folder_ / "train.txt";
};

TEST_F(Streamed, GivesEachPointOnceWhateverTheBuffer) {
    write(numbered(3000));
    for (const std::uint32_t buffer : {1U, 2U, 100U, 2999U, 3000U, 5000U}) {
        EXPECT_EQ(sorted(epoch(buffer, 1, 0)), counted(3000)) << buffer;
    }
}

TEST_F(Streamed, KeepsTheOrderOfTheTextByABufferOfOne) {
    write(numbered(2000));
    EXPECT_EQ(epoch(1, 1, 0), counted(2000));
}

// Drawing from a buffer of all points is the shuffle of Fisher and Yates, from its other end.
TEST_F(Streamed, ShufflesAllByABufferOfAll) {
    write(numbered(300));
    Ids order = shuffled_order(300, 9, 2);
    std::reverse(order.begin(), order.end());
    EXPECT_EQ(epoch(300, 9, 2), order);
    EXPECT_EQ(epoch(1'000'000, 9, 2), order);
}

TEST_F(Streamed, IsDecidedBySeedEpochAndBuffer) {
    write(numbered(500));
    const Ids order = epoch(50, 1, 1);
    EXPECT_EQ(epoch(50, 1, 1), order);
    EXPECT_NE(epoch(50, 2, 1), order);
    EXPECT_NE(epoch(50, 1, 2), order);
    EXPECT_NE(epoch(51, 1, 1), order);
    StreamedPoints points(name_, 50);
    points.start_epoch(1, 1);
    EXPECT_EQ(features_of(points, 499), order);
    EXPECT_EQ(points.order(), "streamed by a shuffle buffer of 50 points");
}

TEST_F(Streamed, PutsNoPointFurtherForwardThanTheBufferReaches) {
    write(numbered(2000));
    const Ids order = epoch(100, 1, 0);
    for (std::uint32_t place = 0; place < 2000; ++place) EXPECT_LT(order[place], place + 100);
    EXPECT_NE(sorted({order.begin(), order.begin() + 1000}), counted(1000));
}

TEST_F(Streamed, BeginsAnEpochAtAnyPlace) {
    write(numbered(60));
    const Ids whole = epoch(16, 3, 4);
    StreamedPoints points(name_, 16);
    for (std::uint32_t skip = 0; skip <= 60; ++skip) {
        points.start_epoch(3, 4, skip);
        EXPECT_EQ(features_of(points), Ids(whole.begin() + skip, whole.end())) << skip;
    }
}

TEST_F(Streamed, GivesUpAnEpochForAnother) {
    write(numbered(20000));  // more than is read ahead
    StreamedPoints points(name_, 10);
    Batch batch;
    for (const std::uint32_t taken : {0U, 1U, 600U}) {
        points.start_epoch(1, taken);
        EXPECT_EQ(points.next(taken, batch), taken);
    }
    points.start_epoch(1, 0);
    EXPECT_EQ(sorted(features_of(points, 1000)), counted(20000));
    points.start_epoch(1, 1);  // and is destroyed while it reads
}

TEST_F(Streamed, ReadsGzipAndTheSameOrder) {
    write(numbered(1000));
    const Ids order = epoch(64, 1, 0);
    name_ = folder_ / "train.txt.gz";
    const std::string text = numbered(1000);
    const gzFile out = ::gzopen(name_.c_str(), "wb6");
    ASSERT_EQ(::gzwrite(out, text.data(), static_cast<unsigned>(text.size())),
              static_cast<int>(text.size()));
    ASSERT_EQ(::gzclose(out), Z_OK);
    EXPECT_EQ(epoch(64, 1, 0), order);
}

TEST_F(Streamed, GivesLabelValuesToAllPointsWhereOneHasThem) {
    write("4 4 6\n1,2 0:1\n 1:1\n3:0.5,4 2:1\n\n");
    StreamedPoints points(name_, 1);
    EXPECT_TRUE(points.summary().has_label_values);
    points.start_epoch(1, 0);
    Batch batch;
    ASSERT_EQ(points.next(1, batch), 1U);
    EXPECT_EQ(batch.view().label_values.size(), 2U);  // of a point before the first value
    EXPECT_EQ(batch.view().label_values[1], 1.0F);
    ASSERT_EQ(points.next(9, batch), 3U);
    const auto values = batch.view().label_values;
    EXPECT_EQ(std::vector<float>(values.begin(), values.end()), (std::vector<float>{0.5F, 1.0F}));
}

TEST_F(Streamed, SumsUpTheText) {
    write("5 7 6\n1,2 0:1 3:2\n 1:1\n2,4,2 2:1\n\n4\n");
    const TextSummary summary = summarize_text(name_);
    EXPECT_EQ(summary.shape, (PointShape{.points = 5, .features = 7, .labels = 6}));
    EXPECT_EQ(summary.nnz, 4U);
    EXPECT_EQ(summary.label_count, 5U);
    EXPECT_FALSE(summary.has_label_values);
    EXPECT_EQ(summary.points_without_labels, 2U);
    EXPECT_EQ(summary.points_without_features, 2U);
    EXPECT_EQ(summary.label_counts, (Ids{0, 1, 2, 0, 2, 0}));
    EXPECT_EQ(summary.bytes(), 2 * 6 * 8 + 4 * 8 + 5 * 4U);
    EXPECT_LT(StreamedPoints::bytes(summary, 1), StreamedPoints::bytes(summary, 5));
    EXPECT_EQ(StreamedPoints::bytes(summary, 5), StreamedPoints::bytes(summary, 500));
}

TEST_F(Streamed, SummaryLetsALoadTakeItsMemoryAtOnce) {
    write("3 4 6\n1:2,2 0:1\n 1:1\n3 2:1 3:1\n");
    const TextSummary summary = summarize_text(name_);
    const Dataset grown = load_dataset(name_, CachePolicy::ignore);
    const Dataset known = load_dataset(name_, CachePolicy::ignore, &summary);
    EXPECT_TRUE(std::ranges::equal(known.view().feature_ids, grown.view().feature_ids));
    EXPECT_TRUE(std::ranges::equal(known.view().label_values, grown.view().label_values));
    EXPECT_EQ(summary.bytes(),
              known.view().feature_offsets.size_bytes() + known.view().label_offsets.size_bytes() +
                  known.view().feature_ids.size_bytes() + known.view().feature_values.size_bytes() +
                  known.view().label_ids.size_bytes() + known.view().label_values.size_bytes());
}

TEST_F(Streamed, RefusesABadTextBeforeTheFirstEpoch) {
    write("3 4 3\n0 1:1\n1 9:1\n2 1:1\n");
    EXPECT_EQ(message_of(ErrorCode::input, [&] { StreamedPoints(name_, 10); })
                  .rfind(name_.string() + ":3: feature 9 out of range", 0),
              0U);
}

// The size and time that a file has are as they were, and its text is not: what it says is checked
// each time that it is read.
TEST_F(Streamed, NamesTheLineOfAnErrorInTheMiddle) {
    std::string text = numbered(4000);
    write(text);
    StreamedPoints points(name_, 100);
    const auto time = std::filesystem::last_write_time(name_);
    text.replace(text.find("\n3001 3001:1\n"), 13, "\n3001 3001:x\n");
    write(text);
    std::filesystem::last_write_time(name_, time);
    points.start_epoch(1, 0);
    Batch batch;
    EXPECT_EQ(points.next(2000, batch), 2000U);  // of the points before it
    const std::string message = failure(points);
    EXPECT_EQ(message.rfind(name_.string() + ":3003: feature value \"x\" is no finite", 0), 0U)
        << message;
    EXPECT_EQ(failure(points), message);  // and again
}

TEST_F(Streamed, RefusesAFileThatChangedBetweenEpochs) {
    write(numbered(100));
    StreamedPoints points(name_, 10);
    points.start_epoch(1, 0);
    EXPECT_EQ(features_of(points).size(), 100U);
    set_time(std::chrono::seconds(2));
    points.start_epoch(1, 1);
    const std::string message = failure(points);
    EXPECT_EQ(message.rfind(name_.string() + ": has changed since", 0), 0U) << message;
    std::filesystem::remove(name_);
    points.start_epoch(1, 1);
    EXPECT_EQ(failure(points).rfind(name_.string() + ": cannot be read", 0), 0U);
}

// The reader is held up by the pieces that nobody takes, far from the end of the text.
TEST_F(Streamed, NoticesAChangeWhileItReads) {
    const std::string text = numbered(200'000);
    for (const bool truncated : {false, true}) {
        write(text);
        StreamedPoints points(name_, 10);
        points.start_epoch(1, 0);
        Batch batch;
        ASSERT_EQ(points.next(1, batch), 1U);
        if (truncated) {
            std::filesystem::resize_file(name_, text.size() / 2);
        } else {
            set_time(std::chrono::seconds(2));
        }
        const std::string message = failure(points);
        EXPECT_EQ(message.rfind(name_.string() + ": has changed since", 0), 0U) << message;
    }
}

}  // namespace
}  // namespace slidekit::data::streamed_points_test
