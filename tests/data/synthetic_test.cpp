// Synthetic data: a function of the seed, in the format that the reader takes, skewed and
// learnable.
#include <slidekit/data/synthetic.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <slidekit/data/dataset.hpp>
#include <slidekit/system/runtime.hpp>

#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::data::synthetic_test {
namespace {

using slidekit::testing::count_files;
using slidekit::testing::file_bytes;
using slidekit::testing::message_of;
using slidekit::testing::TemporaryFolder;
using slidekit::testing::write_file;

constexpr SyntheticShape kDocuments = {.name = "documents",
                                       .features = 5000,
                                       .labels = 1000,
                                       .train_points = 5000,
                                       .test_points = 700,
                                       .nnz = 30,
                                       .labels_per_point = 5};
constexpr SyntheticShape kWords = {.name = "words",
                                   .features = 3000,
                                   .labels = 3000,
                                   .train_points = 3000,
                                   .test_points = 1,
                                   .nnz = 1,
                                   .labels_per_point = 4};

std::string points_of(const SyntheticShape& shape,
                      std::uint64_t seed,
                      std::uint64_t first,
                      std::uint64_t count) {
    std::string text;
    append_synthetic_points(shape, seed, first, count, text);
    return text;
}

void write(const SyntheticShape& shape,
           std::uint64_t seed,
           unsigned threads,
           const std::filesystem::path& folder) {
    system::Runtime runtime({.threads = threads});
    write_synthetic(runtime.executor(), shape, seed, folder);
}

// How often each id occurs, the most frequent first.
std::vector<std::size_t> frequencies(std::span<const std::uint32_t> ids, std::uint32_t width) {
    std::vector<std::size_t> times(width);
    for (const std::uint32_t id : ids) ++times[id];
    std::sort(times.begin(), times.end(), std::greater<>());
    return times;
}

double share_of_most_frequent(const std::vector<std::size_t>& times, std::size_t count) {
    std::size_t head = 0;
    std::size_t all = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
        all += times[i];
        head += i < count ? times[i] : 0;
    }
    return static_cast<double>(head) / static_cast<double>(all);
}

TEST(Synthetic, DependsOnTheSeedOnly) {
    const std::string points = points_of(kDocuments, 1, 0, 50);
    EXPECT_EQ(points, points_of(kDocuments, 1, 0, 50));
    EXPECT_NE(points, points_of(kDocuments, 2, 0, 50));
    EXPECT_NE(points, points_of(kDocuments, 1, 50, 50));
}

TEST(Synthetic, GivesAPointByItsNumber) {
    for (const SyntheticShape& shape : {kDocuments, kWords}) {
        std::string one_by_one = "before\n";  // is kept
        for (std::uint64_t i = 0; i < 20; ++i)
            append_synthetic_points(shape, 3, 100 + i, 1, one_by_one);
        EXPECT_EQ(one_by_one, "before\n" + points_of(shape, 3, 100, 20)) << shape.name;
    }
    EXPECT_EQ(points_of(kDocuments, 3, 7, 0), "");
}

TEST(Synthetic, IsTheSameForAnyNumberOfThreads) {
    const TemporaryFolder folder;
    for (const unsigned threads : {1U, 2U, 5U})
        write(kDocuments, 1, threads, folder / std::to_string(threads));
    for (const char* const file : {"train.txt", "test.txt"}) {
        const std::string one = file_bytes(folder / "1" / file);
        EXPECT_FALSE(one.empty());
        EXPECT_EQ(one, file_bytes(folder / "2" / file)) << file;
        EXPECT_EQ(one, file_bytes(folder / "5" / file)) << file;
    }
    EXPECT_EQ(count_files(folder / "1"), 2U);
}

TEST(Synthetic, WritesHeaderAndPointsInOrder) {
    const TemporaryFolder folder;
    write(kDocuments, 4, 2, folder / "deep/folder");  // made on the way
    EXPECT_EQ(file_bytes(folder / "deep/folder/train.txt"),
              "5000 5000 1000\n" + points_of(kDocuments, 4, 0, 5000));
    EXPECT_EQ(file_bytes(folder / "deep/folder/test.txt"),
              "700 5000 1000\n" + points_of(kDocuments, 4, 5000, 700));
}

TEST(Synthetic, ReplacesWhatIsThere) {
    const TemporaryFolder folder;
    write_file(folder / "train.txt", "old");
    write(kWords, 4, 1, folder.path());
    EXPECT_EQ(file_bytes(folder / "train.txt").rfind("3000 3000 3000\n", 0), 0U);
    EXPECT_EQ(count_files(folder.path()), 2U);
}

TEST(Synthetic, SaysWhereItCannotWrite) {
    const TemporaryFolder folder;
    write_file(folder / "file", "");
    const std::string message =
        message_of(ErrorCode::output, [&] { write(kWords, 1, 1, folder / "file/below"); });
    EXPECT_EQ(message.rfind((folder / "file/below").string() + ": the folder cannot be made (", 0),
              0U)
        << message;
}

TEST(Synthetic, IsReadAsDescribed) {
    const TemporaryFolder folder;
    write(kDocuments, 1, 2, folder.path());
    const Dataset set =
        load_dataset(folder / "train.txt", CachePolicy::ignore);  // ids in range, none twice
    const PointsView& view = set.view();
    EXPECT_EQ(view.points, 5000U);
    EXPECT_EQ(view.features, 5000U);
    EXPECT_EQ(view.labels, 1000U);
    EXPECT_EQ(set.report().points_without_labels, 0U);
    EXPECT_EQ(set.report().points_without_features, 0U);
    // Means fall short of the shape's by the repeats that were merged.
    EXPECT_NEAR(static_cast<double>(view.feature_ids.size()) / 5000, 27, 3);
    EXPECT_NEAR(static_cast<double>(view.label_ids.size()) / 5000, 4, 1);
    for (const float value : view.feature_values) {
        ASSERT_GT(value, 0.0F);
        ASSERT_LT(value, 1.0F);
    }
}

TEST(Synthetic, DrawsFirstLabelsByZipf) {
    SyntheticShape shape = kDocuments;
    shape.labels_per_point = 1;  // the first one only
    const TemporaryFolder folder;
    write(shape, 1, 2, folder.path());
    const Dataset set = load_dataset(folder / "train.txt", CachePolicy::ignore);
    const std::span<const std::uint32_t> labels = set.view().label_ids;
    ASSERT_EQ(labels.size(), 5000U);
    // P(id < r) = ln(r + 1) / ln(labels + 1); four deviations of a share of 5000 are under 0.03.
    for (const std::uint32_t r : {1U, 10U, 100U, 500U}) {
        const auto below =
            std::count_if(labels.begin(), labels.end(), [&](std::uint32_t id) { return id < r; });
        EXPECT_NEAR(static_cast<double>(below) / 5000, std::log(r + 1.0) / std::log(1001.0), 0.03)
            << r;
    }
}

TEST(Synthetic, IsSkewed) {
    const TemporaryFolder folder;
    write(kDocuments, 1, 2, folder.path());
    const Dataset set = load_dataset(folder / "train.txt", CachePolicy::ignore);
    const std::vector<std::size_t> labels = frequencies(set.view().label_ids, 1000);
    const std::vector<std::size_t> features = frequencies(set.view().feature_ids, 5000);
    // A hundredth of the ids has a hundredth of a uniform draw. One label in five is a first one,
    // of which the ten most frequent have 0.35.
    EXPECT_GT(share_of_most_frequent(labels, 10), 0.07);
    EXPECT_GT(share_of_most_frequent(features, 50), 0.07);
    EXPECT_GT(labels[500], 0U);  // the tail is there
}

TEST(Synthetic, OfWordsHasOneFeatureAPoint) {
    const TemporaryFolder folder;
    write(kWords, 1, 2, folder.path());
    const Dataset set = load_dataset(folder / "train.txt", CachePolicy::ignore);
    for (std::size_t i = 0; i < set.view().points; ++i) {
        ASSERT_EQ(set.view().nnz_of(i), 1U) << i;
        ASSERT_FALSE(set.view().labels_of(i).empty()) << i;
    }
    EXPECT_GT(share_of_most_frequent(frequencies(set.view().feature_ids, 3000), 30), 0.3);
}

// Points that share their rarest label have to share features beyond what any two points share.
TEST(Synthetic, TellsLabelsByTheirFeatures) {
    const TemporaryFolder folder;
    write(kDocuments, 1, 2, folder.path());
    const Dataset set = load_dataset(folder / "train.txt", CachePolicy::ignore);
    const PointsView& view = set.view();
    const auto shared = [&](std::size_t a, std::size_t b) {
        std::vector<std::uint32_t> both;
        const auto ids = [&](std::size_t i) {
            return view.feature_ids.subspan(view.feature_offsets[i], view.nnz_of(i));
        };
        std::set_intersection(
            ids(a).begin(), ids(a).end(), ids(b).begin(), ids(b).end(), std::back_inserter(both));
        return static_cast<double>(both.size());
    };
    std::map<std::uint32_t, std::size_t> last;
    double same = 0;
    double pairs = 0;
    double other = 0;
    for (std::size_t i = 1; i < view.points; ++i) {
        const auto [at, fresh] = last.try_emplace(view.labels_of(i).back(), i);
        if (fresh) continue;
        same += shared(i, at->second);
        other += shared(i, i - 1);
        pairs += 1;
    }
    EXPECT_GT(pairs, 1000);
    EXPECT_GT(same, 1.5 * other) << same / pairs << " shared features against " << other / pairs;
}

TEST(SyntheticShapes, AreThoseOfThePapers) {
    std::vector<std::string> names;
    for (const SyntheticShape& shape : synthetic_shapes()) {
        names.emplace_back(shape.name);
        SCOPED_TRACE(names.back());
        const TemporaryFolder folder;
        write_file(folder / "file",
                   "20 " + std::to_string(shape.features) + ' ' + std::to_string(shape.labels) +
                       '\n' + points_of(shape, 1, shape.train_points, 20));
        EXPECT_EQ(load_dataset(folder / "file", CachePolicy::ignore).view().points, 20U);
    }
    EXPECT_EQ(names,
              (std::vector<std::string>{"amazon-670k", "delicious-200k", "wiki-325k", "text8"}));
}

}  // namespace
}  // namespace slidekit::data::synthetic_test
