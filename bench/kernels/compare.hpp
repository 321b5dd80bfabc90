// What a call leaves behind, and how far it is from what the oracle leaves.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "arguments.hpp"

namespace slidekit::bench {

using Bytes = std::vector<std::byte>;

inline Bytes read_pieces(const std::vector<Arguments::Piece>& pieces) {
    Bytes all;
    for (const Arguments::Piece& piece : pieces)
        all.insert(all.end(), piece.data, piece.data + piece.bytes);
    return all;
}

inline void write_pieces(const std::vector<Arguments::Piece>& pieces, const Bytes& all) {
    std::size_t at = 0;
    for (const Arguments::Piece& piece : pieces) {
        if (piece.bytes > 0) std::memcpy(piece.data, all.data() + at, piece.bytes);
        at += piece.bytes;
    }
}

/// Element i of what lies at `data`.
inline double number_at(const std::byte* data, Element element, std::size_t i) {
    if (element == Element::f32) {
        float value;
        std::memcpy(&value, data + i * sizeof(value), sizeof(value));
        return value;
    }
    std::uint16_t half;
    std::memcpy(&half, data + i * sizeof(half), sizeof(half));
    return std::bit_cast<float>(std::uint32_t{half} << 16);
}

/// The largest difference as a share of the largest number of its array; infinity where other
/// things than numbers differ.
inline double error_between(const std::byte* expected,
                            const std::byte* got,
                            std::size_t bytes,
                            Element element) {
    if (bytes == 0 || std::memcmp(expected, got, bytes) == 0) return 0;
    if (element == Element::bytes) return std::numeric_limits<double>::infinity();
    double largest = 0, difference = 0;
    for (std::size_t i = 0; i < bytes / (element == Element::f32 ? 4 : 2); ++i) {
        const double a = number_at(expected, element, i);
        const double b = number_at(got, element, i);
        if (a == b || (std::isnan(a) && std::isnan(b))) continue;
        if (!std::isfinite(a) || !std::isfinite(b)) return std::numeric_limits<double>::infinity();
        difference = std::max(difference, std::abs(a - b));
    }
    for (std::size_t i = 0; i < bytes / (element == Element::f32 ? 4 : 2); ++i) {
        const double a = number_at(expected, element, i);
        if (std::isfinite(a)) largest = std::max(largest, std::abs(a));
    }
    return difference / std::max(largest, 1e-30);
}

/// What a call wrote and returned.
struct Outcome {
    Bytes outputs;
    Bytes result;
    Element result_element = Element::bytes;
    /// A function that returns how many it has written leaves the rest as it likes.
    std::size_t written = std::numeric_limits<std::size_t>::max();
};

inline double error_between(const std::vector<Arguments::Piece>& pieces,
                            const Outcome& expected,
                            const Outcome& got) {
    double error = error_between(
        expected.result.data(), got.result.data(), expected.result.size(), expected.result_element);
    std::size_t at = 0;
    for (const Arguments::Piece& piece : pieces) {
        const std::size_t elements = std::min(piece.bytes / piece.element_bytes, expected.written);
        if (piece.is_result) {
            error = std::max(error,
                             error_between(expected.outputs.data() + at,
                                           got.outputs.data() + at,
                                           elements * piece.element_bytes,
                                           piece.element));
        }
        at += piece.bytes;
    }
    return error;
}

/// Calls on arguments whose outputs are `before`.
template <class Call, class Function>
Outcome outcome_of(const Call& call,
                   Function function,
                   const std::vector<Arguments::Piece>& pieces,
                   const Bytes& before) {
    using Result = decltype(call(function));
    write_pieces(pieces, before);
    Outcome outcome;
    if constexpr (std::is_void_v<Result>) {
        call(function);
    } else {
        const Result result = call(function);
        const auto* bytes = reinterpret_cast<const std::byte*>(&result);
        outcome.result.assign(bytes, bytes + sizeof(result));
        if (std::is_same_v<Result, float>) outcome.result_element = Element::f32;
        if constexpr (std::is_same_v<Result, std::size_t>) outcome.written = result;
    }
    outcome.outputs = read_pieces(pieces);
    return outcome;
}

}  // namespace slidekit::bench
