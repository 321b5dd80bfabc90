// The part of Stream that needs the maths library.
#include <slidekit/system/random.hpp>

#include <cmath>
#include <numbers>

namespace slidekit::system {

// In double, although the result is a float: two maths libraries that differ in the last bit of log
// or cos then still agree on nearly every float, and 53-bit draws reach 8.5 deviations where 24
// bits end at 5.8.
float Stream::normal() noexcept {
    const double positive =
        static_cast<double>(((*this)() >> 11) + 1) * 0x1p-53;  // (0, 1]: log is finite
    const double turn = static_cast<double>((*this)() >> 11) * 0x1p-53;
    const double radius = std::sqrt(-2.0 * std::log(positive));
    return static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * turn));
}

}  // namespace slidekit::system
