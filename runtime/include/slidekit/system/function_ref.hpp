// A borrowed callable: two words, no allocation, for loops whose body is a lambda of the caller.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace slidekit::system {

template <class Signature>
class FunctionRef;

/// Valid as long as the callable that it was made from.
template <class Result, class... Arguments>
class FunctionRef<Result(Arguments...)> {
public:
    template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>) FunctionRef(F&& callable)
    noexcept  // NOLINT(google-explicit-constructor): it stands in for the lambda
        : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
          call_([](void* object, Arguments... arguments) -> Result {
              return (*static_cast<std::remove_reference_t<F>*>(object))(
                  std::forward<Arguments>(arguments)...);
          }) {}

    Result operator()(Arguments... arguments) const {
        return call_(object_, std::forward<Arguments>(arguments)...);
    }

private:
    void* object_;
    Result (*call_)(void*, Arguments...);
};

}  // namespace slidekit::system
