// The neurons that all samples of a batch share: its labels and the negatives drawn for it.
//
// Whatever negatives are drawn from is one list of ids that a draw indexes: met neurons once each,
// or as often as they occur, which is a draw by popularity without a table of aliases.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/nn/network.hpp>

namespace slidekit::nn {

class SharedNegatives {
public:
    /// met, counts: as Network takes them, met never empty. Throws Error (usage) where counts do
    /// not fit met, or sum to nothing or to more than 32 bits count.
    SharedNegatives(const UniformOutput& config,
                    std::uint32_t neurons,
                    std::span<const std::uint32_t> met,
                    std::span<const std::uint32_t> counts,
                    std::uint64_t seed);

    /// Draws for a step, beside its labels (ascending, each once) and what was chosen otherwise.
    void draw(std::uint64_t step,
              std::span<const std::uint32_t> labels,
              std::span<const std::uint32_t> chosen = {});

    /// What was drawn and the labels: ascending, each once.
    [[nodiscard]] std::span<const std::uint32_t> ids() const noexcept { return ids_; }
    /// What the correction adds to the logit of ids()[i].
    [[nodiscard]] float shift(std::size_t i) const noexcept {
        return shifts_.empty() ? 0.0F : shifts_[i];
    }

private:
    std::uint32_t negatives_;
    std::uint32_t neurons_;
    std::uint64_t seed_;
    std::vector<std::uint32_t> pool_;  // what is drawn from; empty: all neurons
    std::vector<float> shift_of_;      // by neuron: -log of its chance to be drawn; none: empty
    std::vector<std::uint32_t> ids_;
    std::vector<float> shifts_;  // by place in ids_
};

}  // namespace slidekit::nn
