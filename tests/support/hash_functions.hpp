// Hash functions drawn from a seed, and vectors to hash: for tests and benches of the hash kernels.
//
// All is drawn from a generator written out here, so that golden keys hold on every platform and
// standard library. Padding bins of a DWTA plan hold coordinates that no vector has: no kernel may
// use them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include <slidekit/kernels/hadamard.hpp>
#include <slidekit/kernels/hash.hpp>
#include <slidekit/kernels/projections.hpp>
#include <slidekit/kernels/sparse_dwta.hpp>

namespace slidekit::test {

/// splitmix64 (Steele, Lea and Flood 2014).
class Draw {
public:
    explicit Draw(std::uint64_t seed) : state_(seed) {}

    std::uint64_t bits() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(bits() % n); }
    /// In [-1, 1), a multiple of 2^-23.
    float uniform() {
        return static_cast<float>(static_cast<std::int64_t>(bits() >> 40) - (1 << 23)) /
               static_cast<float>(1 << 23);
    }
    /// Sum of twelve uniforms: near enough to a normal variable, and the same everywhere.
    float normal() {
        float sum = 0;
        for (int i = 0; i < 12; ++i) sum += uniform();
        return sum / 2;
    }

    std::vector<float> normals(std::size_t n) {
        std::vector<float> x(n);
        for (float& value : x) value = normal();
        return x;
    }

    /// The first `n` of a random order of 0..size-1.
    template <class T = std::uint16_t>
    std::vector<T> order(std::size_t size, std::size_t n) {
        std::vector<T> all(size);
        std::iota(all.begin(), all.end(), T{0});
        for (std::size_t i = 0; i < n; ++i) std::swap(all[i], all[i + below(size - i)]);
        all.resize(n);
        return all;
    }

private:
    std::uint64_t state_;
};

class SimHashFunctions {
public:
    SimHashFunctions(std::uint32_t dim,
                     std::uint32_t k,
                     std::uint32_t l,
                     std::uint32_t nonzeros,
                     std::uint64_t seed)
        : plan_{.dim = dim, .k = k, .l = l, .nonzeros = nonzeros} {
        Draw draw(seed);
        for (std::size_t bit = 0; bit < std::size_t{k} * l; ++bit) {
            std::vector<std::uint16_t> coordinates = draw.order(dim, nonzeros);
            std::sort(coordinates.begin(), coordinates.end());
            for (const std::uint16_t c : coordinates) {
                terms_.push_back(static_cast<std::uint16_t>(c + (draw.below(2) == 0 ? 0 : dim)));
            }
        }
        coefficients_.resize(kernels::simhash_coefficients(dim, std::size_t{k} * l));
        kernels::expand_simhash(plan_of_terms(), coefficients_.data());
    }

    [[nodiscard]] kernels::SimHashPlan plan() const {
        kernels::SimHashPlan plan = plan_of_terms();
        plan.coefficients = coefficients_.data();
        return plan;
    }
    /// The same without its optional part.
    [[nodiscard]] kernels::SimHashPlan plan_of_terms() const {
        kernels::SimHashPlan plan = plan_;
        plan.terms = terms_.data();
        return plan;
    }
    [[nodiscard]] kernels::ProjectionPlan projections() const {
        return {plan_.dim, plan_.k, plan_.l, coefficients_.data()};
    }

private:
    kernels::SimHashPlan plan_;
    std::vector<std::uint16_t> terms_;
    std::vector<std::int8_t> coefficients_;
};

class HadamardFunctions {
public:
    HadamardFunctions(std::uint32_t dim, std::uint32_t k, std::uint32_t l, std::uint64_t seed)
        : plan_{.dim = dim,
                .k = k,
                .l = l,
                .padded = static_cast<std::uint32_t>(kernels::hadamard_padded(dim)),
                .signs = nullptr} {
        Draw draw(seed);
        signs_.resize(kernels::hadamard_rounds(dim, std::size_t{k} * l) * plan_.padded);
        for (std::uint32_t& sign : signs_) sign = draw.below(2) == 0 ? 0 : 0x80000000U;
    }

    [[nodiscard]] kernels::HadamardPlan plan() const {
        kernels::HadamardPlan plan = plan_;
        plan.signs = signs_.data();
        return plan;
    }

private:
    kernels::HadamardPlan plan_;
    std::vector<std::uint32_t> signs_;
};

/// What DWTA and WTA have in common: bins of 8 coordinates, one a code.
class BinFunctions {
public:
    [[nodiscard]] kernels::DwtaPlan plan() const {
        kernels::DwtaPlan plan = plan_;
        plan.coordinates = coordinates_.data();
        plan.positions = positions_.data();
        return plan;
    }

    /// The coordinates bin after bin, each bin by position: what the textbook loops over.
    [[nodiscard]] const std::vector<std::uint16_t>& order() const { return order_; }

protected:
    static constexpr std::size_t kBin = kernels::DwtaPlan::kBinSize;

    BinFunctions(std::uint32_t dim, std::uint32_t k, std::uint32_t l, std::uint32_t shift)
        : plan_{.dim = dim, .k = k, .l = l, .shift = shift, .bins = (k * l + 15) / 16 * 16} {}

    [[nodiscard]] std::size_t codes() const { return std::size_t{plan_.k} * plan_.l; }

    void append(const std::vector<std::uint16_t>& coordinates) {
        order_.insert(order_.end(), coordinates.begin(), coordinates.end());
    }

    void lay_out() {
        coordinates_.assign(kBin * plan_.bins, 0xffff);
        positions_.assign(kBin * plan_.bins, 0xff);
        for (std::size_t bin = 0; bin < codes(); ++bin) {
            const std::uint16_t* candidates = order_.data() + bin * kBin;
            std::vector<std::uint8_t> ascending(kBin);
            std::iota(ascending.begin(), ascending.end(), std::uint8_t{0});
            std::stable_sort(
                ascending.begin(), ascending.end(), [&](std::uint8_t a, std::uint8_t b) {
                    return candidates[a] < candidates[b];
                });
            for (std::size_t c = 0; c < kBin; ++c) {
                coordinates_[c * plan_.bins + bin] = candidates[ascending[c]];
                positions_[c * plan_.bins + bin] = ascending[c];
            }
        }
    }

    [[nodiscard]] std::size_t drawn() const { return order_.size(); }

private:
    kernels::DwtaPlan plan_;
    std::vector<std::uint16_t> order_;
    std::vector<std::uint16_t> coordinates_;
    std::vector<std::uint8_t> positions_;
};

/// DWTA: permutations laid end to end, cut into bins.
class DwtaFunctions : public BinFunctions {
public:
    DwtaFunctions(std::uint32_t dim,
                  std::uint32_t k,
                  std::uint32_t l,
                  std::uint32_t shift,
                  std::uint64_t seed)
        : BinFunctions(dim, k, l, shift) {
        Draw draw(seed);
        while (drawn() < kBin * codes()) append(draw.order(dim, dim));
        lay_out();
    }
};

/// WTA (Yagnik, Strelow, Ross and Lin 2011): a code has a permutation of its own, and sees the
/// first 8 coordinates of it. Needs dim >= 8.
class WtaFunctions : public BinFunctions {
public:
    WtaFunctions(std::uint32_t dim,
                 std::uint32_t k,
                 std::uint32_t l,
                 std::uint32_t shift,
                 std::uint64_t seed)
        : BinFunctions(dim, k, l, shift) {
        Draw draw(seed);
        for (std::size_t code = 0; code < codes(); ++code) append(draw.order(dim, kBin));
        lay_out();
    }
};

/// The functions of DwtaFunctions, for sparse vectors.
class SparseDwtaFunctions {
public:
    SparseDwtaFunctions(std::uint32_t dim,
                        std::uint32_t k,
                        std::uint32_t l,
                        std::uint32_t shift,
                        std::uint64_t seed)
        : plan_{.dim = dim, .k = k, .l = l, .shift = shift} {
        Draw draw(seed);
        plan_.permutations = (8 * k * l + dim - 1) / dim;
        places_.resize(std::size_t{dim} * plan_.permutations);
        for (std::uint32_t p = 0; p < plan_.permutations; ++p) {
            const std::vector<std::uint32_t> order = draw.order<std::uint32_t>(dim, dim);
            for (std::uint32_t i = 0; i < dim; ++i)
                places_[std::size_t{order[i]} * plan_.permutations + p] = p * dim + i;
        }
    }

    [[nodiscard]] kernels::SparseDwtaPlan plan() const {
        kernels::SparseDwtaPlan plan = plan_;
        plan.places = places_.data();
        return plan;
    }

private:
    kernels::SparseDwtaPlan plan_;
    std::vector<std::uint32_t> places_;
};

/// `rows` vectors of one width, one after the other, `stride` apart.
struct Rows {
    std::vector<float> data;
    std::size_t rows;
    std::size_t dim;
    std::size_t stride;

    [[nodiscard]] kernels::RowMatrix<const float> view() const {
        return {data.data(), rows, dim, stride};
    }
    [[nodiscard]] const float* row(std::size_t i) const { return data.data() + i * stride; }
};

inline Rows normal_rows(Draw& draw, std::size_t rows, std::size_t dim, std::size_t stride) {
    return {draw.normals(rows * stride), rows, dim, stride};
}

}  // namespace slidekit::test
