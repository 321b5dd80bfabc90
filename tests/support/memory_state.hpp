// The state of a network in memory: taken from one, given to another, compared.
#pragma once

#include <cstddef>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <slidekit/nn/state.hpp>
#include <slidekit/system/error.hpp>

namespace slidekit::testing {

/// What a walk shows, by name: type and packed bytes.
struct MemoryState {
    struct Entry {
        std::string type;
        std::size_t rows = 0;
        std::vector<std::byte> bytes;
        friend bool operator==(const Entry&, const Entry&) = default;
    };
    std::map<std::string, Entry> entries;

    /// Names that differ, but for those that end in `ignored`: clocks are never alike.
    [[nodiscard]] std::vector<std::string> differences(const MemoryState& other,
                                                       const std::string& ignored) const {
        std::vector<std::string> names;
        for (const auto& [name, entry] : entries) {
            const auto found = other.entries.find(name);
            if (!name.ends_with(ignored) &&
                (found == other.entries.end() || found->second != entry))
                names.push_back(name);
        }
        for (const auto& [name, entry] : other.entries)
            if (!entries.contains(name)) names.push_back(name);
        return names;
    }
};

/// One walk's visitor: fills the memory, or the owner from it.
class MemoryVisitor : public nn::StateVisitor {
public:
    enum class Direction { save, restore };
    MemoryVisitor(MemoryState& memory, Direction direction)
        : memory_(memory), direction_(direction) {}

    [[nodiscard]] bool restoring() const noexcept override {
        return direction_ == Direction::restore;
    }
    void array(const nn::StateArray& array) override {
        const std::size_t row = array.columns * array.element_bytes;
        MemoryState::Entry& entry = entry_of(array.name, array.type, array.rows, array.rows * row);
        for (std::size_t i = 0; row > 0 && i < array.rows; ++i) {
            std::byte* const own = array.data + i * array.stride * array.element_bytes;
            std::byte* const kept = entry.bytes.data() + i * row;
            std::memcpy(restoring() ? own : kept, restoring() ? kept : own, row);
        }
    }
    void words(const std::string& name, const char* type, std::span<std::uint64_t> words) override {
        array({name,
               type,
               sizeof(std::uint64_t),
               reinterpret_cast<std::byte*>(words.data()),
               1,
               words.size(),
               words.size()});
    }

private:
    MemoryState::Entry& entry_of(const std::string& name,
                                 const char* type,
                                 std::size_t rows,
                                 std::size_t bytes) {
        if (!restoring()) {
            const auto [entry, fresh] = memory_.entries.emplace(
                name, MemoryState::Entry{type, rows, std::vector<std::byte>(bytes)});
            if (!fresh) throw Error(ErrorCode::input, name, "is visited twice");
            return entry->second;
        }
        const auto entry = memory_.entries.find(name);
        if (entry == memory_.entries.end()) throw Error(ErrorCode::input, name, "is missing");
        if (entry->second.type != type || entry->second.rows != rows ||
            entry->second.bytes.size() != bytes)
            throw Error(ErrorCode::input, name, "has another shape");
        return entry->second;
    }

    MemoryState& memory_;
    Direction direction_;
};

template <class Owner>
MemoryState state_of(Owner& owner) {
    MemoryState memory;
    MemoryVisitor visitor(memory, MemoryVisitor::Direction::save);
    owner.visit_state(visitor);
    return memory;
}

template <class Owner>
void set_state(Owner& owner, MemoryState memory) {
    MemoryVisitor visitor(memory, MemoryVisitor::Direction::restore);
    owner.visit_state(visitor);
}

}  // namespace slidekit::testing
