// Groups of pairs (row, vector) drawn at random, with slots in no order and some left unused.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <slidekit/kernels/views.hpp>

#include "hash_functions.hpp"

namespace slidekit::test {

struct GroupsShape {
    std::uint32_t rows;
    std::size_t groups;  // <= rows
    std::uint32_t vectors;
    std::size_t most_members;  // of a group; some have none
};

class RandomGroups {
public:
    RandomGroups(Draw& draw, const GroupsShape& shape) {
        std::vector<std::uint32_t> rows(shape.rows);
        std::iota(rows.begin(), rows.end(), 0U);
        shuffle(draw, rows);
        ids_.assign(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(shape.groups));
        std::sort(ids_.begin(), ids_.end());
        members_.resize(kFirst);  // groups need not begin with the first of the members
        starts_.push_back(kFirst);
        for (std::size_t g = 0; g < shape.groups; ++g) {
            const std::size_t count = draw.below(shape.most_members + 1);
            for (std::size_t i = 0; i < count; ++i) {
                members_.push_back(
                    {.vector = static_cast<std::uint32_t>(draw.below(shape.vectors)), .slot = 0});
            }
            starts_.push_back(static_cast<std::uint32_t>(members_.size()));
        }
        std::vector<std::uint32_t> slots(members_.size() + 5);
        std::iota(slots.begin(), slots.end(), 0U);
        shuffle(draw, slots);
        for (std::size_t i = 0; i < members_.size(); ++i) members_[i].slot = slots[i];
        slots_ = slots.size();
    }

    [[nodiscard]] kernels::GroupsView view() const {
        return {.ids = ids_.data(),
                .starts = starts_.data(),
                .members = members_.data(),
                .count = ids_.size(),
                .slots = slots_};
    }
    [[nodiscard]] std::size_t slots() const { return slots_; }

    /// Calls call(row, member) for every pair, in order.
    template <class Call>
    void for_each_pair(Call call) const {
        for (std::size_t g = 0; g < ids_.size(); ++g) {
            for (std::uint32_t p = starts_[g]; p < starts_[g + 1]; ++p) call(ids_[g], members_[p]);
        }
    }

private:
    static constexpr std::uint32_t kFirst = 2;

    static void shuffle(Draw& draw, std::vector<std::uint32_t>& values) {
        for (std::size_t i = values.size(); i > 1; --i)
            std::swap(values[i - 1], values[draw.below(i)]);
    }

    std::vector<std::uint32_t> ids_;
    std::vector<std::uint32_t> starts_;
    std::vector<kernels::Member> members_;
    std::size_t slots_ = 0;
};

}  // namespace slidekit::test
