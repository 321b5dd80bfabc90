// Names of choices in model files and checkpoints, in the order of their enums and spelt as the
// program's flags have them. An entry put in between would rename what older files hold.
#pragma once

#include <array>

namespace slidekit::train {

inline constexpr std::array kFamilies = {
    "simhash", "hadamard", "dwta", "wta", "doph", "pstable", "crosspolytope", "sparse-dwta"};
inline constexpr std::array kPackings = {"concat", "slide-compat"};
inline constexpr std::array kCentres = {"on", "off"};

}  // namespace slidekit::train
