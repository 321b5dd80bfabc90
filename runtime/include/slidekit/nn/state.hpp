// The training state of a network as named arrays, for whoever saves, restores or compares it.
//
// A class has one walk over its state for both directions, so that what is saved is what is
// restored.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include <slidekit/kernels/export.hpp>
#include <slidekit/kernels/views.hpp>

namespace slidekit::nn {

/// An array that stands in its owner: rows of `columns` elements, `stride` apart.
struct StateArray {
    const std::string& name;  // "output.first_moment"; unique in a state
    const char* type;         // as safetensors names it: "F32"
    std::size_t element_bytes;
    std::byte* data;
    std::size_t rows;
    std::size_t columns;
    std::size_t stride;
};

/// What an element is called in safetensors.
template <class T>
[[nodiscard]] constexpr const char* state_type() noexcept {
    if constexpr (std::is_same_v<T, float>) return "F32";
    if constexpr (std::is_same_v<T, kernels::Bf16>) return "BF16";
    if constexpr (std::is_same_v<T, std::int8_t>) return "I8";
    if constexpr (std::is_same_v<T, std::uint8_t>) return "U8";
    if constexpr (std::is_same_v<T, std::uint16_t>) return "U16";
    if constexpr (std::is_same_v<T, std::uint32_t>) return "U32";
    if constexpr (std::is_same_v<T, std::uint64_t>) return "U64";
}

/// Reads or writes what a walk shows it. Arrays may be read after the walk, for as long as their
/// owner stands and is not changed; numbers are taken at once.
class SLIDEKIT_API StateVisitor {
public:
    virtual ~StateVisitor();

    /// Whether the walk overwrites the state.
    [[nodiscard]] virtual bool restoring() const noexcept = 0;
    /// Throws Error (input) where a saved array is missing or of another type or shape.
    virtual void array(const StateArray& array) = 0;
    /// A few numbers, as bits: whole ones (U64) or doubles (F64).
    virtual void words(const std::string& name,
                       const char* type,
                       std::span<std::uint64_t> words) = 0;

    template <class T>
    void values(const std::string& name, std::span<T> values) {
        array({name,
               state_type<T>(),
               sizeof(T),
               reinterpret_cast<std::byte*>(values.data()),
               1,
               values.size(),
               values.size()});
    }
    template <class T>
    void rows(const std::string& name, kernels::RowMatrix<T> rows) {
        array({name,
               state_type<T>(),
               sizeof(T),
               reinterpret_cast<std::byte*>(rows.data),
               rows.rows,
               rows.dim,
               rows.stride});
    }
    /// Whole numbers, flags and enums under one name; or fractions.
    template <class... T>
    void numbers(const std::string& name, T&... values) {
        constexpr bool kFractions = (std::is_floating_point_v<T> && ...);
        static_assert(kFractions || (!std::is_floating_point_v<T> && ...));
        std::array<std::uint64_t, sizeof...(T)> bits{to_bits(values)...};
        words(name, kFractions ? "F64" : "U64", bits);
        if (!restoring()) return;
        std::size_t i = 0;
        ((values = from_bits<T>(bits[i++])), ...);
    }

private:
    template <class T>
    static std::uint64_t to_bits(T value) noexcept {
        if constexpr (std::is_floating_point_v<T>)
            return std::bit_cast<std::uint64_t>(static_cast<double>(value));
        else
            return static_cast<std::uint64_t>(value);
    }
    template <class T>
    static T from_bits(std::uint64_t bits) noexcept {
        if constexpr (std::is_floating_point_v<T>)
            return static_cast<T>(std::bit_cast<double>(bits));
        else
            return static_cast<T>(bits);
    }
};

}  // namespace slidekit::nn
