// The one exception of the library: what went wrong in the outside world, where, and what to do
// about it.
#pragma once

#include <stdexcept>
#include <string>

#include <slidekit/kernels/export.hpp>

namespace slidekit {

/// What kind of thing failed; a program maps usage to exit code 2 and all others to 1.
enum class ErrorCode { usage, input, output, memory, unsupported, diverged };

/// "where: what", for instance "train.txt:17: feature 135909 out of range, the header says 135909
/// features (0..135908)". `where` names a file with line, an option or a resource.
class SLIDEKIT_API Error : public std::runtime_error {
public:
    Error(ErrorCode code, std::string where, const std::string& what);
    [[nodiscard]] ErrorCode code() const noexcept { return code_; }
    [[nodiscard]] const std::string& where() const noexcept { return where_; }

private:
    ErrorCode code_;
    std::string where_;
};

}  // namespace slidekit
