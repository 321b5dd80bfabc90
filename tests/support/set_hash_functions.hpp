// DOPH and p-stable hash functions drawn from a seed: for tests and benches of their kernels.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <slidekit/kernels/doph.hpp>
#include <slidekit/kernels/pstable.hpp>

#include "hash_functions.hpp"

namespace slidekit::test {

class DophFunctions {
public:
    DophFunctions(
        std::uint32_t k, std::uint32_t l, std::uint32_t bits, std::uint32_t top, std::uint32_t seed)
        : plan_{.k = k, .l = l, .bits = bits, .top = top, .seed = seed},
          order_(std::size_t{k} * l) {
        Draw draw(seed);
        for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<std::uint32_t>(i);
        for (std::size_t i = 0; i < order_.size(); ++i)
            std::swap(order_[i], order_[i + draw.below(order_.size() - i)]);
    }

    [[nodiscard]] kernels::DophPlan plan() const {
        kernels::DophPlan plan = plan_;
        plan.order = order_.data();
        return plan;
    }

private:
    kernels::DophPlan plan_;
    std::vector<std::uint32_t> order_;
};

/// The law of a p-stable projection's entries: normal for L2, Cauchy for L1.
enum class Stable { normal, cauchy };

/// Tables past the last one hold NaN: no kernel may let them touch a key.
class PStableFunctions {
public:
    PStableFunctions(std::uint32_t dim,
                     std::uint32_t k,
                     std::uint32_t l,
                     std::uint32_t bits,
                     float width,
                     Stable law,
                     std::uint64_t seed)
        : plan_{.dim = dim, .k = k, .l = l, .bits = bits, .seed = 1, .width = width} {
        const std::size_t blocks = (std::size_t{l} + 15) / 16;
        projections_.assign(blocks * k * dim * 16, std::nanf(""));
        offsets_.assign(blocks * k * 16, std::nanf(""));
        Draw draw(seed);
        for (std::size_t t = 0; t < l; ++t) {
            for (std::size_t j = 0; j < k; ++j) {
                const std::size_t code = t / 16 * k + j;
                for (std::size_t c = 0; c < dim; ++c)
                    projections_[(code * dim + c) * 16 + t % 16] = entry(draw, law);
                offsets_[code * 16 + t % 16] = (draw.uniform() + 1) / 2 * width;
            }
        }
    }

    [[nodiscard]] kernels::PStablePlan plan() const {
        kernels::PStablePlan plan = plan_;
        plan.projections = projections_.data();
        plan.offsets = offsets_.data();
        return plan;
    }

private:
    // A Cauchy variable is the tangent of a uniform angle: the slope of a point of the disc. No
    // std::tan, whose last bit differs from library to library.
    static float entry(Draw& draw, Stable law) {
        if (law == Stable::normal) return draw.normal();
        for (;;) {
            const float x = draw.uniform();
            const float y = draw.uniform();
            if (x * x + y * y <= 1 && x != 0) return y / x;
        }
    }

    kernels::PStablePlan plan_;
    std::vector<float> projections_;
    std::vector<float> offsets_;
};

}  // namespace slidekit::test
