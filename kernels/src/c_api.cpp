// The C interface: statuses, levels, and for each kernel a checked and a fast function (generated).
//
// The structs of C mirror those of C++ field by field, which the generated assertions hold, so that
// an argument is the same bytes seen as the other type.
#include <slidekit/kernels.h>

#include <bit>
#include <cstddef>

#include <slidekit/kernels/isa.hpp>

#include "kernel_checks.hpp"

namespace {

using namespace slidekit::kernels;
using detail::Depth;
using detail::Status;

slidekit_status to_c(Status status) noexcept { return static_cast<slidekit_status>(status); }

// By the bytes: no rule of aliasing is bent, and nothing is copied in the end.
template <class To, class From>
To as(const From& from) noexcept {
    return std::bit_cast<To>(from);
}

bool is_known(int isa) noexcept {
    for (const Isa known : kIsaLevels) {
        if (static_cast<int>(known) == isa) return true;
    }
    return false;
}

}  // namespace

extern "C" {

const char* slidekit_status_text(int status) {
    switch (status) {
        case SLIDEKIT_OK: return "ok";
        case SLIDEKIT_NULL_POINTER: return "an array or struct that is needed is null";
        case SLIDEKIT_INVALID_SIZE:
            return "a size is zero, too large, overflows or does not fit another one";
        case SLIDEKIT_OUT_OF_RANGE: return "an id is not below its bound";
        case SLIDEKIT_NOT_ASCENDING: return "ids, or starts of groups, do not ascend as they must";
        case SLIDEKIT_INVALID_PLAN: return "what a plan holds contradicts its sizes";
        case SLIDEKIT_INVALID_VALUE: return "an unknown value, or a number out of its range";
        case SLIDEKIT_UNSUPPORTED: return "this machine or this build cannot do it";
    }
    return "an unknown status";
}

uint32_t slidekit_kernels_version(void) { return SLIDEKIT_KERNELS_VERSION; }

slidekit_isa slidekit_active_isa(void) { return static_cast<slidekit_isa>(active_isa()); }

// The names are literals, and so end with a zero.
const char* slidekit_isa_name(int isa) {
    return is_known(isa) ? isa_name(static_cast<Isa>(isa)).data() : nullptr;
}

slidekit_status slidekit_select_isa(int isa) {
    if (!is_known(isa)) return SLIDEKIT_INVALID_VALUE;
    return select_isa(static_cast<Isa>(isa)) ? SLIDEKIT_OK : SLIDEKIT_UNSUPPORTED;
}

const char* slidekit_isa_complaint(void) {
    const std::string_view complaint = isa_complaint();
    return complaint.empty() ? "" : complaint.data();
}

size_t slidekit_hash_scratch_floats(size_t dim) {
    const bool fits = dim < detail::kTooLarge / sizeof(float) / 64;
    return fits ? hash_scratch_floats(dim) : 0;
}

#include "c_api_calls.inc"

}  // extern "C"
