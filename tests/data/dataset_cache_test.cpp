// The cache beside a text: used while it agrees with the text, and never worth an error.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/data/dataset.hpp>

#include "data/dataset_cache.hpp"
#include "data/xmc_reader.hpp"

#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::data::dataset_cache_test {
namespace {

using slidekit::testing::count_files;
using slidekit::testing::file_bytes;
using slidekit::testing::message_of;
using slidekit::testing::TemporaryFolder;
using slidekit::testing::write_file;

constexpr const char* kText = "5 100 50\n1:2.5,4 0:0.5 99:-2\n 3:1e-3\n2\n\n49,0 1:3 2:7 4:.25\n";

template <class T>
bool same(std::span<const T> a, std::span<const T> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void expect_same(const Dataset& set, const Dataset& other) {
    const PointsView& a = set.view();
    const PointsView& b = other.view();
    EXPECT_EQ(a.points, b.points);
    EXPECT_EQ(a.features, b.features);
    EXPECT_EQ(a.labels, b.labels);
    EXPECT_TRUE(same(a.feature_offsets, b.feature_offsets));
    EXPECT_TRUE(same(a.feature_ids, b.feature_ids));
    EXPECT_TRUE(same(a.feature_values, b.feature_values));
    EXPECT_TRUE(same(a.label_offsets, b.label_offsets));
    EXPECT_TRUE(same(a.label_ids, b.label_ids));
    EXPECT_TRUE(same(a.label_values, b.label_values));
    EXPECT_EQ(set.report().points_without_labels, other.report().points_without_labels);
    EXPECT_EQ(set.report().points_without_features, other.report().points_without_features);
}

class DatasetCache : public ::testing::Test {
protected:
    void SetUp() override { write_file(text_, kText); }

    // The text is read again, for a reason that is told, and a good cache is left.
    void expect_replaced(const std::string& bad, const std::string& reason) {
        write_file(cache_, bad);
        const Dataset set = load_dataset(text_);
        EXPECT_FALSE(set.report().from_cache);
        EXPECT_NE(set.report().cache_note.find(reason), std::string::npos)
            << set.report().cache_note;
        expect_same(set, load_dataset(text_, CachePolicy::ignore));
        EXPECT_EQ(file_bytes(cache_), good_);
    }
    void make_good_cache() {
        (void)load_dataset(text_);
        good_ = file_bytes(cache_);
        ASSERT_GT(good_.size(), 128U);
    }

    TemporaryFolder folder_;
    std::filesystem::path text_ = folder_ / "train.txt";
    std::filesystem::path cache_ = folder_ / "train.txt.cache";
    std::string good_;
};

TEST_F(DatasetCache, GivesWhatTheTextGave) {
    const Dataset first = load_dataset(text_);
    EXPECT_FALSE(first.report().from_cache);
    EXPECT_EQ(first.report().cache_note, "");
    const Dataset second = load_dataset(text_);
    EXPECT_TRUE(second.report().from_cache);
    EXPECT_EQ(second.report().cache_note, "");
    EXPECT_EQ(second.report().source, text_.string());
    EXPECT_EQ(second.report().points_without_labels, 2U);
    EXPECT_EQ(second.report().points_without_features, 2U);
    expect_same(first, second);
    EXPECT_EQ(count_files(folder_.path()), 2U);
}

TEST_F(DatasetCache, HasNoLabelValuesWhereTheTextHasNone) {
    write_file(text_, "2 100 50\n1,4 0:0.5\n3 1:2\n");
    for (const bool from_cache : {false, true}) {
        const Dataset set = load_dataset(text_);
        EXPECT_EQ(set.report().from_cache, from_cache);
        EXPECT_EQ(set.view().label_ids.size(), 3U);
        EXPECT_TRUE(set.view().label_values.empty());
    }
}

TEST_F(DatasetCache, OfAnEarlierVersionIsMadeAnew) {
    make_good_cache();
    std::string older = good_;
    older[8] = 1;
    expect_replaced(older, "another kind or version");
}

TEST_F(DatasetCache, OutlivesAMoveOfItsDataset) {
    (void)load_dataset(text_);
    Dataset set = load_dataset(text_);
    Dataset moved = std::move(set);
    set = load_dataset(text_, CachePolicy::ignore);
    expect_same(moved, set);
    moved = std::move(set);
    EXPECT_FALSE(moved.report().from_cache);
    EXPECT_EQ(moved.view().labels_of(4)[1], 49U);
}

TEST_F(DatasetCache, IsMappedSoThatItMayBeReplacedWhileInUse) {
    make_good_cache();
    const Dataset mapped = load_dataset(text_);
    ASSERT_TRUE(mapped.report().from_cache);
    write_file(text_, "1 100 50\n1 0:0.5\n");
    EXPECT_EQ(load_dataset(text_).view().points, 1U);
    EXPECT_EQ(mapped.view().points, 5U);
    EXPECT_EQ(mapped.view().feature_ids.back(), 4U);
}

TEST_F(DatasetCache, IsStaleOnceTheSizeOfTheTextChanges) {
    make_good_cache();
    const auto time = std::filesystem::last_write_time(text_);
    write_file(text_, "1 100 50\n1 0:0.5\n");
    std::filesystem::last_write_time(text_, time);
    const Dataset set = load_dataset(text_);
    EXPECT_FALSE(set.report().from_cache);
    EXPECT_EQ(set.report().cache_note, "");
    EXPECT_EQ(set.view().points, 1U);
    EXPECT_TRUE(load_dataset(text_).report().from_cache);
}

TEST_F(DatasetCache, IsStaleOnceTheTimeOfTheTextChanges) {
    make_good_cache();
    std::string text = kText;
    text[9] = '2';  // the first label, 1 before
    const auto time = std::filesystem::last_write_time(text_);
    write_file(text_, text);
    std::filesystem::last_write_time(text_, time + std::chrono::seconds(2));
    const Dataset set = load_dataset(text_);
    EXPECT_FALSE(set.report().from_cache);
    EXPECT_EQ(set.view().label_ids[0], 2U);
    std::filesystem::last_write_time(
        text_, time - std::chrono::hours(1));  // older ones are other ones too
    EXPECT_FALSE(load_dataset(text_).report().from_cache);
}

TEST_F(DatasetCache, HidesNoErrorOfAChangedText) {
    make_good_cache();
    write_file(text_, "1 100 50\n50 0:0.5\n");
    EXPECT_NE(message_of(ErrorCode::input, [&] { (void)load_dataset(text_); })
                  .find(":2: label 50 out of range"),
              std::string::npos);
    EXPECT_EQ(file_bytes(cache_), good_);
    std::filesystem::remove(text_);
    EXPECT_NE(
        message_of(ErrorCode::input, [&] { (void)load_dataset(text_); }).find("cannot be read"),
        std::string::npos);
}

TEST_F(DatasetCache, IsMadeAnewWhereTorn) {
    make_good_cache();
    for (std::size_t length = 0; length < good_.size(); length += length < 140 ? 1 : 37) {
        expect_replaced(good_.substr(0, length), length < 128 ? "cut off" : "damaged");
    }
    expect_replaced(good_ + '\0', "damaged");
    expect_replaced(good_ + std::string(64, '\0'), "damaged");
}

TEST_F(DatasetCache, IsMadeAnewWhereAByteDiffers) {
    make_good_cache();
    for (std::size_t at = 0; at < good_.size(); ++at) {
        if (at >= 112 && at < 128) continue;  // fields of no use yet
        std::string flipped = good_;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
        expect_replaced(flipped, at < 16 ? "another kind or version" : "damaged");
    }
}

TEST_F(DatasetCache, IsMadeAnewWhereForeign) {
    make_good_cache();
    expect_replaced("not a cache", "cut off");
    expect_replaced(std::string(1000, 'x'), "another kind or version");
    expect_replaced(std::string(good_.size(), '\0'), "another kind or version");
    expect_replaced(good_.substr(0, 16) + std::string(good_.size() - 16, '\xff'), "damaged");
}

// A cache whose sums are right and whose numbers are not: another program's, or a forged one.
TEST_F(DatasetCache, IsMadeAnewWhereItsNumbersAreNoDataSet) {
    make_good_cache();
    const std::vector<std::pair<std::string, std::function<void(PointArrays&)>>> forgeries = {
        {"an offset beyond the ids", [](auto& a) { a.feature_offsets[2] = 99999999; }},
        {"offsets that go back",
         [](auto& a) { std::swap(a.label_offsets[1], a.label_offsets[4]); }},
        {"a first offset that is not 0", [](auto& a) { a.feature_offsets[0] = 1; }},
        {"a last offset before the end", [](auto& a) { a.label_offsets.back() -= 1; }},
        {"a feature out of range", [](auto& a) { a.feature_ids[1] = 100; }},
        {"a label out of range", [](auto& a) { a.label_ids[1] = 50; }},
        {"features out of order", [](auto& a) { std::swap(a.feature_ids[0], a.feature_ids[1]); }},
        {"a label given twice", [](auto& a) { a.label_ids[1] = a.label_ids[0]; }},
        {"a value that is none",
         [](auto& a) { a.feature_values[0] = std::numeric_limits<float>::quiet_NaN(); }},
        {"an infinite value",
         [](auto& a) { a.feature_values[0] = -std::numeric_limits<float>::infinity(); }},
        {"an infinite label value",
         [](auto& a) { a.label_values[1] = std::numeric_limits<float>::infinity(); }},
        {"label values of some labels", [](auto& a) { a.label_values.pop_back(); }},
        {"no features", [](auto& a) { a.features = 0; }},
        {"too many labels", [](auto& a) { a.labels = 0x80000000; }},
    };
    for (const auto& [what, forge] : forgeries) {
        SCOPED_TRACE(what);
        Dataset::Storage storage;
        storage.arrays = read_xmc(text_);
        forge(storage.arrays);
        storage.view = storage.arrays.view();
        write_cache(text_, identify(text_), storage);
        expect_replaced(file_bytes(cache_), "damaged");
    }
}

TEST_F(DatasetCache, IsNeitherReadNorWrittenWhereIgnored) {
    EXPECT_EQ(load_dataset(text_, CachePolicy::ignore).report().cache_note, "");
    EXPECT_EQ(count_files(folder_.path()), 1U);
    write_file(cache_, "torn");
    const Dataset set = load_dataset(text_, CachePolicy::ignore);
    EXPECT_FALSE(set.report().from_cache);
    EXPECT_EQ(set.report().cache_note, "");
    EXPECT_EQ(file_bytes(cache_), "torn");
}

TEST_F(DatasetCache, IsOnlyNotedWhereItCannotBeWritten) {
    std::filesystem::create_directory(cache_);  // permissions would not stop root
    const Dataset set = load_dataset(text_);
    EXPECT_FALSE(set.report().from_cache);
    EXPECT_EQ(set.report().cache_note.rfind(
                  "no cache was kept: " + cache_.string() + ": cannot be written", 0),
              0U)
        << set.report().cache_note;
    EXPECT_EQ(set.view().points, 5U);
    EXPECT_TRUE(std::filesystem::is_directory(cache_));
    EXPECT_EQ(count_files(folder_.path()), 2U);
}

}  // namespace
}  // namespace slidekit::data::dataset_cache_test
