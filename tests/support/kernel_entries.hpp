// The words of the generated kernel_calls.hpp: what is said of a kernel besides its code.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <slidekit/kernels.h>

#include <slidekit/kernels/all.hpp>

namespace slidekit::kernels::calls {

/// How the levels agree with the scalar oracle: bit for bit on any data, bit for bit on numbers, or
/// within the rounding of a sum.
enum class Agreement { exact, finite, near };

/// Where the rows of a bench come from.
enum class Heat { cold, warm };

/// Of ids: in any order with repeats, or strictly ascending.
enum class Order { any, ascending };

/// The values that a size may have.
struct Limits {
    std::size_t least;
    std::size_t most;
};
inline constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

template <std::size_t kSizes>
struct Shape {
    Heat heat;
    const char* text;
    std::size_t sizes[kSizes];
};

/// All sizes of a call multiplied: what the scalar level has to keep up with is about as much.
template <class Entry>
std::size_t product_of_sizes(const std::size_t* sizes) {
    std::size_t product = 1;
    for (std::size_t i = 0; i < Entry::size_count; ++i)
        product *= std::max<std::size_t>(sizes[i], 1);
    return product;
}

/// Of one call: units done, bytes of rows and vectors moved, arithmetic operations.
struct Work {
    double items;
    double bytes;
    double flops;
};

/// Of a temporary that lives as long as the call.
template <class T>
const T* pointer_to(const T& value) {
    return &value;
}

/// Calls a C function of a kernel on the arguments of a call, with room for its result where it has
/// one.
template <class Entry, class Call, class Function>
slidekit_status call_c(const Call& call, Function function) {
    using Result = decltype(call(Entry::function));
    return call([&](auto... arguments) {
        if constexpr (std::is_void_v<Result>) {
            return function(arguments...);
        } else {
            Result result{};
            return function(arguments..., &result);
        }
    });
}

}  // namespace slidekit::kernels::calls
