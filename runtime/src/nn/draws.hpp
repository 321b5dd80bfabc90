// The neurons that a sample gets by chance, beside those that are found for it.
#pragma once

#include <cstdint>
#include <span>

#include <slidekit/data/dataset.hpp>
#include <slidekit/nn/network.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::nn {

/// Calls add(id) for each draw of a sample in a step: mix.batch labels of samples of the batch, of
/// which `labelled` are those that have any, then mix.uniform of all `neurons`, the same ones for
/// mix.uniform_group neighbours. Requires: where mix.batch > 0, a labelled sample.
template <class Add>
void draw_neurons(const Mix& mix,
                  std::uint64_t seed,
                  std::uint64_t step,
                  std::size_t sample,
                  const data::PointsView* batch,
                  std::span<const std::uint32_t> labelled,
                  std::uint32_t neurons,
                  Add&& add) {
    system::Stream stream(seed, system::Purpose::batch_negatives, step, sample);
    for (std::uint32_t i = 0; i < mix.batch; ++i) {
        const std::uint32_t other =
            labelled[stream.below(static_cast<std::uint32_t>(labelled.size()))];
        const std::span<const std::uint32_t> theirs = batch->labels_of(other);
        add(theirs[stream.below(static_cast<std::uint32_t>(theirs.size()))]);
    }
    system::Stream shared(
        seed, system::Purpose::uniform_negatives, step, sample / mix.uniform_group);
    for (std::uint32_t i = 0; i < mix.uniform; ++i) add(shared.below(neurons));
}

}  // namespace slidekit::nn
