// Random numbers as values: a stream is named by (seed, purpose, index) and gives the same numbers
// on any thread, in any order of calls between streams. No global state, no clock.
//
// Counter-based: number i is a bijective mix of key + i * odd constant (SplitMix64, Steele et al.
// 2014), so that a stream is 16 bytes and costs nothing to make.
#pragma once

#include <cstdint>
#include <limits>

#include <slidekit/kernels/export.hpp>

namespace slidekit::system {

/// What the numbers are for, so that two uses of one seed never share a stream. An entry put in
/// between renumbers those behind it, and with them every model of a seed.
enum class Purpose : std::uint64_t {
    initial_weights = 1,
    shuffle = 2,
    hash_functions = 3,
    batch_negatives = 4,
    uniform_negatives = 5,
    reservoir = 6,
    synthetic = 8,
    test = 9,
    table_order = 10,
    label_query = 11,
    feature_dropout = 12,
    standout = 13,
    validation = 20,
};

/// The finaliser of SplitMix64: every bit of the result depends on every bit of x.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/// A UniformRandomBitGenerator of 64 bits.
class Stream {
public:
    using result_type = std::uint64_t;

    constexpr Stream(std::uint64_t seed,
                     Purpose purpose,
                     std::uint64_t index = 0,
                     std::uint64_t subindex = 0) noexcept
        : state_(mix64(
              mix64(mix64(mix64(seed + kGamma) + static_cast<std::uint64_t>(purpose) * kGamma) +
                    index * kGamma) +
              subindex * kGamma)) {}

    static constexpr result_type min() noexcept { return 0; }
    static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }

    constexpr result_type operator()() noexcept { return mix64(state_ += kGamma); }

    /// Uniform in [0, bound), by multiplication (Lemire 2019); bias under bound / 2^64. Requires:
    /// bound > 0.
    constexpr std::uint32_t below(std::uint32_t bound) noexcept {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::uint32_t>((static_cast<Wide>((*this)()) * bound) >> 64);
    }

    /// Uniform in [0, 1), 24 bits.
    constexpr float uniform() noexcept { return static_cast<float>((*this)() >> 40) * 0x1p-24F; }

    /// Standard normal (Box and Muller 1958, the cosine half).
    SLIDEKIT_API float normal() noexcept;

private:
    static constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15ULL;
    std::uint64_t state_;
};

}  // namespace slidekit::system
