// Choice of the level, once, and the public functions: one indirect call each.
#include <atomic>
#include <cassert>
#include <cstdlib>

#ifdef SLIDEKIT_HAVE_AMXINT8
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#include <slidekit/kernels/isa.hpp>

#include "kernel_checks.hpp"
#include "table.hpp"

namespace slidekit::kernels {
namespace {

using detail::KernelTable;

#ifdef SLIDEKIT_HAVE_AMXINT8
// Tiles are 8 KB of state a thread, which Linux saves for those processes only that have asked.
// __builtin_cpu_supports of clang 14 does not know them; where the system does not, it refuses.
bool may_use_tiles() noexcept {
#ifdef __linux__
    constexpr unsigned kTilesOfBytes = 3U << 24;  // AMX-TILE and AMX-INT8
    constexpr int kRequestPermission = 0x1023;
    constexpr int kTileData = 18;
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kTilesOfBytes) == kTilesOfBytes &&
           ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
    return false;
#endif
}
#endif

#ifdef SLIDEKIT_HAVE_AVX512
// A level's table with the forms that this very processor runs faster.
template <const KernelTable* (*kLevel)() noexcept>
const KernelTable* table_here() noexcept {
    static const KernelTable table = [] {
        KernelTable all = *kLevel();
        if (__builtin_cpu_supports("avx512vbmi")) detail::use_avx512vbmi(all);
#ifdef SLIDEKIT_HAVE_AMXINT8
        if (kLevel == detail::avx512bf16_table && may_use_tiles()) detail::use_amxint8(all);
#endif
        return all;
    }();
    return &table;
}
#endif

const KernelTable* table_of(Isa isa) noexcept {
    switch (isa) {
#ifdef SLIDEKIT_HAVE_AVX2
        case Isa::avx2: return detail::avx2_table();
#endif
#ifdef SLIDEKIT_HAVE_AVX512
        case Isa::avx512: return table_here<detail::avx512_table>();
#endif
#ifdef SLIDEKIT_HAVE_AVX512BF16
        case Isa::avx512bf16: return table_here<detail::avx512bf16_table>();
#endif
        default: return detail::scalar_table();
    }
}

struct Choice {
    Isa isa = Isa::scalar;
    std::string_view complaint;
};

Isa best_supported() noexcept {
    Isa best = Isa::scalar;
    for (const Isa isa : kIsaLevels) {
        if (is_supported(isa)) best = isa;
    }
    return best;
}

Choice choose() noexcept {
    Choice choice{.isa = best_supported(), .complaint = {}};
    const char* asked = std::getenv("SLIDEKIT_ISA");
    if (asked == nullptr || *asked == '\0') return choice;
    const std::optional<Isa> isa = parse_isa(asked);
    if (!isa) {
        choice.complaint =
            "SLIDEKIT_ISA names no known level (scalar, avx2, avx512, avx512bf16): using the best "
            "one supported";
    } else if (!is_supported(*isa)) {
        choice.complaint =
            "SLIDEKIT_ISA names a level that this machine cannot run: using the best one supported";
    } else {
        choice.isa = *isa;
    }
    return choice;
}

const Choice& initial_choice() noexcept {
    static const Choice choice = choose();
    return choice;
}

struct Active {
    std::atomic<const KernelTable*> table;
    std::atomic<Isa> isa;
};

Active& active() noexcept {
    static Active state{{table_of(initial_choice().isa)}, {initial_choice().isa}};
    return state;
}

}  // namespace

std::string_view isa_name(Isa isa) noexcept {
    switch (isa) {
        case Isa::avx2: return "avx2";
        case Isa::avx512: return "avx512";
        case Isa::avx512bf16: return "avx512bf16";
        default: return "scalar";
    }
}

std::optional<Isa> parse_isa(std::string_view name) noexcept {
    for (const Isa isa : kIsaLevels) {
        if (isa_name(isa) == name) return isa;
    }
    return std::nullopt;
}

// __builtin_cpu_supports asks XGETBV too, so a kernel that does not save the wide registers is
// heard.
bool is_supported(Isa isa) noexcept {
    switch (isa) {
#ifdef SLIDEKIT_HAVE_AVX2
        case Isa::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#ifdef SLIDEKIT_HAVE_AVX512
        case Isa::avx512:
            return is_supported(Isa::avx2) && __builtin_cpu_supports("avx512f") &&
                   __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
#ifdef SLIDEKIT_HAVE_AVX512BF16
        case Isa::avx512bf16:
            return is_supported(Isa::avx512) && __builtin_cpu_supports("avx512bf16") &&
                   __builtin_cpu_supports("avx512vnni");
#endif
        default: return isa == Isa::scalar;
    }
}

Isa active_isa() noexcept { return active().isa.load(std::memory_order_relaxed); }

bool uses_byte_tiles() noexcept {
#ifdef SLIDEKIT_HAVE_AMXINT8
    static const bool tiles = may_use_tiles();
    return tiles && active_isa() == Isa::avx512bf16;
#else
    return false;
#endif
}

bool select_isa(Isa isa) noexcept {
    if (!is_supported(isa)) return false;
    active().table.store(table_of(isa), std::memory_order_release);
    active().isa.store(isa, std::memory_order_relaxed);
    return true;
}

std::string_view isa_complaint() noexcept { return initial_choice().complaint; }

// In debug builds the contract of kernels.def is asserted.
#define SLIDEKIT_KERNEL(name, result, parameters, arguments, ...)              \
    result name parameters noexcept {                                          \
        assert(detail::check_##name arguments == detail::Status::ok);          \
        return active().table.load(std::memory_order_acquire)->name arguments; \
    }
#include "kernels.def"
#undef SLIDEKIT_KERNEL

}  // namespace slidekit::kernels
