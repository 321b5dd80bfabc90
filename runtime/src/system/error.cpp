// The library's exception. The full text is made here, so that what() never allocates.
#include <slidekit/system/error.hpp>

#include <utility>

namespace slidekit {

Error::Error(ErrorCode code, std::string where, const std::string& what)
    : std::runtime_error(where.empty() ? what : where + ": " + what),
      code_(code),
      where_(std::move(where)) {}

}  // namespace slidekit
