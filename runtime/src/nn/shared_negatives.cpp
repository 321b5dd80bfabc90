// Draws of shared negatives and their correction; see the header.
#include "nn/shared_negatives.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

namespace slidekit::nn {

namespace {

std::vector<std::uint32_t> repeated(std::span<const std::uint32_t> ids,
                                    std::span<const std::uint32_t> counts) {
    if (counts.empty()) return {ids.begin(), ids.end()};
    const std::uint64_t total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    if (counts.size() != ids.size() || total == 0 ||
        total > std::numeric_limits<std::uint32_t>::max()) {
        throw Error(ErrorCode::usage,
                    "counts",
                    std::to_string(counts.size()) + " counts of " + std::to_string(ids.size()) +
                        " met neurons, " + std::to_string(total) +
                        " in all; give one for each, and a sum of 1 to 4294967295");
    }
    std::vector<std::uint32_t> all;
    all.reserve(total);
    for (std::size_t i = 0; i < ids.size(); ++i) all.insert(all.end(), counts[i], ids[i]);
    return all;
}

}  // namespace

SharedNegatives::SharedNegatives(const UniformOutput& config,
                                 std::uint32_t neurons,
                                 std::span<const std::uint32_t> met,
                                 std::span<const std::uint32_t> counts,
                                 std::uint64_t seed)
    : negatives_(config.negatives), neurons_(neurons), seed_(seed) {
    if (config.from == NegativesFrom::met) pool_.assign(met.begin(), met.end());
    if (config.from == NegativesFrom::popular) pool_ = repeated(met, counts);
    if (config.correction == Correction::none) return;

    // Held as counts first. What is never drawn is never asked for.
    shift_of_.assign(neurons, pool_.empty() ? 1.0F : 0.0F);
    for (const std::uint32_t id : pool_) ++shift_of_[id];
    const double draws = negatives_;
    const double size = pool_.empty() ? neurons : static_cast<double>(pool_.size());
    for (float& shift : shift_of_) {
        const double chance = -std::expm1(draws * std::log1p(-static_cast<double>(shift) / size));
        shift = static_cast<float>(-std::log(chance));
    }
}

void SharedNegatives::draw(std::uint64_t step,
                           std::span<const std::uint32_t> labels,
                           std::span<const std::uint32_t> chosen) {
    ids_.assign(labels.begin(), labels.end());
    ids_.insert(ids_.end(), chosen.begin(), chosen.end());
    system::Stream stream(seed_, system::Purpose::uniform_negatives, step);
    if (pool_.empty()) {
        for (std::uint32_t i = 0; i < negatives_; ++i) ids_.push_back(stream.below(neurons_));
    } else {
        const auto size = static_cast<std::uint32_t>(pool_.size());
        for (std::uint32_t i = 0; i < negatives_; ++i) ids_.push_back(pool_[stream.below(size)]);
    }
    std::sort(ids_.begin(), ids_.end());
    ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());

    if (shift_of_.empty()) return;
    shifts_.resize(ids_.size());
    std::size_t label = 0;
    for (std::size_t i = 0; i < ids_.size(); ++i) {
        const bool certain = label < labels.size() && labels[label] == ids_[i];
        shifts_[i] = certain ? 0.0F : shift_of_[ids_[i]];
        label += certain ? 1 : 0;
    }
}

}  // namespace slidekit::nn
