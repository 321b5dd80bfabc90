// Points in memory as a source of batches.
#include <slidekit/data/point_source.hpp>

#include <algorithm>
#include <span>

namespace slidekit::data {

void PointsInMemory::start_epoch(std::uint64_t seed, std::uint64_t epoch, std::uint32_t skip) {
    order_ = shuffled_order(points_.points, seed, epoch);
    begin_ = std::min<std::size_t>(skip, order_.size());
}

std::uint32_t PointsInMemory::next(std::uint32_t count, Batch& batch) {
    const std::span<const std::uint32_t> left = std::span(order_).subspan(begin_);
    const std::size_t taken = std::min<std::size_t>(count, left.size());
    batch.assign(points_, left.first(taken));
    begin_ += taken;
    return static_cast<std::uint32_t>(taken);
}

}  // namespace slidekit::data
