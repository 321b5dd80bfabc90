// Points in memory as a source of batches: the order of the epoch, from any place on.
#include <slidekit/data/point_source.hpp>

#include <cstdint>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "toy_points.hpp"

namespace slidekit::data::point_source_test {
namespace {

using Ids = std::vector<std::uint32_t>;

Ids labels_of(const PointsView& view) { return {view.label_ids.begin(), view.label_ids.end()}; }

// Point i has label i.
testing::ToyPoints numbered(std::uint32_t count) {
    testing::ToyPoints points(4, count);
    for (std::uint32_t i = 0; i < count; ++i)
        points.add({.features = {{i % 4, 1.0F}}, .labels = {i}});
    return points;
}

TEST(PointsInMemory, GivesTheShuffledOrderInBatches) {
    const testing::ToyPoints points = numbered(10);
    PointsInMemory source(points.view());
    EXPECT_EQ(source.shape(), (PointShape{.points = 10, .features = 4, .labels = 10}));
    EXPECT_EQ(source.order(), "shuffled");
    for (const std::uint64_t epoch : {0U, 1U}) {
        source.start_epoch(7, epoch);
        Ids given;
        Ids sizes;
        Batch batch;
        while (source.next(4, batch) > 0) {
            sizes.push_back(batch.size());
            const Ids labels = labels_of(batch.view());
            given.insert(given.end(), labels.begin(), labels.end());
        }
        EXPECT_EQ(sizes, (Ids{4, 4, 2}));
        EXPECT_EQ(given, shuffled_order(10, 7, epoch));
        EXPECT_EQ(batch.size(), 0U);
        EXPECT_EQ(batch.view().labels, 10U);
    }
}

TEST(PointsInMemory, BeginsAnEpochAtAnyPlace) {
    const testing::ToyPoints points = numbered(9);
    PointsInMemory source(points.view());
    const Ids order = shuffled_order(9, 3, 5);
    for (std::uint32_t skip = 0; skip <= 9; ++skip) {
        source.start_epoch(3, 5, skip);
        Batch batch;
        EXPECT_EQ(source.next(100, batch), 9 - skip);
        EXPECT_EQ(labels_of(batch.view()), Ids(order.begin() + skip, order.end()));
        EXPECT_EQ(source.next(100, batch), 0U);
    }
}

}  // namespace
}  // namespace slidekit::data::point_source_test
