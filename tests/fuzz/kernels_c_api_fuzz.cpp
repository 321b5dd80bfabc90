// libFuzzer target: any kernel of the list by its C functions, on any level, with any sizes and
// data, right and wrong.
//
// An input chooses the kernel, the level, the sizes, every value, and what goes wrong (null
// pointers, sizes that overflow, ids out of range, broken groups and plans). All arrays lie against
// guard pages. A call that is refused must touch no output; an exact kernel must give the bits of
// the scalar level.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <slidekit/kernels.h>
#include <slidekit/kernels/isa.hpp>

#include "guarded_arguments.hpp"
#include "kernel_calls.hpp"

namespace slidekit::kernels {
namespace {

using test::Arguments;
using test::Data;

// The numbers of an input; where it has ended, numbers that follow from those before.
class Bytes {
public:
    Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

    std::uint8_t byte() {
        if (at_ < size_) return data_[at_++];
        return static_cast<std::uint8_t>(mixed_ = mixed_ * 6364136223846793005ULL +
                                                  1442695040888963407ULL);
    }
    std::uint64_t bits() {
        std::uint64_t value = 0;
        for (int i = 0; i < 8 && at_ < size_; ++i) value = value << 8 | byte();
        mixed_ += value;
        std::uint64_t z = (mixed_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(bits() % n); }
    bool mishap() { return at_ < size_ && byte() > 0xf8; }

private:
    const std::uint8_t* data_;
    std::size_t size_;
    std::size_t at_ = 0;
    std::uint64_t mixed_ = 1;
};

void require(bool holds) {
    if (!holds) std::abort();
}

template <class Entry>
void run(Bytes bytes) {
    const auto level = static_cast<Isa>(bytes.byte() % std::size(kIsaLevels));
    if (!select_isa(level)) return;
    const auto guard = bytes.byte() % 2 == 0 ? test::Guard::before : test::Guard::after;
    const auto data = static_cast<Data>(bytes.byte() % 6);
    std::size_t sizes[Entry::size_count];
    for (std::size_t i = 0; i < Entry::size_count; ++i) {
        const std::size_t n = bytes.byte() % 4 == 0 ? bytes.byte() : bytes.byte() % 40;
        sizes[i] = std::clamp(n, Entry::limits[i].least, Entry::limits[i].most);
    }
    constexpr std::size_t kMostWork = std::size_t{1} << 20;
    if (calls::product_of_sizes<Entry>(sizes) > kMostWork) return;
    Arguments<Bytes> arguments(bytes, guard, data);
    const auto call = Entry::call(arguments, sizes);
    const auto before = arguments.outputs();
    const slidekit_status status = calls::call_c<Entry>(call, &Entry::checked);
    const auto after = arguments.outputs();
    if (status != SLIDEKIT_OK) {
        require(after == before);
        return;
    }
    // What the checked form accepts, the fast form does just so.
    arguments.restore(before);
    require(calls::call_c<Entry>(call, &Entry::fast) == SLIDEKIT_OK);
    if (Entry::agreement != calls::Agreement::exact) return;
    require(arguments.outputs() == after);
    arguments.restore(before);
    select_isa(Isa::scalar);
    require(calls::call_c<Entry>(call, &Entry::checked) == SLIDEKIT_OK);
    require(arguments.outputs() == after);
}

}  // namespace
}  // namespace slidekit::kernels

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slidekit::kernels;
    std::size_t count = 0;
    calls::for_each_kernel([&](auto) { ++count; });
    Bytes bytes(data, size);
    // Of two bytes: there may be more kernels than one can tell.
    const std::size_t high = bytes.byte();
    const std::size_t chosen = (high << 8 | bytes.byte()) % count;
    std::size_t at = 0;
    try {
        calls::for_each_kernel([&](auto entry) {
            if (at++ == chosen) run<decltype(entry)>(bytes);
        });
    } catch (const slidekit::test::NoSuchArguments&) {
    }
    return 0;
}
