// Built for the processor that it runs on (-march=native): the limit is the machine's, whatever
// level the kernels run at.
#include "machine.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "memory.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace slidekit::bench {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kVectorBytes = 64;
#elif defined(__AVX__)
constexpr std::size_t kVectorBytes = 32;
#else
constexpr std::size_t kVectorBytes = 16;
#endif
// Integers, since any bits may stand in a table, and some of them are slow as floats.
using Words [[gnu::vector_size(kVectorBytes)]] = std::int32_t;
using Floats [[gnu::vector_size(kVectorBytes)]] = float;

constexpr std::size_t kLine = 64;

Words load(const std::byte* at) {
    Words words;
    std::memcpy(&words, at, sizeof(words));
    return words;
}
void store(std::byte* at, Words words) { std::memcpy(at, &words, sizeof(words)); }

// Keeps a value that nothing else needs.
template <class T>
void keep(const T& value) {
    asm volatile("" : : "m"(value) : "memory");
}

// Eight sums: one would wait for itself.
Words read(const std::byte* data, std::size_t bytes) {
    Words sums[8] = {};
    std::size_t at = 0;
    for (; at + 8 * kVectorBytes <= bytes; at += 8 * kVectorBytes) {
#pragma GCC unroll 8
        for (std::size_t i = 0; i < 8; ++i) sums[i] += load(data + at + i * kVectorBytes);
    }
    for (; at + kVectorBytes <= bytes; at += kVectorBytes) sums[0] += load(data + at);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void rewrite(std::byte* data, std::size_t bytes, Words zero) {
#pragma GCC unroll 8
    for (std::size_t at = 0; at + kVectorBytes <= bytes; at += kVectorBytes)
        store(data + at, load(data + at) + zero);
}

// A zero that the compiler cannot see through.
Words opaque_zero() {
    Words zero = {};
    asm volatile("" : "+m"(zero));
    return zero;
}

// The shortest of some runs, each long enough to be timed.
template <class Run>
double seconds(Run run, int rounds) {
    using Clock = std::chrono::steady_clock;
    double best = 1e30;
    for (int round = 0; round < rounds; ++round) {
        const auto begin = Clock::now();
        run();
        best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
    }
    return best;
}

// The better of reading alone and of reading and writing: a first-level cache does both at once.
double stream(std::byte* data, std::size_t bytes, int rounds) {
    const std::size_t passes = std::max<std::size_t>(1, (std::size_t{16} << 20) / bytes);
    const Words zero = opaque_zero();
    const auto best = [&](auto pass) {
        const double time = seconds(
            [&] {
                for (std::size_t i = 0; i < passes; ++i) pass();
            },
            rounds);
        return static_cast<double>(bytes * passes) / time;
    };
    return std::max(best([&] { keep(read(data, bytes)); }),
                    2 * best([&] { rewrite(data, bytes, zero); }));
}

// `step` of 12 independent accumulators: two units of four or five cycles each are kept busy.
template <class Vector, class Step>
double operations(double each, Step step) {
    constexpr std::size_t kSteps = 100'000;
    constexpr std::size_t kChains = 12;
    const double time = seconds(
        [&] {
            Vector sums[kChains] = {};
            asm volatile("" : "+m"(sums));  // or the chains are one to the compiler
            for (std::size_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
                for (std::size_t c = 0; c < kChains; ++c) sums[c] = step(sums[c]);
            }
            keep(sums);
        },
        20);
    return each * static_cast<double>(kSteps * kChains) / time;
}

double f32_peak() {
    Floats factor = {};
    factor += 0.5F;
    asm volatile("" : "+m"(factor));
    return operations<Floats>(2 * kVectorBytes / sizeof(float),
                              [factor](Floats sum) { return sum * factor + factor; });
}

double bf16_peak([[maybe_unused]] double f32) {
#if defined(__AVX512BF16__)
    __m512i bits = _mm512_set1_epi16(0x3f80);
    asm volatile("" : "+m"(bits));
    const auto ones = std::bit_cast<__m512bh>(bits);
    return operations<__m512>(64, [ones](__m512 sum) { return _mm512_dpbf16_ps(sum, ones, ones); });
#else
    return f32;
#endif
}

double i8_peak([[maybe_unused]] double f32) {
#if defined(__AVX512VNNI__)
    __m512i ones = _mm512_set1_epi8(1);
    asm volatile("" : "+m"(ones));
    return operations<__m512i>(
        128, [ones](__m512i sum) { return _mm512_dpbusd_epi32(sum, ones, ones); });
#elif defined(__AVX2__)
    // Multiply, add pairs to 16 bits, pairs to 32 bits, add.
    __m256i ones = _mm256_set1_epi8(1);
    __m256i pairs = _mm256_set1_epi16(1);
    asm volatile("" : "+m"(ones), "+m"(pairs));
    return operations<__m256i>(64, [=](__m256i sum) {
        return _mm256_add_epi32(
            sum, _mm256_madd_epi16(_mm256_maddubs_epi16(ones, _mm256_xor_si256(sum, ones)), pairs));
    });
#else
    return f32;
#endif
}

// What sysconf does not know, sysfs may.
std::size_t cache_bytes(int name, int index, std::size_t otherwise) {
    const long known = ::sysconf(name);
    if (known > 0) return static_cast<std::size_t>(known);
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) +
                       "/size");
    std::size_t kibibytes = 0;
    return file >> kibibytes ? kibibytes * 1024 : otherwise;
}

}  // namespace

Caches read_caches() {
    return {cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 0, std::size_t{32} << 10),
            cache_bytes(_SC_LEVEL2_CACHE_SIZE, 2, std::size_t{1} << 20),
            cache_bytes(_SC_LEVEL3_CACHE_SIZE, 3, 0)};
}

Limits measure_limits(const Caches& caches) {
    Limits limits{};
    // Twice the last cache where that is a gigabyte at most: a larger cache serves part of it.
    const std::size_t large =
        std::clamp(2 * caches.l3_bytes, std::size_t{256} << 20, std::size_t{1} << 30);
    const Memory memory(large);
    std::memset(memory.data(), 1, large);
    limits.l1_bytes = stream(memory.data(), caches.l1_bytes / 2, 20);
    limits.l2_bytes = stream(memory.data(), caches.l2_bytes / 2, 20);
    limits.l3_bytes = stream(memory.data(), 4 * caches.l2_bytes, 10);
    limits.memory_bytes = stream(memory.data(), large, 3);
    limits.f32_flops = f32_peak();
    limits.bf16_flops = std::max(limits.f32_flops, bf16_peak(limits.f32_flops));
    limits.i8_flops = std::max(limits.f32_flops, i8_peak(limits.f32_flops));
    return limits;
}

void ask_for(const std::byte* row, std::size_t bytes, Fetch fetch) {
    for (std::size_t at = 0; at < bytes; at += kLine) {
        if (fetch == Fetch::into_l1) {
            __builtin_prefetch(row + at);
        } else {
            __builtin_prefetch(row + at, 0, 2);
        }
    }
}

void probe_rows(const std::vector<ProbedTable>& tables,
                const std::uint32_t* ids,
                std::size_t count,
                Fetch fetch) {
    const std::size_t ahead_bytes = fetch == Fetch::into_l1 ? 8192 : 16384;
    const Words zero = opaque_zero();
    Words sum = {};
    for (std::size_t i = 0; i < count; ++i) {
        for (const ProbedTable& table : tables) {
            const std::size_t ahead = std::max<std::size_t>(1, ahead_bytes / table.row_bytes);
            if (i + ahead < count) {
                ask_for(table.data + ids[i + ahead] * table.stride_bytes, table.row_bytes, fetch);
            }
            std::byte* row = table.data + ids[i] * table.stride_bytes;
            if (table.written) {
                rewrite(row, table.row_bytes, zero);
            } else {
                sum += read(row, table.row_bytes);
            }
        }
    }
    keep(sum);
}

void probe_sweep(const std::vector<ProbedTable>& tables) {
    const Words zero = opaque_zero();
    for (const ProbedTable& table : tables) {
        if (table.written) {
            rewrite(table.data, table.bytes, zero);
        } else {
            keep(read(table.data, table.bytes));
        }
    }
}

void flush_denormals() {
#if defined(__x86_64__)
    constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
    _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
#elif defined(__aarch64__)
    std::uint64_t control = 0;
    asm volatile("mrs %0, fpcr" : "=r"(control));
    asm volatile("msr fpcr, %0" : : "r"(control | std::uint64_t{1} << 24));
#endif
}

std::string cpu_name() {
    std::ifstream file("/proc/cpuinfo");
    std::string line, name = "unknown", family, model;
    while (std::getline(file, line) && !line.empty()) {
        const std::string value = line.substr(std::min(line.size(), line.find(':') + 2));
        if (line.starts_with("model name")) name = value;
        if (line.starts_with("cpu family")) family = " family " + value;
        if (line.starts_with("model\t")) model = " model " + value;
    }
    return name + family + model;
}

std::string huge_page_mode() {
    std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string word;
    while (file >> word) {
        if (word.starts_with('[')) return word.substr(1, word.size() - 2);
    }
    return "none";
}

std::size_t numa_nodes() {
    std::size_t nodes = 0;
    while (std::filesystem::exists("/sys/devices/system/node/node" + std::to_string(nodes)))
        ++nodes;
    return std::max<std::size_t>(nodes, 1);
}

}  // namespace slidekit::bench
