// Learnable synthetic data sets in the shapes of the papers' sets, for benches at widths whose real
// data cannot be had.
//
// Labels and features follow Zipf's law. Sixteen labels make a cluster that shares features; a
// point takes its labels from one cluster, and its features from the signatures of the cluster and
// of its labels, but for one in five, which is noise. Point i depends on (seed, i) only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <slidekit/kernels/export.hpp>
#include <slidekit/system/executor.hpp>

namespace slidekit::data {

struct SyntheticShape {
    std::string_view name;
    std::uint32_t features = 0;
    std::uint32_t labels = 0;
    std::uint32_t train_points = 0;
    std::uint32_t test_points = 0;
    std::uint32_t nnz = 0;  // mean non-zeros of a point; 1: the feature is a word (skip-gram)
    std::uint32_t labels_per_point = 0;  // mean
};

/// Amazon-670K, Delicious-200K, WikiLSHTC-325K and Text8, as the SLIDE papers used them.
[[nodiscard]] SLIDEKIT_API std::span<const SyntheticShape> synthetic_shapes() noexcept;

/// Appends `count` points from number `first` on, in XMC text.
SLIDEKIT_API void append_synthetic_points(const SyntheticShape& shape,
                                          std::uint64_t seed,
                                          std::uint64_t first,
                                          std::uint64_t count,
                                          std::string& text);

/// Writes train.txt and test.txt into `folder`, which is made where it is missing. Throws Error
/// (output); each file is then whole, or as it was before.
SLIDEKIT_API void write_synthetic(system::Executor& executor,
                                  const SyntheticShape& shape,
                                  std::uint64_t seed,
                                  const std::filesystem::path& folder);

}  // namespace slidekit::data
