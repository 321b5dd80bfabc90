// DOPH of sets, in four passes over the bins, none of which branches on the set:
//
// 1. ids are mixed in lanes, and each lowers its bin's minimum, one by one;
// 2. the codes of bins that are not empty move together into a list, in the order of the bins;
// 3. of bin b with r codes before it in the list, list[r - 1] is the nearest below and list[r] its
//    own or the nearest above: within a vector of bins r grows by less than the lanes, so both are
//    permutations of one load;
// 4. lane = table: a table's codes are l apart, so one load gives code j of as many tables as there
//    are lanes, and mixing needs no step across lanes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/doph.hpp>

#include "mix-lanes-inl.hpp"
#include "topk-inl.hpp"

namespace slidekit::kernels::detail {
namespace {

// For each byte: how many of its bits lie below each bit, and which are set, from the lowest on.
struct ByteRanks {
    std::uint64_t below[256];
    std::uint64_t set[256];
};

constexpr ByteRanks byte_ranks() noexcept {
    ByteRanks ranks{};
    for (unsigned byte = 0; byte < 256; ++byte) {
        std::uint64_t count = 0;
        for (unsigned bit = 0; bit < 8; ++bit) {
            ranks.below[byte] |= count << 8 * bit;
            if ((byte >> bit & 1) == 0) continue;
            ranks.set[byte] |= std::uint64_t{bit} << 8 * count;
            ++count;
        }
    }
    return ranks;
}
inline constexpr ByteRanks kByteRanks = byte_ranks();

// Intrinsics: xsimd 8.1 has no permutation by a variable, and no masks as bits.
template <class Arch>
struct SetLanes;

#ifdef __AVX2__
template <>
struct SetLanes<xsimd::fma3<xsimd::avx2>> {
    using Register = __m256i;
    static constexpr std::size_t kCount = 8;

    static Register load(const std::uint32_t* p) noexcept {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    }
    static void store(std::uint32_t* p, Register v) noexcept {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
    }
    // A bit a lane: 1 where v is not all ones.
    static std::uint32_t filled(Register v) noexcept {
        const __m256i empty = _mm256_cmpeq_epi32(v, _mm256_set1_epi32(-1));
        return ~static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(empty))) & 0xff;
    }
    // The lanes of the bits that are set, from the first lane on; the others hold anything.
    static Register compress(Register v, std::uint32_t bits) noexcept {
        return permute(v, widen(kByteRanks.set[bits]));
    }
    // How many bits are set below each lane.
    static Register ranks(std::uint32_t bits) noexcept { return widen(kByteRanks.below[bits]); }
    static Register permute(Register v, Register index) noexcept {
        return _mm256_permutevar8x32_epi32(v, index);
    }
    // a where the bit is 1, else b.
    static Register select(std::uint32_t bits, Register a, Register b) noexcept {
        const __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        const __m256i all = _mm256_set1_epi32(static_cast<int>(bits));
        return _mm256_blendv_epi8(b, a, _mm256_cmpeq_epi32(_mm256_and_si256(all, each), each));
    }

private:
    static Register widen(std::uint64_t bytes) noexcept {
        return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<std::int64_t>(bytes)));
    }
};
#endif

#ifdef __AVX512BW__
template <>
struct SetLanes<xsimd::avx512bw> {
    using Register = __m512i;
    static constexpr std::size_t kCount = 16;

    static Register load(const std::uint32_t* p) noexcept { return _mm512_loadu_si512(p); }
    static void store(std::uint32_t* p, Register v) noexcept { _mm512_storeu_si512(p, v); }
    static std::uint32_t filled(Register v) noexcept {
        return _mm512_cmpneq_epi32_mask(v, _mm512_set1_epi32(-1));
    }
    // In a register: a compressing store takes Zen 4 more than a hundred cycles.
    static Register compress(Register v, std::uint32_t bits) noexcept {
        return _mm512_maskz_compress_epi32(static_cast<__mmask16>(bits), v);
    }
    static Register ranks(std::uint32_t bits) noexcept {
        constexpr std::uint64_t kEachByte = 0x0101010101010101ULL;
        const std::uint32_t low = bits & 0xff;
        const std::uint64_t below = static_cast<std::uint64_t>(std::popcount(low)) * kEachByte;
        const std::uint64_t high = kByteRanks.below[bits >> 8] + below;
        return _mm512_cvtepu8_epi32(_mm_set_epi64x(
            static_cast<std::int64_t>(high), static_cast<std::int64_t>(kByteRanks.below[low])));
    }
    static Register permute(Register v, Register index) noexcept {
        return _mm512_permutexvar_epi32(index, v);
    }
    static Register select(std::uint32_t bits, Register a, Register b) noexcept {
        return _mm512_mask_mov_epi32(b, static_cast<__mmask16>(bits), a);
    }
};
#endif

// What scratch holds: the codes, then, with room for a vector on both sides, the list of those that
// are there. Both may be written up to a vector past their end, and the codes read up to four.
struct DophScratch {
    DophScratch(float* scratch, std::size_t bins) noexcept
        : codes(reinterpret_cast<std::uint32_t*>(scratch)), list(codes + bins + 64 + 16) {}
    std::uint32_t* codes;
    std::uint32_t* list;
};

template <class Arch>
[[gnu::always_inline]] inline void lower_bins(const DophPlan& plan,
                                              const std::uint32_t* ids,
                                              std::size_t nnz,
                                              std::uint32_t* codes) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    constexpr std::size_t kBlock = 64;
    const std::uint64_t bins = std::uint64_t{plan.k} * plan.l;
    alignas(64) std::uint32_t mixed[kBlock];
    for (std::size_t first = 0; first < nnz; first += kBlock) {
        const std::size_t n = nnz - first < kBlock ? nnz - first : kBlock;
        std::size_t i = 0;
        for (; i + kCount <= n; i += kCount) {
            mix32<Arch>(Bits<Arch>::load_unaligned(ids + first + i), Bits<Arch>(plan.seed))
                .store_aligned(mixed + i);
        }
        for (; i < n; ++i) mixed[i] = mix32(ids[first + i], plan.seed);
        for (i = 0; i < n; ++i) {
            const std::uint32_t h = mixed[i];
            std::uint32_t& code = codes[h * bins >> 32];
            code = h < code ? h : code;
        }
    }
}

// Gives each empty bin the code that it borrows.
template <class Arch>
[[gnu::always_inline]] inline void densify(const DophPlan& plan, const DophScratch& at) noexcept {
    using Set = SetLanes<Arch>;
    const std::size_t bins = std::size_t{plan.k} * plan.l;
    std::size_t count = 0;
    for (std::size_t b = 0; b < bins; b += Set::kCount) {
        const auto codes = Set::load(at.codes + b);
        const std::uint32_t filled = Set::filled(codes);
        Set::store(at.list + count, Set::compress(codes, filled));
        count += static_cast<std::size_t>(std::popcount(filled));
    }
    if (count == 0) return;
    const std::uint32_t* list = at.list;
    at.list[count] = list[0];
    *(at.list - 1) = list[count - 1];

    std::size_t rank = 0;
    std::uint32_t below = 0;
    for (std::size_t b = 0; b < bins; b += Set::kCount) {
        below = b % 32 == 0 ? mix32(static_cast<std::uint32_t>(b / 32), ~plan.seed)
                            : below >> Set::kCount;
        const std::uint32_t filled = Set::filled(Set::load(at.codes + b));
        const auto ranks = Set::ranks(filled);
        const auto from_below = Set::permute(Set::load(list + rank - 1), ranks);
        const auto own_or_above = Set::permute(Set::load(list + rank), ranks);
        Set::store(at.codes + b, Set::select(below & ~filled, from_below, own_or_above));
        rank += static_cast<std::size_t>(std::popcount(filled));
    }
}

template <class Arch>
[[gnu::always_inline]] inline void mix_codes(const DophPlan& plan,
                                             const std::uint32_t* codes,
                                             std::uint32_t* keys,
                                             std::size_t table_stride) noexcept {
    constexpr std::size_t kCount = Lanes<Arch>::kCount;
    // Four vectors at once: a mix takes long, and the next one of the same table waits for it.
    constexpr std::size_t kAtOnce = 4;
    for (std::size_t t = 0; t < plan.l; t += kAtOnce * kCount) {
        Bits<Arch> h[kAtOnce];
        for (Bits<Arch>& lanes : h) lanes = Bits<Arch>(plan.seed);
        for (std::size_t j = 0; j < plan.k; ++j) {
            const std::uint32_t* const code = codes + j * plan.l + t;
            for (std::size_t u = 0; u < kAtOnce; ++u)
                h[u] = mix32<Arch>(Bits<Arch>::load_unaligned(code + u * kCount), h[u]);
        }
        for (std::size_t u = 0; u < kAtOnce && t + u * kCount < plan.l; ++u) {
            const Bits<Arch> key = h[u] >> static_cast<std::int32_t>(32 - plan.bits);
            store_keys<Arch>(keys, table_stride, t + u * kCount, plan.l - t - u * kCount, key);
        }
    }
}

template <class Arch>
[[gnu::always_inline]] inline void hash_set(const DophPlan& plan,
                                            const std::uint32_t* ids,
                                            std::size_t nnz,
                                            std::uint32_t* keys,
                                            std::size_t table_stride,
                                            float* scratch) noexcept {
    const std::size_t bins = std::size_t{plan.k} * plan.l;
    const DophScratch at(scratch, bins);
    // The bins past the last one stay empty.
    for (std::size_t b = 0; b < bins + 16; b += Lanes<Arch>::kCount)
        Bits<Arch>(0xffffffffU).store_unaligned(at.codes + b);
    lower_bins<Arch>(plan, ids, nnz, at.codes);
    densify<Arch>(plan, at);
    const std::uint32_t* codes = at.codes;
    if (plan.order != nullptr) {
        for (std::size_t c = 0; c < bins; ++c) at.list[c] = at.codes[plan.order[c]];
        codes = at.list;
    }
    mix_codes<Arch>(plan, codes, keys, table_stride);
}

template <class Arch>
[[gnu::always_inline]] inline void hash_top(const DophPlan& plan,
                                            const float* x,
                                            std::size_t dim,
                                            std::uint32_t* keys,
                                            std::size_t table_stride,
                                            float* scratch) noexcept {
    std::uint32_t* positions = reinterpret_cast<std::uint32_t*>(scratch);
    const std::size_t nnz = select_top_k<Arch>(x, dim, plan.top, positions);
    hash_set<Arch>(plan, positions, nnz, keys, table_stride, scratch + plan.top);
}

template <class Arch>
void hash_doph_set(const DophPlan& plan,
                   const std::uint32_t* ids,
                   std::size_t nnz,
                   std::uint32_t* keys,
                   float* scratch) noexcept {
    hash_set<Arch>(plan, ids, nnz, keys, 1, scratch);
}

template <class Arch>
void hash_doph(const DophPlan& plan,
               const float* x,
               std::size_t dim,
               std::uint32_t* keys,
               float* scratch) noexcept {
    hash_top<Arch>(plan, x, dim, keys, 1, scratch);
}

template <class Arch>
void hash_doph_rows(const DophPlan& plan,
                    RowMatrix<const float> rows,
                    const float* centre,
                    std::uint32_t* keys,
                    KeyLayout layout,
                    float* scratch) noexcept {
    for (std::size_t r = 0; r < rows.rows; ++r) {
        const float* x = rows.row(r);
        if (centre != nullptr) {
            for (std::size_t c = 0; c < rows.dim; ++c) scratch[c] = x[c] - centre[c];
            x = scratch;
        }
        std::uint32_t* const out = keys + r * layout.row_stride;
        hash_top<Arch>(plan, x, rows.dim, out, layout.table_stride, scratch + rows.dim);
    }
}

}  // namespace
}  // namespace slidekit::kernels::detail
