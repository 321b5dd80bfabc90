// Keys cut out of a stream of one-bit codes.
//
// The stream is in bytes, the first code in the most significant bit of the first byte, so that the
// K codes of a table, first one most significant, are K bits in a row of a big-endian number.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lanes-inl.hpp"
#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// keys[t * stride] = bits t k .. t k + k - 1 of the stream, k <= 24. Reads up to 64 bytes past
// them.
template <class Arch>
inline void cut_keys(const std::uint8_t* stream,
                     std::size_t k,
                     std::size_t tables,
                     std::uint32_t* keys,
                     std::size_t stride) noexcept {
    for (std::size_t t = 0; t < tables; ++t) {
        const std::size_t bit = t * k;
        std::uint32_t word = 0;
        __builtin_memcpy(&word, stream + bit / 8, sizeof(word));
        keys[t * stride] = __builtin_bswap32(word) << bit % 8 >> (32 - k);
    }
}

#ifdef __AVX512BW__
// Sixteen keys at once where a key spans two words of 16 bits at most: sixteen times K bits end on
// a word, so that the words which a lane needs, and the shift, are the same each time.
template <>
inline void cut_keys<Avx512>(const std::uint8_t* stream,
                             std::size_t k,
                             std::size_t tables,
                             std::uint32_t* keys,
                             std::size_t stride) noexcept {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i bit = _mm512_mullo_epi32(lane, _mm512_set1_epi32(static_cast<int>(k)));
    const __m512i word = _mm512_srli_epi32(bit, 4);
    const __m512i words =
        _mm512_or_si512(_mm512_slli_epi32(word, 16), _mm512_add_epi32(word, _mm512_set1_epi32(1)));
    const __m512i left = _mm512_and_si512(bit, _mm512_set1_epi32(15));
    const __m128i right = _mm_cvtsi32_si128(static_cast<int>(32 - k));
    std::size_t t = 0;
    for (; k <= 17 && t < tables; t += 16) {
        const __m512i at = _mm512_loadu_si512(stream + t / 8 * k);
        const __m512i big = _mm512_or_si512(_mm512_slli_epi16(at, 8), _mm512_srli_epi16(at, 8));
        const __m512i joined = _mm512_permutexvar_epi16(words, big);
        const __m512i key = _mm512_srl_epi32(_mm512_sllv_epi32(joined, left), right);
        const std::size_t n = tables - t < 16 ? tables - t : 16;
        if (stride == 1) {
            _mm512_mask_storeu_epi32(keys + t, Lanes<Avx512>::first(n), key);
            continue;
        }
        alignas(64) std::uint32_t lanes[16];
        _mm512_store_si512(lanes, key);
        for (std::size_t i = 0; i < n; ++i) keys[(t + i) * stride] = lanes[i];
    }
    for (; t < tables; ++t) {
        const std::size_t first = t * k;
        std::uint32_t bits = 0;
        __builtin_memcpy(&bits, stream + first / 8, sizeof(bits));
        keys[t * stride] = __builtin_bswap32(bits) << first % 8 >> (32 - k);
    }
}
#endif

// Takes codes piece by piece, and writes the keys of l tables in all; codes past these are dropped.
template <class Arch>
class KeyStream {
public:
    static constexpr std::size_t kMostAtOnce = 512;  // bytes: the longest block of a HadamardPlan

    KeyStream(std::size_t k, std::size_t l, std::uint32_t* keys, std::size_t stride) noexcept
        : k_(k), left_(l), keys_(keys), stride_(stride) {}

    // Where the next `bytes` bytes of codes go.
    std::uint8_t* extend(std::size_t bytes) noexcept {
        if (used_ + bytes > kBytes) cut(8 * used_ / k_ / 16 * 16);
        std::uint8_t* const at = bytes_ + used_;
        used_ += bytes;
        return at;
    }

    void finish() noexcept { cut(left_); }

private:
    static constexpr std::size_t kBytes = 2 * kMostAtOnce;

    // By sixteens until the last time, so that what is left over starts with a byte.
    void cut(std::size_t tables) noexcept {
        if (tables > left_) tables = left_;
        cut_keys<Arch>(bytes_, k_, tables, keys_, stride_);
        keys_ += tables * stride_;
        left_ -= tables;
        const std::size_t bytes = tables * k_ / 8;
        used_ -= bytes;
        __builtin_memmove(bytes_, bytes_ + bytes, used_);
    }

    std::size_t k_;
    std::size_t left_;  // tables
    std::uint32_t* keys_;
    std::size_t stride_;
    std::size_t used_ = 0;  // bytes
    alignas(64) std::uint8_t bytes_[kBytes + 64];
};

}  // namespace
}  // namespace slidekit::kernels::detail
