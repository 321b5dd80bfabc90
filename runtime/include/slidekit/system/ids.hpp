// Strong types at the borders, so that a neuron is never taken for a feature or a memory node.
#pragma once

#include <cstdint>

namespace slidekit {

enum class NeuronId : std::uint32_t {};
enum class FeatureId : std::uint32_t {};
/// The kernel's number of a NUMA node (not TBB's, not hwloc's logical index).
enum class NodeId : std::int32_t { unknown = -1 };

}  // namespace slidekit
