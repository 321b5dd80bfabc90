// P@k, nDCG@k, recall@k and PSP@k of ranked labels against the true ones, as the Extreme
// Classification Repository defines them (Bhatia et al. 2016; propensities: Jain, Prabhu and Varma
// [KDD 2016]), but for points without labels: they are passed over.
//
// For a point with the true labels y and the ranks r = 1 .. k, hit(r) being 1 where the label at r
// is true:
//   P@k       sum of hit(r) / k
//   nDCG@k    sum of hit(r) / log2(r + 1), over the same sum with hits at ranks 1 .. min(k, |y|)
//   recall@k  sum of hit(r) / |y|
// each averaged over the points. PSP@k is one quotient for all points: the sum of hit(r) / p(label
// at r), over its greatest possible value, which the rarest min(k, |y|) true labels of each point
// give (psprecision of the repository's scripts, pyxclib).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <slidekit/data/dataset.hpp>
#include <slidekit/kernels/export.hpp>

namespace slidekit::train {

/// Constants of the propensity p_l = 1 / (1 + C (N_l + B)^-A), C = (ln N - 1) (B + 1)^A: the chance
/// that label l is noted where it is true, for N training points of which N_l have it. A and B of
/// the repository. Requires: a >= 0, b > 0.
struct PropensityModel {
    double a = 0.55;
    double b = 1.5;
};
inline constexpr PropensityModel kAmazonPropensity{.a = 0.6, .b = 2.6};
inline constexpr PropensityModel kWikiPropensity{.a = 0.5, .b = 0.4};

/// 1 / p_l of each label, from its count among `points` training points. At least 1: for fewer than
/// three points, where C would be negative, it is 0.
[[nodiscard]] SLIDEKIT_API std::vector<double> inverse_propensities(
    std::span<const std::uint32_t> counts, std::uint64_t points, const PropensityModel& model = {});
/// The same, counted on the training set.
[[nodiscard]] SLIDEKIT_API std::vector<double> inverse_propensities(
    const data::PointsView& training, const PropensityModel& model = {});

/// Each from 0 to 1; all 0 where no point has a label.
struct Metrics {
    std::uint64_t points = 0;  // those with labels
    std::vector<std::uint32_t> depths;
    std::vector<double> precision;  // one for each depth, as the others
    std::vector<double> ndcg;
    std::vector<double> recall;
    std::vector<double> psp;  // empty without propensities
};

/// Adds up points one by one, in double; the order of the points decides the last bits. Confined.
class SLIDEKIT_API MetricSums {
public:
    /// depths: each at least 1. inverse_propensities: of all labels, borrowed; empty: no PSP@k.
    explicit MetricSums(std::span<const std::uint32_t> depths,
                        std::span<const double> inverse_propensities = {});

    /// A point. ranked: distinct labels, best first; ranks beyond them, and labels that do not
    /// exist, are misses. labels: the true ones, ascending and distinct; a point without is passed
    /// over.
    void add(std::span<const std::uint32_t> ranked, std::span<const std::uint32_t> labels);

    [[nodiscard]] Metrics result() const;

private:
    /// Sums over the ranks from the first to some rank.
    struct Gains {
        std::uint64_t hits = 0;
        double dcg = 0;
        double weight = 0;  // of inverse propensities
    };
    struct Sums {
        std::uint64_t hits = 0;
        double ndcg = 0;
        double recall = 0;
        double weight = 0;
        double best_weight = 0;
    };
    void gather(std::span<const std::uint32_t> ranked, std::span<const std::uint32_t> labels);
    void gather_best(std::span<const std::uint32_t> labels);

    std::vector<std::uint32_t> depths_;
    std::span<const double> inverse_propensities_;
    std::uint64_t points_ = 0;
    std::vector<Sums> sums_;       // by depth
    std::vector<double> ideal_;    // DCG of hits at the first so many ranks
    std::vector<Gains> gains_;     // of the point, at the first so many ranks
    std::vector<double> best_;     // the same of the greatest possible weight
    std::vector<double> weights_;  // of the point's labels
};

}  // namespace slidekit::train
