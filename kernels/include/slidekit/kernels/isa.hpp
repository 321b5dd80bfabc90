// Which instruction set the kernels run on, and how to force a level.
//
// The best level that the processor and the operating system support is chosen at the first call.
// The environment variable SLIDEKIT_ISA (scalar, avx2 or avx512) lowers it; select_isa() does so
// from code.
#pragma once

#include <optional>
#include <string_view>

#include <slidekit/kernels/export.hpp>

namespace slidekit::kernels {

/// Levels in ascending order; a processor that supports one supports those before it.
enum class Isa { scalar, avx2, avx512 };

/// All levels that this build knows, ascending.
inline constexpr Isa kIsaLevels[] = {Isa::scalar, Isa::avx2, Isa::avx512};

/// The level's name as SLIDEKIT_ISA takes it.
SLIDEKIT_API std::string_view isa_name(Isa isa) noexcept;

/// The level of that name, or nothing.
SLIDEKIT_API std::optional<Isa> parse_isa(std::string_view name) noexcept;

/// Whether this machine can run the level.
SLIDEKIT_API bool is_supported(Isa isa) noexcept;

/// The level in use. Thread-safe.
SLIDEKIT_API Isa active_isa() noexcept;

/// Makes `isa` the level in use; false, and no change, where the machine cannot run it.
/// Thread-safe, but kernels already running in other threads finish on the old level.
SLIDEKIT_API bool select_isa(Isa isa) noexcept;

/// A message about a SLIDEKIT_ISA that was not honoured (unknown, or not supported here); empty
/// otherwise. Libraries never print: the program shows it.
SLIDEKIT_API std::string_view isa_complaint() noexcept;

}  // namespace slidekit::kernels
