// Which instruction set the kernels run on, and how to force a level.
//
// The best level that the processor and the operating system support is chosen at the first call.
// The environment variable SLIDEKIT_ISA (scalar, avx2, avx512 or avx512bf16) lowers it;
// select_isa() does so from code.
#pragma once

#include <optional>
#include <string_view>

#include <slidekit/kernels/export.hpp>

namespace slidekit::kernels {

/// Levels in ascending order; a processor that supports one supports those before it. avx512bf16 is
/// avx512 with other kernels for bf16 and int8 (AVX-512 BF16 and VNNI); the rest are the same, and
/// so are their bits.
enum class Isa { scalar, avx2, avx512, avx512bf16 };

/// All levels that this build knows, ascending.
inline constexpr Isa kIsaLevels[] = {Isa::scalar, Isa::avx2, Isa::avx512, Isa::avx512bf16};

/// The level's name as SLIDEKIT_ISA takes it.
SLIDEKIT_API std::string_view isa_name(Isa isa) noexcept;

/// The level of that name, or nothing.
SLIDEKIT_API std::optional<Isa> parse_isa(std::string_view name) noexcept;

/// Whether this machine can run the level.
SLIDEKIT_API bool is_supported(Isa isa) noexcept;

/// The level in use. Thread-safe.
SLIDEKIT_API Isa active_isa() noexcept;

/// Whether the level in use multiplies bytes in AMX tiles (Sapphire Rapids and later): scans of whole
/// layers are then twice as fast. Same bits.
SLIDEKIT_API bool uses_byte_tiles() noexcept;

/// Makes `isa` the level in use; false, and no change, where the machine cannot run it.
/// Thread-safe, but kernels already running in other threads finish on the old level.
SLIDEKIT_API bool select_isa(Isa isa) noexcept;

/// A message about a SLIDEKIT_ISA that was not honoured (unknown, or not supported here); empty
/// otherwise. Libraries never print: the program shows it.
SLIDEKIT_API std::string_view isa_complaint() noexcept;

}  // namespace slidekit::kernels
