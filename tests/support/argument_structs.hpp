// The structs among kernels' arguments: plans of every hash, rows with their moments, options. For
// callers that know a kernel only by its entry: each struct is made from sizes and a source of
// chance.
#pragma once

#include <cstddef>
#include <cstdint>

#include <slidekit/kernels/bf16.hpp>
#include <slidekit/kernels/dedup.hpp>
#include <slidekit/kernels/optimizer.hpp>
#include <slidekit/kernels/optimizer_bf16.hpp>

#include "hash_functions.hpp"
#include "set_hash_functions.hpp"

namespace slidekit::test {

/// FunctionsOf<Plan>::draw(draw, sizes...) owns what a plan of these sizes points to.
template <class Plan>
struct FunctionsOf;

inline std::uint32_t u32(std::size_t n) { return static_cast<std::uint32_t>(n); }

template <>
struct FunctionsOf<kernels::SimHashPlan> {
    static SimHashFunctions draw(Draw& draw, std::size_t dim, std::size_t k, std::size_t l) {
        return {u32(dim), u32(k), u32(l), u32((dim + 2) / 3), draw.bits()};
    }
};

template <>
struct FunctionsOf<kernels::DwtaPlan> {
    static DwtaFunctions draw(Draw& draw, std::size_t dim, std::size_t k, std::size_t l) {
        const std::uint32_t shift = draw.below(2) == 0 ? 2 : 3;
        return {u32(dim), u32(k), u32(l), shift, draw.bits()};
    }
};

template <>
struct FunctionsOf<kernels::HadamardPlan> {
    static HadamardFunctions draw(Draw& draw, std::size_t dim, std::size_t k, std::size_t l) {
        return {u32(dim), u32(k), u32(l), draw.bits()};
    }
};

template <>
struct FunctionsOf<kernels::DophPlan> {
    static DophFunctions draw(Draw& draw, std::size_t k, std::size_t l, std::size_t top) {
        return {u32(k), u32(l), u32(1 + draw.below(32)), u32(top), u32(draw.bits())};
    }
};

template <>
struct FunctionsOf<kernels::ProjectionPlan> {
    struct Projections {
        SimHashFunctions functions;
        [[nodiscard]] kernels::ProjectionPlan plan() const { return functions.projections(); }
    };
    static Projections draw(Draw& draw, std::size_t dim, std::size_t k, std::size_t l) {
        return {FunctionsOf<kernels::SimHashPlan>::draw(draw, dim, k, l)};
    }
};

template <>
struct FunctionsOf<kernels::PStablePlan> {
    static PStableFunctions draw(Draw& draw, std::size_t dim, std::size_t k, std::size_t l) {
        const Stable law = draw.below(2) == 0 ? Stable::normal : Stable::cauchy;
        return {u32(dim), u32(k), u32(l), u32(1 + draw.below(32)), 4.0F, law, draw.bits()};
    }
};

template <>
struct FunctionsOf<kernels::SparseDwtaPlan> {
    static SparseDwtaFunctions draw(Draw& draw, std::size_t dim, std::size_t k, std::size_t l) {
        const std::uint32_t shift = draw.below(2) == 0 ? 2 : 3;
        return {u32(dim), u32(k), u32(l), shift, draw.bits()};
    }
};

/// Usual values of a struct of options.
template <class Options>
struct OptionsOf;

template <>
struct OptionsOf<kernels::AdamStep> {
    static kernels::AdamStep draw(Draw& draw) {
        return {.lr = 1e-3F, .decay = draw.below(2) == 0 ? 0.0F : 1e-5F};
    }
};

template <>
struct OptionsOf<kernels::SgdStep> {
    static kernels::SgdStep draw(Draw& draw) {
        return {.lr = 1e-2F, .decay = draw.below(2) == 0 ? 0.0F : 1e-5F};
    }
};

template <>
struct OptionsOf<kernels::BitStream> {
    static kernels::BitStream draw(Draw& draw) {
        const std::uint64_t seed = draw.bits();
        return {.seed = seed, .counter = draw.bits()};
    }
};

template <>
struct OptionsOf<kernels::MomentumStep> {
    static kernels::MomentumStep draw(Draw& draw) {
        return {.lr = 1e-2F,
                .decay = draw.below(2) == 0 ? 0.0F : 1e-5F,
                .nesterov = u32(draw.below(2))};
    }
};

template <>
struct OptionsOf<kernels::AdagradStep> {
    static kernels::AdagradStep draw(Draw& draw) {
        return {.lr = 1e-2F, .decay = draw.below(2) == 0 ? 0.0F : 1e-5F};
    }
};

/// Structs of several arrays, from a maker of arguments.
template <class Rows>
struct RowsOf;

/// As many elements as a matrix has, its padding but for the last row's included.
template <class T>
std::size_t extent(const kernels::RowMatrix<T>& m) {
    return m.rows == 0 ? 0 : (m.rows - 1) * m.stride + m.dim;
}

template <>
struct RowsOf<kernels::AdamRows> {
    template <class Make>
    static kernels::AdamRows from(Make& make, std::size_t rows, std::size_t dim) {
        const kernels::RowMatrix<float> weights = make.template output_matrix<float>(rows, dim);
        float* first = make.template output<float>(extent(weights));
        return {weights, first, make.template nonnegative<float>(extent(weights))};
    }
};

template <>
struct RowsOf<kernels::SplitRows> {
    template <class Make>
    static kernels::SplitRows from(Make& make, std::size_t rows, std::size_t dim) {
        const kernels::RowMatrix<kernels::Bf16> high =
            make.template output_matrix<kernels::Bf16>(rows, dim);
        return {high, make.template output<std::uint16_t>(extent(high))};
    }
};

template <>
struct RowsOf<kernels::MomentumRows> {
    template <class Make>
    static kernels::MomentumRows from(Make& make, std::size_t rows, std::size_t dim) {
        const kernels::RowMatrix<float> weights = make.template output_matrix<float>(rows, dim);
        return {weights, make.template output<float>(extent(weights))};
    }
};

template <>
struct RowsOf<kernels::AdamSplitRows> {
    template <class Make>
    static kernels::AdamSplitRows from(Make& make, std::size_t rows, std::size_t dim) {
        const kernels::SplitRows split = RowsOf<kernels::SplitRows>::from(make, rows, dim);
        float* first = make.template output<float>(extent(split.high));
        return {split.high, split.low, first, make.template nonnegative<float>(extent(split.high))};
    }
};

template <>
struct RowsOf<kernels::AdagradRows> {
    template <class Make>
    static kernels::AdagradRows from(Make& make, std::size_t rows, std::size_t dim) {
        const kernels::RowMatrix<float> weights = make.template output_matrix<float>(rows, dim);
        return {weights, make.template nonnegative<float>(rows)};
    }
};

template <>
struct RowsOf<kernels::MomentumSplitRows> {
    template <class Make>
    static kernels::MomentumSplitRows from(Make& make, std::size_t rows, std::size_t dim) {
        const kernels::SplitRows split = RowsOf<kernels::SplitRows>::from(make, rows, dim);
        return {split.high, split.low, make.template output<float>(extent(split.high))};
    }
};

template <>
struct RowsOf<kernels::AdagradSplitRows> {
    template <class Make>
    static kernels::AdagradSplitRows from(Make& make, std::size_t rows, std::size_t dim) {
        const kernels::SplitRows split = RowsOf<kernels::SplitRows>::from(make, rows, dim);
        return {split.high, split.low, make.template nonnegative<float>(rows)};
    }
};

/// Buckets that cut one list of ids into even parts, some of them empty where there are few ids.
template <class Make>
kernels::BucketsView buckets_of(Make& make,
                                std::size_t count,
                                std::size_t total,
                                std::size_t bound) {
    constexpr std::size_t kMost = std::size_t{1} << 20;
    if (count == 0) return {};
    if (count > kMost || total > kMost) return {nullptr, count, total};
    const auto* ids = make.template below<std::uint32_t>(total, bound, Make::Order::any);
    auto* buckets = const_cast<kernels::Bucket*>(make.template input<kernels::Bucket>(count));
    for (std::size_t b = 0; buckets != nullptr && b < count; ++b) {
        const std::size_t begin = total * b / count;
        buckets[b] = {ids == nullptr ? nullptr : ids + begin, total * (b + 1) / count - begin};
    }
    return {buckets, count, total};
}

template <class Bias>
struct BiasOf;

template <>
struct BiasOf<kernels::MomentumBias> {
    template <class Make>
    static kernels::MomentumBias from(Make& make, std::size_t count) {
        if (!make.maybe()) return {};
        float* weights = make.template output<float>(count);
        return {weights, make.template output<float>(count)};
    }
};

template <>
struct BiasOf<kernels::AdagradBias> {
    template <class Make>
    static kernels::AdagradBias from(Make& make, std::size_t count) {
        if (!make.maybe()) return {};
        float* weights = make.template output<float>(count);
        return {weights, make.template nonnegative<float>(count)};
    }
};

template <>
struct BiasOf<kernels::AdamBias> {
    template <class Make>
    static kernels::AdamBias from(Make& make, std::size_t count) {
        if (!make.maybe()) return {};
        float* weights = make.template output<float>(count);
        float* first = make.template output<float>(count);
        return {weights, first, make.template nonnegative<float>(count)};
    }
};

}  // namespace slidekit::test
