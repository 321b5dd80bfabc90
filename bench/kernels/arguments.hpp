// Arguments for any kernel, as the benches want them: tables of rows shared between kernels, and
// sets of arguments to call a kernel with in turn.
//
// The sets of a cold shape share everything but their ids, which are fresh in each, so that the
// rows of a call have not been met for as long as the sets last. The sets of a warm shape are
// wholly their own, and few enough to stay in cache: one set would teach its ids to the branch
// predictor.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <vector>

#include "argument_structs.hpp"
#include "kernel_entries.hpp"
#include "machine.hpp"
#include "memory.hpp"

namespace slidekit::bench {

/// A type of 16 bits that holds the upper half of a float.
template <class T>
concept HalfFloat = std::is_class_v<T> && sizeof(T) == 2 && requires(T value) {
    value.bits;
};

/// What the elements of an array are compared as.
enum class Element { bytes, f32, bf16 };

/// Tables by type and place among a call's arguments, kept from kernel to kernel: filling one takes
/// longer than measuring on it.
class Tables {
public:
    using Key = std::pair<std::type_index, std::size_t>;

    /// At least the size asked for, or nothing has to be filled; those of earlier shapes go where
    /// there is none yet.
    std::byte* take(Key key, std::size_t bytes, bool& fresh) {
        const auto found = tables_.find(key);
        fresh = found == tables_.end() || found->second.bytes != bytes;
        if (fresh) {
            std::erase_if(tables_, [&](const auto& table) {
                return table.first == key || !table.second.used;
            });
            tables_.emplace(key, Table{Memory(bytes), bytes, true});
        }
        Table& table = tables_.at(key);
        table.used = true;
        return table.memory.data();
    }
    void begin_shape() {
        for (auto& [key, table] : tables_) table.used = false;
    }

private:
    struct Table {
        Memory memory;
        std::size_t bytes;
        bool used;
    };
    std::map<Key, Table> tables_;
};

class Arguments {
public:
    using Order = kernels::calls::Order;

    explicit Arguments(Tables& tables) : tables_(tables), draw_(11) { tables_.begin_shape(); }
    Arguments(const Arguments&) = delete;
    Arguments& operator=(const Arguments&) = delete;

    /// The arguments asked for next are another set's; `shared`: all but ids and numbers are the
    /// first's.
    void begin_set(bool shared) {
        shared_ = shared;
        first_ = ids_.empty();
        next_ = 0;
        next_plan_ = 0;
        next_table_.clear();
        ids_.emplace_back();
    }

    template <class T>
    const T* input(std::size_t n) {
        // What points into other arrays belongs to its set, as they do.
        const bool is_struct = std::is_class_v<T> && !HalfFloat<T>;
        return filled<T>(
            n, is_struct ? Role::index : Role::input, [this] { return any_value<T>(); });
    }
    template <class T>
    T* output(std::size_t n) {
        // Stamps begin below every epoch.
        const bool is_stamp = std::is_same_v<T, std::uint16_t>;
        if (is_stamp) writes_stamps_ = true;
        return filled<T>(
            n, Role::output, [this, is_stamp] { return is_stamp ? T{} : any_value<T>(); });
    }
    template <class T>
    T* scratch(std::size_t n) {
        return filled<T>(n, Role::scratch, [this] { return any_value<T>(); });
    }
    template <class T>
    T* nonnegative(std::size_t n) {
        struct Nonnegative {};  // tables of it are no others'
        return filled<T, Nonnegative>(n, Role::output, [this] { return std::abs(any_value<T>()); });
    }
    template <class T>
    const T* below(std::size_t n, std::size_t bound, Order order) {
        T* ids = allocate<T, T>(n, Role::index).first;
        for (std::size_t i = 0; i < n; ++i) {
            // Strictly ascending ones: one from each of n equal parts.
            const bool ascending = order == Order::ascending;
            const std::size_t begin = ascending ? bound * i / n : 0;
            const std::size_t end = ascending ? bound * (i + 1) / n : bound;
            ids[i] = static_cast<T>(begin + draw_.below(std::max<std::size_t>(end - begin, 1)));
        }
        if constexpr (std::is_same_v<T, std::uint32_t>) {
            if (bound > ids_.back().bound) ids_.back() = {ids, n, bound};
        }
        return ids;
    }
    template <class T>
    kernels::RowMatrix<const T> input_matrix(std::size_t rows, std::size_t dim) {
        return {input<T>(rows * dim), rows, dim, dim};
    }
    template <class T>
    kernels::RowMatrix<T> output_matrix(std::size_t rows, std::size_t dim) {
        return {output<T>(rows * dim), rows, dim, dim};
    }
    kernels::SparseView sparse(std::size_t nnz, std::size_t bound, Order order) {
        const std::uint32_t* ids = below<std::uint32_t>(nnz, bound, order);
        return {ids, input<float>(nnz), nnz};
    }
    // Members are spread evenly over the groups; slots run on, as training leaves them.
    kernels::GroupsView groups(std::size_t count,
                               std::size_t pairs,
                               std::size_t rows,
                               std::size_t vectors) {
        const std::uint32_t* ids = below<std::uint32_t>(count, rows, Order::ascending);
        auto* starts = allocate<std::uint32_t, std::uint32_t>(count + 1, Role::input).first;
        auto* members = allocate<kernels::Member, kernels::Member>(pairs, Role::input).first;
        for (std::size_t g = 0; g <= count; ++g)
            starts[g] = static_cast<std::uint32_t>(pairs * g / count);
        for (std::size_t p = 0; p < pairs; ++p) {
            members[p] = {static_cast<std::uint32_t>(draw_.below(vectors)),
                          static_cast<std::uint32_t>(p)};
        }
        return {ids, starts, members, count, pairs};
    }
    kernels::StridedMatrix strided(std::size_t rows, std::size_t columns) {
        return {input<float>(rows * columns), rows, columns, columns, 1};
    }
    // One plan for all sets: its functions are drawn once in the life of a network, too.
    template <class Plan, class... Sizes>
    Plan plan(Sizes... sizes) {
        using Functions = decltype(test::FunctionsOf<Plan>::draw(draw_, sizes...));
        if (next_plan_ == plans_.size()) {
            plans_.push_back(
                std::make_shared<Functions>(test::FunctionsOf<Plan>::draw(draw_, sizes...)));
        }
        return std::static_pointer_cast<Functions>(plans_[next_plan_++])->plan();
    }
    kernels::KeyLayout layout(std::size_t, std::size_t tables) {
        return {.row_stride = tables, .table_stride = 1};
    }
    template <class Options>
    Options options() {
        return test::OptionsOf<Options>::draw(draw_);
    }
    template <class Rows, class... Sizes>
    Rows rows(Sizes... sizes) {
        return test::RowsOf<Rows>::from(*this, sizes...);
    }
    template <class Bias>
    Bias bias(std::size_t count) {
        return test::BiasOf<Bias>::from(*this, count);
    }
    template <class T>
    T scalar() {
        if constexpr (std::is_floating_point_v<T>) {
            return T{0.75};
        } else if constexpr (std::is_same_v<T, std::uint16_t>) {
            takes_epoch_ = true;
            constexpr std::size_t kEpoch = 256;  // more than an id occurs in a call
            return static_cast<T>(kLeast + (shared_ ? kEpoch * (ids_.size() - 1) : 0));
        } else {
            return static_cast<T>(draw_.bits());
        }
    }
    bool maybe() { return true; }

    /// Whether a call leaves stamps of its own epoch: before it is repeated they have to go.
    [[nodiscard]] bool is_stamped() const { return takes_epoch_ && writes_stamps_; }

    /// Of one set's arrays.
    [[nodiscard]] std::size_t bytes() const {
        std::size_t sum = 0;
        for (const Array& array : arrays_) sum += array.bytes;
        return sum;
    }
    [[nodiscard]] std::size_t largest_bytes() const {
        std::size_t most = 0;
        for (const Array& array : arrays_) most = std::max(most, array.bytes);
        return most;
    }

    /// Ids of a set that choose among the most rows, or none.
    struct Ids {
        const std::uint32_t* ids = nullptr;
        std::size_t count = 0;
        std::size_t bound = 0;
    };
    [[nodiscard]] const Ids& ids_of(std::size_t set) const { return ids_[set]; }

    /// The large arrays of all sets, a row of them for each value that an id may have; as one row
    /// each where no ids choose among them.
    [[nodiscard]] std::vector<ProbedTable> tables() const {
        std::vector<ProbedTable> large;
        for (const Array& array : arrays_) {
            if (!array.is_table) continue;
            const std::size_t row = ids_[0].bound == 0 ? array.bytes : array.bytes / ids_[0].bound;
            if (row < 64) continue;  // one value a row: a bias, not a table
            large.push_back({array.data, array.bytes, row, row, array.role == Role::output});
        }
        return large;
    }

    /// What a call on the first set writes: of tables with ids, the rows of these.
    struct Piece {
        std::byte* data;
        std::size_t bytes;
        Element element;
        std::size_t element_bytes;
        bool is_result;  // and no state of the caller's
    };
    [[nodiscard]] std::vector<Piece> outputs() const {
        constexpr std::size_t kWhole = std::size_t{64} << 20;
        std::vector<Piece> pieces;
        for (const Array& array : arrays_) {
            if (array.role != Role::output) continue;
            const Ids& chosen = ids_[0];
            const bool is_result =
                !is_stamped() || array.bytes != chosen.bound * sizeof(std::uint16_t);
            if (array.bytes <= kWhole || chosen.bound == 0) {
                pieces.push_back({array.data,
                                  std::min(array.bytes, kWhole),
                                  array.element,
                                  array.element_bytes,
                                  is_result});
                continue;
            }
            const std::size_t row = array.bytes / chosen.bound;
            for (std::size_t i = 0; i < chosen.count; ++i)
                pieces.push_back({array.data + chosen.ids[i] * row,
                                  row,
                                  array.element,
                                  array.element_bytes,
                                  true});
        }
        return pieces;
    }

private:
    enum class Role { input, output, scratch, index };
    struct Array {
        std::byte* data;
        std::size_t bytes;
        Role role;
        Element element;
        std::size_t element_bytes;
        bool is_table;
    };

    // Of 16-bit numbers: counts are below twice of it.
    static constexpr std::size_t kLeast = 16;

    static constexpr std::size_t kTableBytes = std::size_t{4} << 20;

    template <class T>
    static constexpr Element element_of() {
        if constexpr (std::is_same_v<T, float>) return Element::f32;
        if constexpr (HalfFloat<T>) return Element::bf16;
        return Element::bytes;
    }

    // The array, and whether it has to be filled. `Tag` tells tables of one type apart.
    template <class T, class Tag>
    std::pair<T*, bool> allocate(std::size_t n, Role role) {
        const std::size_t place = next_++;
        if (!first_ && shared_ && role != Role::index)
            return {reinterpret_cast<T*>(arrays_[place].data), false};
        const std::size_t bytes = n * sizeof(T);
        const bool is_table = bytes >= kTableBytes;
        bool fresh = true;
        std::byte* data = nullptr;
        if (is_table) {
            const std::type_index type(typeid(std::pair<T, Tag>));
            data = tables_.take({type, next_table_[type]++}, bytes, fresh);
        } else {
            data = memory_.emplace_back(bytes).data();
        }
        if (first_) arrays_.push_back({data, bytes, role, element_of<T>(), sizeof(T), is_table});
        return {reinterpret_cast<T*>(data), fresh};
    }

    template <class T, class Tag = T, class Value>
    T* filled(std::size_t n, Role role, Value value) {
        const auto [data, fresh] = allocate<T, Tag>(n, role);
        for (std::size_t i = 0; fresh && i < n; ++i) data[i] = value();
        return data;
    }

    template <class T>
    T any_value() {
        if constexpr (std::is_floating_point_v<T>) {
            return draw_.uniform();
        } else if constexpr (HalfFloat<T>) {
            const auto bits = std::bit_cast<std::uint32_t>(draw_.uniform());
            return T{static_cast<std::uint16_t>(bits >> 16)};
        } else if constexpr (std::is_same_v<T, std::uint16_t>) {
            return static_cast<T>(draw_.below(2 * kLeast));
        } else if constexpr (std::is_integral_v<T>) {
            return static_cast<T>(draw_.bits());
        } else {
            return T{};
        }
    }

    Tables& tables_;
    test::Draw draw_;
    bool shared_ = false;
    bool first_ = true;
    bool takes_epoch_ = false;
    bool writes_stamps_ = false;
    std::size_t next_ = 0;
    std::size_t next_plan_ = 0;
    std::map<std::type_index, std::size_t> next_table_;
    std::vector<Array> arrays_;
    std::vector<Memory> memory_;
    std::vector<std::shared_ptr<void>> plans_;
    std::vector<Ids> ids_;
};

}  // namespace slidekit::bench
