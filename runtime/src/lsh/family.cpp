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
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include <slidekit/kernels/doph.hpp>
#include <slidekit/kernels/hadamard.hpp>
#include <slidekit/kernels/pstable.hpp>
#include <slidekit/kernels/sparse_dwta.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

#include "lsh/directions.hpp"
#include "lsh/selection.hpp"

namespace slidekit::lsh {

using kernels::DophPlan;
using kernels::DwtaPlan;
using kernels::HadamardPlan;
using kernels::PStablePlan;
using kernels::RowMatrix;
using kernels::SimHashPlan;
using kernels::SparseDwtaPlan;
using system::Purpose;
using system::Stream;

namespace {

constexpr std::uint32_t kMaxDim = 32768;      // SimHash terms count to 2 dim in 16 bits
constexpr std::uint32_t kMaxMixedCodes = 64;  // of a key of DOPH or p-stable
// Coordinates that DOPH takes as a vector's set: the eighth that is largest.
constexpr std::uint32_t kDophShare = 8;

std::uint32_t code_shift(Packing packing) { return packing == Packing::concat ? 3 : 2; }

bool mixes_codes(HashFamily family) {
    return family == HashFamily::doph || family == HashFamily::pstable;
}

std::string_view name_of(const HashConfig& config) {
    const bool concat = config.packing == Packing::concat;
    switch (config.family) {
        case HashFamily::simhash: return "SimHash";
        case HashFamily::hadamard: return "Hadamard";
        case HashFamily::dwta:
            return concat ? "DWTA with concat packing" : "DWTA with slide-compat packing";
        case HashFamily::wta:
            return concat ? "WTA with concat packing" : "WTA with slide-compat packing";
        case HashFamily::doph: return "DOPH";
        case HashFamily::pstable: return "p-stable";
        case HashFamily::crosspolytope: return "cross-polytope";
        case HashFamily::sparse_dwta: return "sparse DWTA";
    }
    return "";
}

// For the families whose codes stand side by side in the key.
std::uint64_t unchecked_key_bits(HashFamily family, Packing packing, std::uint64_t k) {
    if (family == HashFamily::simhash || family == HashFamily::hadamard) return k;
    if (family == HashFamily::crosspolytope) return kPolytopeBits * k;
    if (packing == Packing::concat) return 3 * k;
    // Codes of 3 bits, 2 bits apart and summed: up to 7 (4^k - 1) / 3, which is just over 2 * 4^k
    // from k = 2 on.
    return k == 1 ? 3 : 2 * k + 2;
}

std::uint32_t mixed_key_bits(const HashConfig& config) {
    if (config.k > kMaxMixedCodes) {
        throw Error(
            ErrorCode::usage,
            "hash k",
            fmt::format(
                "{} codes of {}; 1 to {} are possible", config.k, name_of(config), kMaxMixedCodes));
    }
    if (config.bits == 0 || config.bits > kMaxKeyBits) {
        throw Error(ErrorCode::usage,
                    "hash bits",
                    fmt::format("keys of {} bits; 1 to {} are possible", config.bits, kMaxKeyBits));
    }
    if (config.family == HashFamily::pstable &&
        !(config.width > 0 && std::isfinite(config.width))) {
        throw Error(ErrorCode::usage,
                    "hash width",
                    fmt::format("cells of width {}; a positive number is needed", config.width));
    }
    return config.bits;
}

void check_probes(const HashConfig& config, std::uint32_t bits) {
    if (config.probes == 1) return;
    const auto refuse = [&](const std::string& why) {
        throw Error(ErrorCode::usage,
                    "hash probes",
                    fmt::format("{} buckets a table {}", config.probes, why));
    };
    if (config.family != HashFamily::simhash && config.family != HashFamily::hadamard)
        refuse(fmt::format("with the hash family {}: only simhash and hadamard have bits to flip",
                           name_of(config)));
    const std::uint32_t most = std::min(kMaxProbes, 1U << bits);
    if (config.probes == 0 || config.probes > most)
        refuse(fmt::format("with hash k {}; 1 to {} are possible", config.k, most));
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

// Permutations end to end, `each` coordinates of every one, `count` coordinates in all.
std::vector<std::uint16_t> draw_permutations(std::uint64_t seed,
                                             std::uint32_t dim,
                                             std::size_t each,
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
        order.resize(order.size() - dim + each);
    }
    order.resize(count);
    return order;
}

// Signs of Hadamard rounds: two that are shared, then one for every `padded` projections.
std::vector<std::uint32_t> draw_signs(std::uint64_t seed, std::uint32_t padded, std::size_t count) {
    std::vector<std::uint32_t> signs;
    for (std::size_t round = 0; round < kernels::hadamard_rounds(padded, count); ++round) {
        Stream stream(seed, Purpose::hash_functions, round);
        for (std::uint32_t c = 0; c < padded; ++c) signs.push_back(stream.below(2) << 31);
    }
    return signs;
}

void rotate(const std::uint32_t* signs, std::vector<float>& y) {
    for (std::size_t c = 0; c < y.size(); ++c) y[c] = signs[c] == 0 ? y[c] : -y[c];
    for (std::size_t step = 1; step < y.size(); step *= 2) {
        for (std::size_t c = 0; c < y.size(); ++c) {
            if ((c & step) != 0) continue;
            const float a = y[c];
            y[c] = a + y[c + step];
            y[c + step] = a - y[c + step];
        }
    }
}

// Where order_probes looks for the bit that comes b-th in the keys of k bits.
std::size_t bit_major(std::size_t b, std::size_t k, std::size_t count) {
    return b % k * (count / k) + b / k;
}

// What the rounds of kernels::HadamardPlan project on, read off at the unit vectors; for keys of k
// bits (k = 1: in order).
Directions rotated_directions(const std::vector<std::uint32_t>& signs,
                              std::uint32_t dim,
                              std::uint32_t padded,
                              std::size_t k,
                              std::size_t count) {
    Directions directions(dim, count);
    for (std::uint32_t c = 0; c < dim; ++c) {
        std::vector<float> shared(padded);
        shared[c] = 1;
        rotate(signs.data(), shared);
        rotate(signs.data() + padded, shared);
        for (std::size_t first = 0; first < count; first += padded) {
            std::vector<float> block = shared;
            rotate(signs.data() + 2 * padded + first, block);
            for (std::size_t b = first; b < std::min(count, first + padded); ++b)
                directions.at(c, bit_major(b, k, count)) = block[b - first];
        }
    }
    return directions;
}

struct PolytopePlan {
    std::uint32_t k = 0;
    std::uint32_t l = 0;
    const Directions* directions = nullptr;
};

std::uint32_t draw_seed(std::uint64_t seed, std::uint64_t index) {
    Stream stream(seed, Purpose::hash_functions, index);
    return static_cast<std::uint32_t>(stream());
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
    if (mixes_codes(config.family)) {
        check_probes(config, config.bits);
        return mixed_key_bits(config);
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
    check_probes(config, static_cast<std::uint32_t>(bits));
    return static_cast<std::uint32_t>(bits);
}

struct Family::State {
    State(const HashConfig& hash, std::uint32_t width) : config(hash), dim(width) {
        switch (config.family) {
            case HashFamily::simhash: plan_simhash(); break;
            case HashFamily::hadamard: plan_hadamard(); break;
            case HashFamily::dwta: plan_dwta(dim); break;
            case HashFamily::wta: plan_dwta(std::min(dim, DwtaPlan::kBinSize)); break;
            case HashFamily::doph: plan_doph(); break;
            case HashFamily::pstable: plan_pstable(); break;
            case HashFamily::crosspolytope: plan_polytope(); break;
            case HashFamily::sparse_dwta: plan_sparse_dwta(); break;
        }
    }

    void plan_simhash() {
        const std::uint32_t nonzeros = std::max(1U, (dim + 1) / 3);  // dim / 3, rounded
        words = draw_simhash(config, dim, nonzeros);
        plan = SimHashPlan{
            .dim = dim, .k = config.k, .l = config.l, .nonzeros = nonzeros, .terms = words.data()};
        if (config.probes == 1) return;
        const std::size_t bits = std::size_t{config.k} * config.l;
        directions = Directions(dim, bits);
        for (std::size_t i = 0; i < words.size(); ++i) {
            const bool negative = words[i] >= dim;
            directions.at(negative ? words[i] - dim : words[i],
                          bit_major(i / nonzeros, config.k, bits)) = negative ? -1 : 1;
        }
    }

    void plan_hadamard() {
        const auto padded = static_cast<std::uint32_t>(kernels::hadamard_padded(dim));
        const std::size_t bits = std::size_t{config.k} * config.l;
        seeds = draw_signs(config.seed, padded, bits);
        if (config.probes > 1) directions = rotated_directions(seeds, dim, padded, config.k, bits);
        plan = HadamardPlan{
            .dim = dim, .k = config.k, .l = config.l, .padded = padded, .signs = seeds.data()};
    }

    void plan_polytope() {
        const std::uint32_t padded =
            std::max(kPolytopeWidth, static_cast<std::uint32_t>(kernels::hadamard_padded(dim)));
        const std::size_t count = std::size_t{config.k} * config.l * kPolytopeWidth;
        directions =
            rotated_directions(draw_signs(config.seed, padded, count), dim, padded, 1, count);
        plan = PolytopePlan{.k = config.k, .l = config.l, .directions = &directions};
    }

    // Codes stand at bins in a random order, so that tables are independent of each other.
    void plan_doph() {
        const std::uint32_t bins = config.k * config.l;
        seeds.resize(bins);
        std::iota(seeds.begin(), seeds.end(), 0U);
        Stream stream(config.seed, Purpose::hash_functions, 0);
        for (std::uint32_t left = bins; left > 1; --left)
            std::swap(seeds[left - 1], seeds[stream.below(left)]);
        plan = DophPlan{.k = config.k,
                        .l = config.l,
                        .bits = config.bits,
                        .top = std::max(1U, dim / kDophShare),
                        .seed = draw_seed(config.seed, 1),
                        .order = seeds.data()};
    }

    // Each projection from a stream of its own; index 0 seeds the mixing.
    void plan_pstable() {
        constexpr std::size_t kSide = 16;  // tables side by side
        const std::size_t blocks = (config.l + kSide - 1) / kSide;
        projections.resize(blocks * config.k * dim * kSide);
        offsets.resize(blocks * config.k * kSide);
        for (std::size_t t = 0; t < config.l; ++t) {
            for (std::size_t j = 0; j < config.k; ++j) {
                Stream stream(config.seed, Purpose::hash_functions, 1 + t * config.k + j);
                const std::size_t code = t / kSide * config.k + j;
                for (std::size_t c = 0; c < dim; ++c)
                    projections[(code * dim + c) * kSide + t % kSide] = stream.normal();
                offsets[code * kSide + t % kSide] = stream.uniform() * config.width;
            }
        }
        plan = PStablePlan{.dim = dim,
                           .k = config.k,
                           .l = config.l,
                           .bits = config.bits,
                           .seed = draw_seed(config.seed, 0),
                           .width = config.width,
                           .projections = projections.data(),
                           .offsets = offsets.data()};
    }

    void plan_dwta(std::uint32_t each) {
        constexpr std::uint32_t kBin = DwtaPlan::kBinSize;
        const std::uint32_t drawn = config.k * config.l;
        const std::uint32_t bins = (drawn + 15) / 16 * 16;
        const std::vector<std::uint16_t> order =
            draw_permutations(config.seed, dim, each, std::size_t{kBin} * drawn);
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
        plan = DwtaPlan{.dim = dim,
                        .k = config.k,
                        .l = config.l,
                        .shift = code_shift(config.packing),
                        .bins = bins,
                        .coordinates = words.data(),
                        .positions = positions.data()};
    }

    // Where a permutation has more places than all bins together, it goes round them again: several
    // coordinates then share a place, and each takes part.
    void plan_sparse_dwta() {
        constexpr std::uint32_t kLeastPermutations = 4;
        const std::uint64_t places = std::uint64_t{DwtaPlan::kBinSize} * config.k * config.l;
        const bool folds = dim >= places;
        const auto permutations =
            folds ? kLeastPermutations : static_cast<std::uint32_t>((places + dim - 1) / dim);
        seeds.resize(std::size_t{dim} * permutations);
        std::vector<std::uint32_t> order(dim);
        for (std::uint32_t p = 0; p < permutations; ++p) {
            Stream stream(config.seed, Purpose::hash_functions, p);
            std::iota(order.begin(), order.end(), 0U);
            for (std::uint32_t left = dim; left > 1; --left)
                std::swap(order[left - 1], order[stream.below(left)]);
            for (std::uint32_t i = 0; i < dim; ++i) {
                const std::uint64_t place = folds ? i % places : std::uint64_t{p} * dim + i;
                seeds[std::size_t{order[i]} * permutations + p] = static_cast<std::uint32_t>(place);
            }
        }
        all_coordinates.resize(dim);
        std::iota(all_coordinates.begin(), all_coordinates.end(), 0U);
        plan = SparseDwtaPlan{.dim = dim,
                              .k = config.k,
                              .l = config.l,
                              .shift = code_shift(config.packing),
                              .permutations = permutations,
                              .places = seeds.data()};
    }

    HashConfig config;
    std::uint32_t dim;
    std::vector<std::uint16_t> words;  // SimHash's terms or DWTA's coordinates
    std::vector<std::uint8_t> positions;
    std::vector<std::uint32_t> seeds;            // Hadamard's signs, DOPH's order of bins, places
    std::vector<std::uint32_t> all_coordinates;  // of sparse DWTA
    std::vector<float> projections;
    std::vector<float> offsets;
    Directions directions;  // of probes or cross-polytope codes
    // Points into the members above.
    std::variant<SimHashPlan,
                 DwtaPlan,
                 HadamardPlan,
                 DophPlan,
                 PStablePlan,
                 PolytopePlan,
                 SparseDwtaPlan>
        plan;
};

namespace {

std::uint32_t max_dim(HashFamily family) {
    if (family == HashFamily::sparse_dwta) return SparseDwtaPlan::kMaxDim;
    const bool rotates = family == HashFamily::hadamard || family == HashFamily::crosspolytope;
    return rotates ? HadamardPlan::kMaxPadded : kMaxDim;
}

template <class F>
void for_blocks(RowMatrix<const float> rows, const F& f) noexcept {
    for (std::size_t first = 0; first < rows.rows; first += Directions::kBlock) {
        const std::size_t count = std::min(Directions::kBlock, rows.rows - first);
        f(first, RowMatrix<const float>{rows.row(first), count, rows.dim, rows.stride});
    }
}

struct HashRows {
    kernels::RowMatrix<const float> rows;
    const float* centre;
    std::uint32_t* keys;
    kernels::KeyLayout layout;
    float* scratch;
    const std::uint32_t* all_coordinates;

    void operator()(const SparseDwtaPlan& plan) const noexcept {
        std::vector<std::uint64_t> bins(std::size_t{plan.k} * plan.l);
        std::vector<std::uint32_t> own(plan.l);
        for (std::size_t r = 0; r < rows.rows; ++r) {
            const float* values = rows.row(r);
            if (centre != nullptr) {
                for (std::size_t c = 0; c < rows.dim; ++c) scratch[c] = values[c] - centre[c];
                values = scratch;
            }
            kernels::hash_dwta_sparse(
                plan, {all_coordinates, values, rows.dim}, own.data(), bins.data());
            for (std::size_t t = 0; t < plan.l; ++t)
                keys[r * layout.row_stride + t * layout.table_stride] = own[t];
        }
    }
    void operator()(const SimHashPlan& plan) const noexcept {
        kernels::hash_simhash_rows(plan, rows, centre, keys, layout, scratch);
    }
    void operator()(const DwtaPlan& plan) const noexcept {
        kernels::hash_dwta_rows(plan, rows, centre, keys, layout, scratch);
    }
    void operator()(const HadamardPlan& plan) const noexcept {
        kernels::hash_hadamard_rows(plan, rows, centre, keys, layout, scratch);
    }
    void operator()(const DophPlan& plan) const noexcept {
        kernels::hash_doph_rows(plan, rows, centre, keys, layout, scratch);
    }
    void operator()(const PStablePlan& plan) const noexcept {
        kernels::hash_pstable_rows(plan, rows, centre, keys, layout, scratch);
    }
    void operator()(const PolytopePlan& plan) const noexcept {
        for_blocks(rows, [&](std::size_t first, RowMatrix<const float> block) {
            const auto projections = plan.directions->project(block, centre, scratch);
            for (std::size_t r = 0; r < block.rows; ++r) {
                const float* code = projections.row(r);
                for (std::size_t t = 0; t < plan.l; ++t) {
                    std::uint32_t key = 0;
                    for (std::uint32_t j = 0; j < plan.k; ++j, code += kPolytopeWidth)
                        key = key << kPolytopeBits | polytope_code(code);
                    keys[(first + r) * layout.row_stride + t * layout.table_stride] = key;
                }
            }
        });
    }
};

}  // namespace

Family::Family(const HashConfig& config, std::uint32_t dim) {
    (void)key_bits(config);  // refuses what cannot be
    if (dim == 0 || dim > max_dim(config.family)) {
        throw Error(
            ErrorCode::usage,
            "hash",
            fmt::format("vectors of {} coordinates; 1 to {} can be hashed by {}; sparse DWTA takes "
                        "any width",
                        dim,
                        max_dim(config.family),
                        name_of(config)));
    }
    state_ = std::make_unique<State>(config, dim);
}
Family::Family(Family&&) noexcept = default;
Family& Family::operator=(Family&&) noexcept = default;
Family::~Family() = default;

const HashConfig& Family::config() const noexcept { return state_->config; }
std::uint32_t Family::dim() const noexcept { return state_->dim; }

std::size_t Family::scratch_floats() const noexcept {
    const std::size_t projections = state_->directions.scratch_floats();
    if (const auto* doph = std::get_if<DophPlan>(&state_->plan))
        return kernels::doph_scratch_floats(doph->k, doph->l, doph->top) + state_->dim;
    if (std::holds_alternative<SparseDwtaPlan>(state_->plan)) return state_->dim;
    if (const auto* hadamard = std::get_if<HadamardPlan>(&state_->plan))
        return std::max(projections, kernels::hash_scratch_floats(hadamard->padded));
    return std::max(projections, kernels::hash_scratch_floats(state_->dim));
}

void Family::hash_rows(kernels::RowMatrix<const float> rows,
                       const float* centre,
                       std::uint32_t* keys,
                       kernels::KeyLayout layout,
                       float* scratch) const noexcept {
    assert(rows.dim == state_->dim);
    std::visit(HashRows{rows, centre, keys, layout, scratch, state_->all_coordinates.data()},
               state_->plan);
}

void Family::hash_nonzeros(kernels::RowMatrix<const float> queries, std::uint32_t* keys) const {
    std::vector<std::uint32_t> ids;
    std::vector<float> values;
    std::vector<std::uint64_t> scratch;
    for (std::size_t r = 0; r < queries.rows; ++r) {
        ids.clear();
        values.clear();
        for (std::uint32_t c = 0; c < queries.dim; ++c) {
            if (queries.row(r)[c] == 0.0F) continue;
            ids.push_back(c);
            values.push_back(queries.row(r)[c]);
        }
        hash_sparse({ids.data(), values.data(), ids.size()}, keys + r * config().l, scratch);
    }
}

void Family::hash_sparse(kernels::SparseView query,
                         std::uint32_t* keys,
                         std::vector<std::uint64_t>& scratch) const {
    const SparseDwtaPlan& plan = std::get<SparseDwtaPlan>(state_->plan);
    scratch.resize(std::size_t{plan.k} * plan.l);
    kernels::hash_dwta_sparse(plan, query, keys, scratch.data());
}

void Family::hash_queries(kernels::RowMatrix<const float> queries,
                          const float* centre,
                          std::uint32_t* keys,
                          float* scratch) const noexcept {
    const std::uint32_t k = config().k;
    const std::uint32_t probes = config().probes;
    if (std::holds_alternative<SparseDwtaPlan>(state_->plan)) {
        hash_nonzeros(queries, keys);
        return;
    }
    const std::size_t each = std::size_t{config().l} * probes;
    hash_rows(queries, centre, keys, {.row_stride = each, .table_stride = probes}, scratch);
    if (probes == 1) return;
    for_blocks(queries, [&](std::size_t first, RowMatrix<const float> block) {
        const auto projections = state_->directions.project(block, centre, scratch);
        for (std::size_t r = 0; r < block.rows; ++r)
            order_probes(projections.row(r), k, config().l, probes, keys + (first + r) * each);
    });
}

}  // namespace slidekit::lsh
