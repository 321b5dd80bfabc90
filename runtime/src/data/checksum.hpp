// A checksum at the speed of memory, against torn and rotten files, not against malice.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <slidekit/system/random.hpp>

namespace slidekit::data {

/// Of bytes that are added piece by piece; how they are cut does not matter. Four independent
/// lanes, so that the sum does not wait for one multiplication after the other.
class Checksum {
public:
    void add(std::span<const std::byte> bytes) noexcept {
        total_ += bytes.size();
        if (held_ > 0) {
            const std::size_t taken = std::min(bytes.size(), kWords - held_);
            std::copy_n(bytes.data(), taken, tail_.data() + held_);
            held_ += taken;
            bytes = bytes.subspan(taken);
            if (held_ < kWords) return;
            mix(tail_.data());
        }
        std::size_t at = 0;
        for (; at + kWords <= bytes.size(); at += kWords) mix(bytes.data() + at);
        held_ = bytes.size() - at;
        std::copy_n(bytes.data() + at, held_, tail_.data());
    }
    [[nodiscard]] std::uint64_t sum() const noexcept {
        std::uint64_t sum = total_;
        for (std::size_t i = 0; i < held_; ++i)
            sum = sum * kOdd + static_cast<std::uint64_t>(tail_[i]);
        for (const std::uint64_t lane : lanes_) sum = system::mix64(sum ^ lane);
        return sum;
    }

private:
    static constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ULL;
    static constexpr std::size_t kWords = 32;  // bytes of a word in each lane

    void mix(const std::byte* words) noexcept {
        for (std::size_t lane = 0; lane < 4; ++lane) {
            std::uint64_t word = 0;
            std::memcpy(&word, words + 8 * lane, 8);
            lanes_[lane] = std::rotl(lanes_[lane] ^ word, 29) * kOdd;
        }
    }

    std::array<std::uint64_t, 4> lanes_ = {1, 2, 3, 4};
    std::uint64_t total_ = 0;
    std::array<std::byte, kWords> tail_{};
    std::size_t held_ = 0;  // of tail_
};

[[nodiscard]] inline std::uint64_t checksum(std::span<const std::byte> bytes) noexcept {
    Checksum sum;
    sum.add(bytes);
    return sum.sum();
}

}  // namespace slidekit::data
