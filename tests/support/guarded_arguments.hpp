// Arguments for any kernel, in memory whose neighbouring pages nobody may touch.
//
// Every array lies against a guard page, so that a read or write past its end (or, in the other
// placement, before its start) kills the test where it happens; against the second guard its start
// has whatever alignment its length leaves. The maker remembers all arrays, so that a call can be
// repeated on equal inputs and its outputs compared.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include "argument_structs.hpp"
#include "guarded_buffer.hpp"
#include "kernel_entries.hpp"

namespace slidekit::test {

/// What floats an argument holds.
enum class Data { normal, relu, ties, tiny, huge, special };

/// Memory between guards, used again for the next arrays of its size: mapping takes longer than
/// most kernels.
class GuardedPages {
public:
    static std::byte* take(std::size_t pages) {
        std::vector<std::byte*>& free = pool()[pages];
        if (free.empty()) return map(pages);
        std::byte* memory = free.back();
        free.pop_back();
        return memory;
    }
    static void give(std::size_t pages, std::byte* memory) { pool()[pages].push_back(memory); }
    static std::size_t page_bytes() {
        static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        return bytes;
    }

private:
    static std::map<std::size_t, std::vector<std::byte*>>& pool() {
        static std::map<std::size_t, std::vector<std::byte*>> pages;
        return pages;
    }
    static std::byte* map(std::size_t pages) {
        const std::size_t inner = pages * page_bytes();
        void* memory = ::mmap(
            nullptr, inner + 2 * page_bytes(), guard_access(), MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        std::byte* usable = static_cast<std::byte*>(memory) + page_bytes();
        if (inner > 0 && ::mprotect(usable, inner, PROT_READ | PROT_WRITE) != 0)
            throw std::bad_alloc();
        return usable;
    }
};

/// Thrown where no arguments of these sizes exist: ids below 0, or more distinct ids than there
/// are.
struct NoSuchArguments {};

/// `Source` gives numbers as Draw does. Where it has a mishap(), and that is true, something is
/// wrong with what is made: a null pointer, an id out of range, a size that overflows.
template <class Source>
class Arguments {
public:
    using Order = kernels::calls::Order;

    Arguments(Source source, Guard guard, Data data) : draw_(source), guard_(guard), data_(data) {}
    Arguments(const Arguments&) = delete;
    Arguments& operator=(const Arguments&) = delete;
    ~Arguments() {
        for (const Block& block : blocks_) GuardedPages::give(block.pages, block.base);
    }

    template <class T>
    const T* input(std::size_t n) {
        return filled<T>(n, Role::input);
    }
    template <class T>
    T* output(std::size_t n) {
        return filled<T>(n, Role::output);
    }
    template <class T>
    T* scratch(std::size_t n) {
        return filled<T>(n, Role::scratch);
    }
    template <class T>
    T* nonnegative(std::size_t n) {
        T* values = output<T>(n);
        if (n > kMostElements) n = 0;
        for (std::size_t i = 0; values != nullptr && i < n; ++i) values[i] = std::abs(values[i]);
        return values;
    }
    template <class T>
    const T* below(std::size_t n, std::size_t bound, Order order) {
        if (n > kMostElements) return allocate<T>(0, Role::index);
        if (n > (order == Order::ascending ? bound : bound > 0 ? n : 0)) throw NoSuchArguments{};
        T* ids = allocate<T>(n, Role::index);
        for (std::size_t i = 0; i < n; ++i)
            ids[i] = static_cast<T>(draw_.below(std::min(bound, kMostElements)));
        if (order == Order::ascending) ascend(ids, n, std::min(bound, kMostElements));
        if (n > 0 && mishap()) ids[draw_.below(n)] = static_cast<T>(draw_.bits());
        return mishap() ? nullptr : ids;
    }
    template <class T>
    kernels::RowMatrix<const T> input_matrix(std::size_t rows, std::size_t dim) {
        return matrix<T>(rows, dim, Role::input);
    }
    template <class T>
    kernels::RowMatrix<T> output_matrix(std::size_t rows, std::size_t dim) {
        return matrix<T>(rows, dim, Role::output);
    }
    kernels::SparseView sparse(std::size_t nnz, std::size_t bound, Order order) {
        return {below<std::uint32_t>(nnz, bound, order), input<float>(nnz), nnz};
    }
    // Every group may have any share of the pairs, none included; slots in no order, some unused.
    kernels::GroupsView groups(std::size_t count,
                               std::size_t pairs,
                               std::size_t rows,
                               std::size_t vectors) {
        constexpr std::size_t kFirst = 2;
        const std::size_t slots = pairs + 3;
        if (pairs > 0 && (count == 0 || vectors == 0)) throw NoSuchArguments{};
        const std::uint32_t* ids = below<std::uint32_t>(count, rows, Order::ascending);
        auto* starts = allocate<std::uint32_t>(count + 1, Role::index);
        auto* members = allocate<kernels::Member>(kFirst + pairs, Role::index);
        std::vector<std::uint32_t> cuts(count + 1, u32(kFirst));
        for (std::size_t g = 1; g < count; ++g) cuts[g] = u32(kFirst + draw_.below(pairs + 1));
        cuts[count] = u32(count == 0 ? kFirst : kFirst + pairs);
        std::sort(cuts.begin(), cuts.end());
        std::copy(cuts.begin(), cuts.end(), starts);
        std::vector<std::uint32_t> order(slots);
        for (std::size_t i = 0; i < slots; ++i) order[i] = u32(i);
        for (std::size_t i = 0; i < slots; ++i)
            std::swap(order[i], order[i + draw_.below(slots - i)]);
        for (std::size_t p = 0; p < pairs; ++p)
            members[kFirst + p] = {u32(draw_.below(std::min(vectors, kMostElements))), order[p]};
        if (pairs > 0 && mishap()) members[kFirst + draw_.below(pairs)].slot = u32(draw_.bits());
        if (pairs > 0 && mishap()) members[kFirst + draw_.below(pairs)].vector = u32(draw_.bits());
        if (mishap()) std::swap(starts[0], starts[count]);
        return {mishap() ? nullptr : ids, starts, members, count, slots};
    }
    kernels::StridedMatrix strided(std::size_t rows, std::size_t columns) {
        const float* data = input<float>(rows * columns);
        if (draw_.below(2) == 0) return {data, rows, columns, columns, 1};
        return {data, rows, columns, 1, rows};
    }
    template <class Plan, class... Sizes>
    Plan plan(Sizes... sizes) {
        Draw draw(draw_.bits());
        using Functions = decltype(FunctionsOf<Plan>::draw(draw, sizes...));
        auto functions = std::make_shared<Functions>(FunctionsOf<Plan>::draw(draw, sizes...));
        owners_.emplace_back(functions);
        Plan plan = functions->plan();
        // Every plan begins with dim, K and L.
        if (mishap()) std::memset(reinterpret_cast<std::byte*>(&plan) + 4 * draw_.below(3), 0, 4);
        return plan;
    }
    kernels::KeyLayout layout(std::size_t rows, std::size_t tables) {
        if (draw_.below(2) == 0) return {.row_stride = tables, .table_stride = 1};
        return {.row_stride = 1, .table_stride = rows};
    }
    template <class Options>
    Options options() {
        Draw draw(draw_.bits());
        return OptionsOf<Options>::draw(draw);
    }
    template <class Rows, class... Sizes>
    Rows rows(Sizes... sizes) {
        return RowsOf<Rows>::from(*this, sizes...);
    }
    template <class Bias>
    Bias bias(std::size_t count) {
        return BiasOf<Bias>::from(*this, count);
    }
    template <class T>
    T scalar() {
        // Positive, so that magnitudes bound what it multiplies.
        if constexpr (std::is_floating_point_v<T>) return std::abs(unit_float());
        return static_cast<T>(draw_.bits());
    }
    bool maybe() { return draw_.below(4) != 0; }

    /// All that a call may have written, so far.
    [[nodiscard]] std::vector<std::vector<std::byte>> outputs() const {
        std::vector<std::vector<std::byte>> all;
        for (const Block& block : blocks_) {
            if (block.role == Role::output) all.emplace_back(block.data, block.data + block.bytes);
        }
        return all;
    }
    void restore(const std::vector<std::vector<std::byte>>& outputs) {
        std::size_t i = 0;
        for (const Block& block : blocks_) {
            if (block.role != Role::output) continue;
            if (block.bytes > 0) std::memcpy(block.data, outputs[i].data(), block.bytes);
            ++i;
        }
    }
    /// Whether output i holds floats.
    [[nodiscard]] std::vector<bool> output_is_float() const {
        std::vector<bool> all;
        for (const Block& block : blocks_) {
            if (block.role == Role::output) all.push_back(block.is_float);
        }
        return all;
    }
    /// Makes every float its magnitude, but for the ids and padding: what a kernel then gives
    /// bounds the sums of magnitudes of the same call.
    void take_magnitudes() {
        for (const Block& block : blocks_) {
            if (block.is_bf16) {
                auto* values = reinterpret_cast<kernels::Bf16*>(block.data);
                for (std::size_t i = 0; i < block.bytes / sizeof(kernels::Bf16); ++i)
                    values[i].bits &= 0x7fff;
            }
            if (!block.is_float) continue;
            auto* values = reinterpret_cast<float*>(block.data);
            for (std::size_t i = 0; i < block.bytes / sizeof(float); ++i)
                values[i] = std::abs(values[i]);
        }
    }

private:
    bool mishap() {
        if constexpr (requires { draw_.mishap(); }) return draw_.mishap();
        return false;
    }

    enum class Role { input, output, scratch, index };
    struct Block {
        std::byte* base;
        std::size_t pages;
        std::byte* data;
        std::size_t bytes;
        Role role;
        bool is_float;
        bool is_bf16;
    };

    // A mishap may make sizes that no memory has; calls with them are to be refused.
    static constexpr std::size_t kMostElements = std::size_t{1} << 22;

    template <class T>
    T* allocate(std::size_t n, Role role) {
        const std::size_t page = GuardedPages::page_bytes();
        const std::size_t bytes = n * sizeof(T);
        const std::size_t pages = (bytes + page - 1) / page;
        std::byte* base = GuardedPages::take(pages);
        std::byte* data = guard_ == Guard::before ? base : base + pages * page - bytes;
        blocks_.push_back({base,
                           pages,
                           data,
                           bytes,
                           role,
                           std::is_same_v<T, float>,
                           std::is_same_v<T, kernels::Bf16>});
        return reinterpret_cast<T*>(data);
    }

    template <class T>
    T* filled(std::size_t n, Role role) {
        if (n > kMostElements) n = 0;
        T* values = allocate<T>(n, role);
        for (std::size_t i = 0; i < n; ++i) values[i] = any_value<T>();
        return mishap() ? nullptr : values;
    }

    template <class T>
    kernels::RowMatrix<T> matrix(std::size_t rows, std::size_t dim, Role role) {
        constexpr std::size_t kPadding = 3;
        const std::size_t stride = dim + kPadding;
        // The last row has no padding: the guard follows it.
        T* data = filled<T>(rows == 0 ? 0 : rows * stride - kPadding, role);
        if (mishap()) return {data, std::numeric_limits<std::size_t>::max(), dim, stride};
        if (mishap()) return {data, rows, dim, dim - 1};
        return {data, rows, dim, stride};
    }

    template <class T>
    T any_value() {
        if constexpr (std::is_same_v<T, float>) {
            return any_float();
        } else if constexpr (std::is_same_v<T, kernels::Bf16>) {
            const auto bits = std::bit_cast<std::uint32_t>(any_float());
            return T{static_cast<std::uint16_t>(bits >> 16)};
        } else if constexpr (std::is_integral_v<T>) {
            return static_cast<T>(draw_.bits());
        } else {
            return T{};
        }
    }

    float any_float() {
        constexpr float kSpecial[] = {0.0F,
                                      -0.0F,
                                      1.0F,
                                      -1.0F,
                                      std::numeric_limits<float>::infinity(),
                                      -std::numeric_limits<float>::infinity(),
                                      std::numeric_limits<float>::quiet_NaN(),
                                      std::numeric_limits<float>::denorm_min(),
                                      -std::numeric_limits<float>::denorm_min(),
                                      std::numeric_limits<float>::max(),
                                      std::numeric_limits<float>::lowest()};
        const float x = unit_float();
        switch (data_) {
            case Data::relu: return x > 0 ? x : draw_.below(8) == 0 ? -0.0F : 0.0F;
            case Data::ties: return std::round(x);
            case Data::tiny: return x * 1e-40F;
            case Data::huge: return x * 1e30F;
            case Data::special:
                return draw_.below(2) == 0 ? x : kSpecial[draw_.below(std::size(kSpecial))];
            default: return x;
        }
    }

    // In [-2, 2), most often near 0.
    float unit_float() {
        const std::uint64_t bits = draw_.bits();
        const auto part = [&](unsigned shift) {
            return static_cast<float>(static_cast<std::int32_t>(bits >> shift & 0xffffff) -
                                      (1 << 23));
        };
        return (part(0) + part(24)) / static_cast<float>(1 << 23);
    }

    // Distinct ids in order: an even spread over the bound, moved by less than its step.
    template <class T>
    void ascend(T* ids, std::size_t n, std::size_t bound) {
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t begin = bound * i / n;
            const std::size_t end = bound * (i + 1) / n;
            ids[i] = static_cast<T>(begin + draw_.below(std::max<std::size_t>(end - begin, 1)));
        }
    }

    Source draw_;
    Guard guard_;
    Data data_;
    std::vector<Block> blocks_;
    std::vector<std::shared_ptr<void>> owners_;
};

using GuardedArguments = Arguments<Draw>;

}  // namespace slidekit::test
