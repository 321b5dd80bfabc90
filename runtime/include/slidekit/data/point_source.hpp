// Where training draws its batches from: points in an order of their own each epoch, in memory or
// read while training goes on (streamed_points.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <slidekit/data/batches.hpp>
#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/export.hpp>

namespace slidekit::data {

/// Counts of a data set; ids of features and labels are below theirs.
struct PointShape {
    std::uint32_t points = 0;
    std::uint32_t features = 0;
    std::uint32_t labels = 0;

    friend bool operator==(const PointShape&, const PointShape&) = default;
};

[[nodiscard]] inline PointShape shape_of(const PointsView& points) noexcept {
    return {.points = points.points, .features = points.features, .labels = points.labels};
}

/// An epoch gives each point once, in an order that (seed, epoch) alone decide. Confined.
class SLIDEKIT_API PointSource {
public:
    virtual ~PointSource() = default;
    PointSource() = default;
    PointSource(const PointSource&) = delete;
    PointSource& operator=(const PointSource&) = delete;

    [[nodiscard]] virtual PointShape shape() const noexcept = 0;
    /// What decides the order beside seed and epoch: an epoch can be gone on with only by a source
    /// that says the same.
    [[nodiscard]] virtual std::string order() const = 0;
    /// Begins an epoch at its `skip`-th point (at most all): those that follow are the ones that
    /// follow there in an epoch begun at 0. An epoch that runs is given up. Call before next().
    virtual void start_epoch(std::uint64_t seed, std::uint64_t epoch, std::uint32_t skip = 0) = 0;
    /// Replaces the batch by the epoch's next points: `count` of them, or what is left. Returns how
    /// many these are, 0 at the end. Throws Error (input) where points are read and cannot be.
    virtual std::uint32_t next(std::uint32_t count, Batch& batch) = 0;
};

/// Points in memory, in the order of shuffled_order(). The view's arrays have to outlive it.
class SLIDEKIT_API PointsInMemory final : public PointSource {
public:
    explicit PointsInMemory(const PointsView& points) noexcept : points_(points) {}

    [[nodiscard]] PointShape shape() const noexcept override { return shape_of(points_); }
    [[nodiscard]] std::string order() const override { return "shuffled"; }
    void start_epoch(std::uint64_t seed, std::uint64_t epoch, std::uint32_t skip = 0) override;
    std::uint32_t next(std::uint32_t count, Batch& batch) override;

private:
    PointsView points_;
    std::vector<std::uint32_t> order_;
    std::size_t begin_ = 0;
};

}  // namespace slidekit::data
