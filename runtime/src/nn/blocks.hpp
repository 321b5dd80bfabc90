// A layer's neurons in kBlocks ranges, and ranges of blocks in shards: one shard a memory domain.
//
// Shards exist so that each domain works on its own memory; blocks exist so that this changes no
// bit of the result. What is summed is summed within a block first and then over the blocks in
// order, and a block is never cut, so that it does not matter which shard computes it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <slidekit/nn/parameters.hpp>

namespace slidekit::nn {

inline constexpr std::size_t kBlocks = 8;

/// Numbers begin .. end - 1: of neurons, blocks or places.
struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;

    [[nodiscard]] std::size_t size() const noexcept { return end - begin; }
    [[nodiscard]] bool has(std::size_t i) const noexcept { return begin <= i && i < end; }
};

class Blocks {
public:
    /// At most kBlocks shards: one a domain, where there are no more.
    Blocks(std::uint32_t neurons, std::size_t domains)
        : shards_(std::clamp<std::size_t>(domains, 1, kBlocks)) {
        // Blocks begin on a page of even the narrowest array (4 bytes a neuron), but for small
        // layers, of which a block would be less than 64 such units.
        constexpr std::uint32_t kMost = 1024;
        unit_bits_ = static_cast<unsigned>(
            std::bit_width(std::clamp<std::uint32_t>(neurons / (64 * kBlocks), 1, kMost)) - 1);
        for (std::size_t b = 0; b <= kBlocks; ++b) {
            const std::uint64_t even = std::uint64_t{neurons} * b / kBlocks;
            begins_[b] = b == kBlocks ? neurons : even >> unit_bits_ << unit_bits_;
        }
        of_unit_.resize((std::size_t{neurons} >> unit_bits_) + 1);
        for (std::size_t b = 0; b < kBlocks; ++b)
            for (std::size_t u = begins_[b] >> unit_bits_; u < of_unit_.size(); ++u)
                of_unit_[u] = static_cast<std::uint8_t>(b);
    }

    [[nodiscard]] std::size_t shards() const noexcept { return shards_; }
    /// Neurons of a block.
    [[nodiscard]] Range neurons(std::size_t block) const noexcept {
        return {begins_[block], begins_[block + 1]};
    }
    /// The block of a neuron.
    [[nodiscard]] std::size_t of(std::uint32_t neuron) const noexcept {
        return of_unit_[neuron >> unit_bits_];
    }
    /// Blocks of a shard.
    [[nodiscard]] Range of_shard(std::size_t shard) const noexcept {
        return {kBlocks * shard / shards_, kBlocks * (shard + 1) / shards_};
    }
    /// Neurons of a shard.
    [[nodiscard]] Range neurons_of_shard(std::size_t shard) const noexcept {
        const Range blocks = of_shard(shard);
        return {begins_[blocks.begin], begins_[blocks.end]};
    }

private:
    std::size_t shards_;
    unsigned unit_bits_ = 0;
    std::array<std::size_t, kBlocks + 1> begins_{};
    std::vector<std::uint8_t> of_unit_;
};

/// Where the rows of a layer stand that is cut so: each shard's in its domain's memory.
[[nodiscard]] inline RowHomes homes_of(const Blocks& blocks, std::size_t domains) {
    if (blocks.shards() == 1) return {};
    RowHomes homes;
    for (std::size_t d = 0; d < domains; ++d) {
        const std::size_t shard = std::min(d, blocks.shards() - 1);
        homes.ends.push_back(static_cast<std::uint32_t>(blocks.neurons_of_shard(shard).end));
    }
    return homes;
}

}  // namespace slidekit::nn
