// All that the shards of a layer tell each other in a step: one operation, which a process boundary
// could implement too.
//
// What is exchanged: the best candidates of each sample, row sums and bucket counts of a rebuild,
// the work of each block, maxima and sums of the softmax, and the gradients of the hidden
// activations. Everybody then combines all parts in the same order.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include <slidekit/system/executor.hpp>
#include <slidekit/system/runtime.hpp>

#include "nn/blocks.hpp"

namespace slidekit::nn {

class Exchange {
public:
    Exchange() = default;
    virtual ~Exchange() = default;
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    /// Whether this process computes the shard.
    [[nodiscard]] virtual bool own(std::size_t shard) const noexcept = 0;

    /// `all` is cut into a part a shard, shard s from ends[s - 1] (0 for the first) to ends[s].
    /// Own parts are filled in before; all are on return. Called by one thread of each process, in
    /// the same order in all of them.
    virtual void all_gather(std::span<std::byte> all, std::span<const std::size_t> ends) = 0;
};

/// All shards in this process: every part is where all can read it.
class SharedMemory final : public Exchange {
public:
    [[nodiscard]] bool own(std::size_t) const noexcept override { return true; }
    void all_gather(std::span<std::byte>, std::span<const std::size_t>) override {}
};

/// The exchange of shards that are all in this process.
[[nodiscard]] inline Exchange& in_process() {
    static SharedMemory exchange;
    return exchange;
}

/// An array that shards fill in parts, each so many elements.
template <class T>
class Shared {
public:
    /// Parts of `per_shard` elements; contents are kept where nothing grows.
    void resize(std::size_t shards, std::size_t per_shard) {
        per_part_ = per_shard;
        by_block_ = false;
        values_.resize(shards * per_shard);
    }
    /// A part of so many elements for each block: shards fill those of their blocks.
    void resize_by_block(std::size_t per_block) {
        per_part_ = per_block;
        by_block_ = true;
        values_.resize(kBlocks * per_block);
    }

    [[nodiscard]] std::span<T> part(std::size_t i) noexcept {
        return {values_.data() + i * per_part_, per_part_};
    }
    [[nodiscard]] std::span<const T> part(std::size_t i) const noexcept {
        return {values_.data() + i * per_part_, per_part_};
    }

    /// Parts of shards, or of blocks, are known to all afterwards.
    void gather(Exchange& exchange, const Blocks& blocks) {
        std::array<std::size_t, kBlocks> ends{};
        for (std::size_t s = 0; s < blocks.shards(); ++s) {
            const std::size_t parts = by_block_ ? blocks.of_shard(s).end : s + 1;
            ends[s] = parts * per_part_ * sizeof(T);
        }
        exchange.all_gather(std::as_writable_bytes(std::span(values_)),
                            std::span(ends).first(blocks.shards()));
    }

private:
    std::size_t per_part_ = 0;
    bool by_block_ = false;
    std::vector<T> values_;
};

/// Whether the rows of a shard stand on a node that is not its domain's (system::Place::first).
[[nodiscard]] inline bool stands_elsewhere(const system::Runtime& runtime, std::size_t shard) {
    const system::Placement placement = runtime.on_domain(shard);
    const std::vector<NodeId> own = runtime.topology().domains[shard].nodes();
    return std::any_of(placement.nodes.begin(), placement.nodes.end(), [&](NodeId node) {
        return std::find(own.begin(), own.end(), node) == own.end();
    });
}

/// Calls body(shard) for each shard that this process computes, each in the domain that owns it, at
/// the same time. One shard runs on the caller, whose loops use all domains.
template <class Body>
void for_each_shard(system::Executor& executor,
                    const Blocks& blocks,
                    const Exchange& exchange,
                    Body&& body) {
    if (blocks.shards() == 1) {
        if (exchange.own(0)) body(std::size_t{0});
        return;
    }
    executor.for_each_domain([&](std::size_t domain) {
        for (std::size_t s = domain; s < blocks.shards(); s += executor.domains())
            if (exchange.own(s)) body(s);
    });
}

}  // namespace slidekit::nn
