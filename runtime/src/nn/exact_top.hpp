// The best labels of a block of points over all neurons: blocked dense product, then threshold and
// insert.
//
// Once a point has seen a few hundred neurons, almost no logit passes its threshold, so that the
// cost is that of the product alone.
#pragma once

#include <cstdint>
#include <span>

#include <slidekit/nn/network.hpp>

namespace slidekit::nn {

/// Fills best[i * count ..] with the `count` highest logits of row i of hidden, best first, ties to
/// the lower neuron. Allocates its scratch; thread-safe. Requires: count <= neurons.
void exact_top(const Parameters& output,
               kernels::RowMatrix<const float> hidden,
               std::uint32_t count,
               std::span<Ranked> best);

}  // namespace slidekit::nn
