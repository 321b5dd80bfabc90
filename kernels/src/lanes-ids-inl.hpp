// Ids in lanes: where in a sorted list they stand, and which of them are equal.
//
// Intrinsics, for these reasons: xsimd 8.1 has no permutes by a register, its gathers are scalar
// loads, and it has no fused addition under a mask. One struct of static functions a level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "simd-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// Positions are signed numbers, as gathers take them.
template <class Arch>
struct IdLanes;

#ifdef __AVX2__
template <>
struct IdLanes<Avx2> {
    using Register = __m256i;
    // AVX2 compares signed numbers only: ids have their highest bit turned while they are compared.
    struct Ids {
        __m256i turned;
    };

    static constexpr std::size_t kBlock = 16;
    // Some ids of a list, in order.
    static constexpr std::size_t kPivots = 32;
    struct Pivots {
        alignas(32) std::int32_t turned[kPivots];
        std::int32_t count;
    };

    static Register load_first(const std::uint32_t* p,
                               std::size_t n,
                               std::uint32_t fill = 0) noexcept {
        const __m256i wanted = Lanes<Avx2>::first(n);
        return _mm256_blendv_epi8(all(static_cast<std::int32_t>(fill)),
                                  _mm256_maskload_epi32(reinterpret_cast<const int*>(p), wanted),
                                  wanted);
    }
    static void store(std::int32_t* p, Register v) noexcept {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
    }
    static Register all(std::int32_t n) noexcept { return _mm256_set1_epi32(n); }
    static Ids comparable(Register v) noexcept {
        return {_mm256_xor_si256(v, all(std::numeric_limits<std::int32_t>::min()))};
    }
    static Register add(Register a, Register b) noexcept { return _mm256_add_epi32(a, b); }
    static Register multiply(Register a, std::int32_t b) noexcept {
        return _mm256_mullo_epi32(a, all(b));
    }
    static Register clamp(Register at, std::int32_t last) noexcept {
        return _mm256_min_epi32(_mm256_max_epi32(at, _mm256_setzero_si256()), all(last));
    }
    static Register gather(const std::uint32_t* list, Register at) noexcept {
        return _mm256_mask_i32gather_epi32(
            _mm256_setzero_si256(), reinterpret_cast<const int*>(list), at, all(-1), 4);
    }

    // list[i * step - shift] for each pivot i that the list has, of 0 the first.
    static Pivots pivots(const std::uint32_t* list,
                         std::int32_t step,
                         std::int32_t shift,
                         std::int32_t last) noexcept {
        Pivots made;
        made.count = 1;
        for (std::int32_t at = step - shift; at <= last; at += step) {
            made.turned[made.count++] =
                static_cast<std::int32_t>(list[at]) ^ std::numeric_limits<std::int32_t>::min();
        }
        return made;
    }
    // next where met is at most wanted, at elsewhere.
    static Register move_right(Register at, Register next, Ids met, Ids wanted) noexcept {
        return _mm256_blendv_epi8(next, at, _mm256_cmpgt_epi32(met.turned, wanted.turned));
    }
    // The last pivot that is at most the id; 0 where there is none. All are counted: compares have
    // three ports, while a search needs permutes of several registers, which have one.
    static Register find(const Pivots& pivots, Ids wanted) noexcept {
        __m256i at = all(pivots.count - 1);
        for (std::int32_t i = 1; i < pivots.count; ++i)
            at = add(at, _mm256_cmpgt_epi32(all(pivots.turned[i]), wanted.turned));
        return at;
    }

    // Adds value * values[j] where list[j] == id, for a block of the list. The product is masked,
    // not a factor: 0 times an infinity that meets nothing would be NaN.
    static void add_match(Floats<Avx2> (&sums)[4],
                          std::size_t which,
                          std::uint32_t id,
                          float value,
                          const std::uint32_t* list,
                          const float* values) noexcept {
        for (std::size_t j = 0; j < 2; ++j) {
            const auto* block = reinterpret_cast<const __m256i*>(list) + j;
            const __m256i equal =
                _mm256_cmpeq_epi32(_mm256_loadu_si256(block), all(static_cast<std::int32_t>(id)));
            const __m256 products =
                _mm256_mul_ps(_mm256_set1_ps(value), _mm256_loadu_ps(values + 8 * j));
            Floats<Avx2>& lanes = sums[which % 2 * 2 + j];
            lanes = _mm256_add_ps(lanes, _mm256_and_ps(_mm256_castsi256_ps(equal), products));
        }
    }
    // sums + values * value in the lanes whose ids are equal to the id.
    static __m256 add_equal(
        __m256 sums, Register ids, __m256 values, std::uint32_t id, float value) noexcept {
        const __m256i equal = _mm256_cmpeq_epi32(ids, all(static_cast<std::int32_t>(id)));
        const __m256 products = _mm256_mul_ps(values, _mm256_set1_ps(value));
        return _mm256_add_ps(sums, _mm256_and_ps(_mm256_castsi256_ps(equal), products));
    }

    // x[ids[j]] in lane j. By scalar loads: where this level is the best one, gathers are slow, by
    // design before Skylake and on Zen, by the microcode against Downfall after it.
    static __m256 pick(const float* x, const std::uint32_t* ids) noexcept {
        return _mm256_setr_ps(
            x[ids[0]], x[ids[1]], x[ids[2]], x[ids[3]], x[ids[4]], x[ids[5]], x[ids[6]], x[ids[7]]);
    }
};
#endif

#ifdef __AVX512BW__
template <>
struct IdLanes<Avx512> {
    using Register = __m512i;
    struct Ids {
        __m512i value;
    };

    static constexpr std::size_t kBlock = 16;
    static constexpr std::size_t kPivots = 32;
    struct Pivots {
        __m512i low, high;
    };

    static Register load_first(const std::uint32_t* p,
                               std::size_t n,
                               std::uint32_t fill = 0) noexcept {
        return _mm512_mask_loadu_epi32(
            all(static_cast<std::int32_t>(fill)), Lanes<Avx512>::first(n), p);
    }
    static void store(std::int32_t* p, Register v) noexcept { _mm512_storeu_si512(p, v); }
    static Register all(std::int32_t n) noexcept { return _mm512_set1_epi32(n); }
    static Ids comparable(Register v) noexcept { return {v}; }
    static Register add(Register a, Register b) noexcept { return _mm512_add_epi32(a, b); }
    static Register multiply(Register a, std::int32_t b) noexcept {
        return _mm512_mullo_epi32(a, all(b));
    }
    static Register clamp(Register at, std::int32_t last) noexcept {
        return _mm512_min_epi32(_mm512_max_epi32(at, _mm512_setzero_si512()), all(last));
    }
    static Register gather(const std::uint32_t* list, Register at) noexcept {
        return _mm512_mask_i32gather_epi32(
            _mm512_setzero_si512(), static_cast<__mmask16>(0xffff), at, list, 4);
    }

    static Pivots pivots(const std::uint32_t* list,
                         std::int32_t step,
                         std::int32_t shift,
                         std::int32_t last) noexcept {
        const __m512i lane =
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        const __m512i low = add(multiply(lane, step), all(-shift));
        const __m512i high = add(low, all(16 * step));
        return {gather(list, clamp(low, last)), gather(list, clamp(high, last))};
    }
    static Register move_right(Register at, Register next, Ids met, Ids wanted) noexcept {
        return _mm512_mask_mov_epi32(at, _mm512_cmple_epu32_mask(met.value, wanted.value), next);
    }
    static Register find(const Pivots& pivots, Ids wanted) noexcept {
        __m512i at = _mm512_setzero_si512();
        for (int half = kPivots / 2; half > 0; half /= 2) {
            const __m512i next = add(at, all(half));
            at = move_right(
                at, next, {_mm512_permutex2var_epi32(pivots.low, next, pivots.high)}, wanted);
        }
        return at;
    }

    static void add_match(Floats<Avx512> (&sums)[4],
                          std::size_t which,
                          std::uint32_t id,
                          float value,
                          const std::uint32_t* list,
                          const float* values) noexcept {
        const __mmask16 equal =
            _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(list), all(static_cast<std::int32_t>(id)));
        Floats<Avx512>& lanes = sums[which % 4];
        lanes = _mm512_mask3_fmadd_ps(_mm512_set1_ps(value), _mm512_loadu_ps(values), lanes, equal);
    }
    static __m512 add_equal(
        __m512 sums, Register ids, __m512 values, std::uint32_t id, float value) noexcept {
        const __mmask16 equal = _mm512_cmpeq_epi32_mask(ids, all(static_cast<std::int32_t>(id)));
        return _mm512_mask3_fmadd_ps(values, _mm512_set1_ps(value), sums, equal);
    }

    static __m512 pick(const float* x, const std::uint32_t* ids) noexcept {
        return Lanes<Avx512>::gather_first(x, _mm512_loadu_si512(ids), 16);
    }
};
#endif

}  // namespace
}  // namespace slidekit::kernels::detail
