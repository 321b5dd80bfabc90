// Draws the hash functions that the kernels apply.
//
// Each projection and each permutation has a stream of its own, so a family of more tables begins
// with the tables of a smaller one. Golden tests pin the draws: changing them changes every saved
// run.
#include <slidekit/lsh/family.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

#include "lsh/selection.hpp"

namespace slidekit::lsh {

using kernels::DwtaPlan;
using kernels::SimHashPlan;
using system::Purpose;
using system::Stream;

namespace {

constexpr std::uint32_t kMaxDim = 32768;  // SimHash terms count to 2 dim in 16 bits

std::uint32_t code_shift(Packing packing) { return packing == Packing::concat ? 3 : 2; }

std::string_view name_of(const HashConfig& config) {
    if (config.family == HashFamily::simhash) return "SimHash";
    return config.packing == Packing::concat ? "DWTA with concat packing"
                                             : "DWTA with slide-compat packing";
}

std::uint64_t unchecked_key_bits(HashFamily family, Packing packing, std::uint64_t k) {
    if (family == HashFamily::simhash) return k;
    if (packing == Packing::concat) return 3 * k;
    // Codes of 3 bits, 2 bits apart and summed: up to 7 (4^k - 1) / 3, which is just over 2 * 4^k
    // from k = 2 on.
    return k == 1 ? 3 : 2 * k + 2;
}

// The non-zeros of one projection after the other.
std::vector<std::uint16_t> draw_simhash(const HashConfig& config,
                                        std::uint32_t dim,
                                        std::uint32_t nonzeros) {
    std::vector<std::uint16_t> terms;
    terms.reserve(std::size_t{config.k} * config.l * nonzeros);
    for (std::uint64_t bit = 0; bit < std::uint64_t{config.k} * config.l; ++bit) {
        Stream stream(config.seed, Purpose::hash_functions, bit);
        Selection selection(nonzeros, dim);
        for (std::uint32_t c = 0; c < dim; ++c) {
            if (!selection.take(stream)) continue;
            const bool negative = stream.below(2) == 1;
            terms.push_back(static_cast<std::uint16_t>(negative ? dim + c : c));
        }
    }
    return terms;
}

// Permutations end to end, `count` coordinates of them.
std::vector<std::uint16_t> draw_permutations(std::uint64_t seed,
                                             std::uint32_t dim,
                                             std::size_t count) {
    std::vector<std::uint16_t> order;
    order.reserve(count + dim);
    for (std::uint64_t permutation = 0; order.size() < count; ++permutation) {
        Stream stream(seed, Purpose::hash_functions, permutation);
        order.resize(order.size() + dim);
        std::uint16_t* const one = order.data() + order.size() - dim;
        std::iota(one, one + dim, std::uint16_t{0});
        for (std::uint32_t left = dim; left > 1; --left)
            std::swap(one[left - 1], one[stream.below(left)]);
    }
    order.resize(count);
    return order;
}

}  // namespace

std::uint32_t key_bits(const HashConfig& config) {
    if (config.k == 0) {
        throw Error(
            ErrorCode::usage, "hash k", "0 codes a table make no key; at least 1 is needed");
    }
    if (config.l == 0 || config.l > kMaxTables) {
        throw Error(ErrorCode::usage,
                    "hash l",
                    fmt::format("{} tables; 1 to {} are possible", config.l, kMaxTables));
    }
    const std::uint64_t bits = unchecked_key_bits(config.family, config.packing, config.k);
    if (bits > kMaxKeyBits) {
        std::uint64_t most = 1;
        while (unchecked_key_bits(config.family, config.packing, most + 1) <= kMaxKeyBits) ++most;
        throw Error(
            ErrorCode::usage,
            "hash k",
            fmt::format("{} codes of {} make keys of {} bits, at most {} are possible; use k <= {}",
                        config.k,
                        name_of(config),
                        bits,
                        kMaxKeyBits,
                        most));
    }
    return static_cast<std::uint32_t>(bits);
}

struct Family::State {
    State(const HashConfig& hash, std::uint32_t width) : config(hash), dim(width) {
        config.family == HashFamily::simhash ? plan_simhash() : plan_dwta();
    }

    void plan_simhash() {
        const std::uint32_t nonzeros = std::max(1U, (dim + 1) / 3);  // dim / 3, rounded
        words = draw_simhash(config, dim, nonzeros);
        simhash = {
            .dim = dim, .k = config.k, .l = config.l, .nonzeros = nonzeros, .terms = words.data()};
    }

    void plan_dwta() {
        constexpr std::uint32_t kBin = DwtaPlan::kBinSize;
        const std::uint32_t drawn = config.k * config.l;
        const std::uint32_t bins = (drawn + 15) / 16 * 16;
        const std::vector<std::uint16_t> order =
            draw_permutations(config.seed, dim, std::size_t{kBin} * drawn);
        words.resize(std::size_t{kBin} *
                     bins);  // pad bins look at coordinate 0, which always exists
        positions.resize(words.size());
        for (std::size_t bin = 0; bin < drawn; ++bin) {
            const std::uint16_t* const members = order.data() + bin * kBin;
            std::array<std::uint8_t, kBin> ascending{};
            std::iota(ascending.begin(), ascending.end(), std::uint8_t{0});
            // Two permutations may meet in a bin, and a coordinate then stand in it twice: the
            // first wins.
            std::sort(ascending.begin(), ascending.end(), [&](std::uint8_t a, std::uint8_t b) {
                return std::pair(members[a], a) < std::pair(members[b], b);
            });
            for (std::size_t c = 0; c < kBin; ++c) {
                words[c * bins + bin] = members[ascending[c]];
                positions[c * bins + bin] = ascending[c];
            }
        }
        dwta = {.dim = dim,
                .k = config.k,
                .l = config.l,
                .shift = code_shift(config.packing),
                .bins = bins,
                .coordinates = words.data(),
                .positions = positions.data()};
    }

    HashConfig config;
    std::uint32_t dim;
    std::vector<std::uint16_t> words;  // SimHash's terms or DWTA's coordinates
    std::vector<std::uint8_t> positions;
    SimHashPlan
        simhash;  // the plan of config.family points into the vectors; the other one is empty
    DwtaPlan dwta;
};

Family::Family(const HashConfig& config, std::uint32_t dim) {
    (void)key_bits(config);  // refuses what cannot be
    if (dim == 0 || dim > kMaxDim) {
        throw Error(ErrorCode::usage,
                    "hash",
                    fmt::format("vectors of {} coordinates; 1 to {} can be hashed", dim, kMaxDim));
    }
    state_ = std::make_unique<State>(config, dim);
}
Family::Family(Family&&) noexcept = default;
Family& Family::operator=(Family&&) noexcept = default;
Family::~Family() = default;

const HashConfig& Family::config() const noexcept { return state_->config; }
std::uint32_t Family::dim() const noexcept { return state_->dim; }

void Family::hash_rows(kernels::RowMatrix<const float> rows,
                       const float* centre,
                       std::uint32_t* keys,
                       kernels::KeyLayout layout,
                       float* scratch) const noexcept {
    assert(rows.dim == state_->dim);
    if (state_->config.family == HashFamily::simhash) {
        kernels::hash_simhash_rows(state_->simhash, rows, centre, keys, layout, scratch);
    } else {
        kernels::hash_dwta_rows(state_->dwta, rows, centre, keys, layout, scratch);
    }
}

}  // namespace slidekit::lsh
