// Split: one draw a point.
#include <slidekit/data/split.hpp>

#include <slidekit/system/random.hpp>

namespace slidekit::data {

Split split_points(std::uint32_t points, double share, std::uint64_t seed) {
    Split split;
    for (std::uint32_t point = 0; point < points; ++point) {
        system::Stream stream(seed, system::Purpose::validation, point);
        const bool out = static_cast<double>(stream.uniform()) < share;
        (out ? split.held_out : split.kept).push_back(point);
    }
    return split;
}

}  // namespace slidekit::data
