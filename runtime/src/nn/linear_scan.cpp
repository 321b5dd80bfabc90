// The scan over all rows, and what its two rules keep of it: see the header.
#include "nn/linear_scan.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/topk.hpp>
#include <slidekit/system/random.hpp>

#include "lsh/selection.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr std::size_t kRowsPerBlock = 64;  // 32 KB of logits

float sigmoid(float z) { return 1 / (1 + std::exp(-z)); }

// How many events of probability p fail before the next that does not: geometric, by inversion.
std::uint64_t failures(system::Stream& stream, double p) {
    const double u = 1 - static_cast<double>(stream.uniform());  // in (0, 1]
    return static_cast<std::uint64_t>(std::log(u) / std::log1p(-p));
}

}  // namespace

// Scratch of one block of samples; its vectors by fours of coordinates, as the product wants them.
struct LinearScan::Block {
    Block(RowMatrix<const float> hidden, float start)
        : quads((hidden.dim + 3) / 4),
          x(quads * 4 * hidden.rows),
          logits(kRowsPerBlock * kSamples),
          hits(kRowsPerBlock * kSamples) {
        threshold.fill(start);
        std::vector<std::uint8_t> bytes(4 * quads);
        for (std::size_t s = 0; s < hidden.rows; ++s) {
            steps[s] = kernels::quantize_u7(hidden.row(s), hidden.dim, bytes.data());
            for (std::size_t q = 0; q < quads; ++q)
                std::copy_n(&bytes[4 * q], 4, &x[(q * hidden.rows + s) * 4]);
        }
    }

    std::size_t quads;
    std::vector<std::uint8_t> x;
    std::vector<float> logits;
    std::vector<kernels::Hit> hits;
    std::array<float, kSamples> steps{};
    std::array<float, kSamples> threshold{};
};

LinearScan::LinearScan(system::Executor& executor,
                       const Parameters& parameters,
                       const RankRows& copies,
                       std::span<const std::uint32_t> rows)
    : executor_(executor),
      parameters_(parameters),
      copies_(copies),
      rows_(rows.begin(), rows.end()) {}

// Calls body(first, logits, hits) for runs of rows from rows_[first] on: logits[row][sample], and
// those above their sample's threshold.
template <class Body>
void LinearScan::scan(RowMatrix<const float> hidden, Block& block, const Body& body) const {
    const RowMatrix<const std::uint8_t> x{
        block.x.data(), block.quads, 4 * hidden.rows, 4 * hidden.rows};
    RowMatrix<const std::int8_t> weights = copies_.rows();
    weights.dim = 4 * block.quads;  // zeros behind the last coordinate
    for (std::size_t first = 0; first < rows_.size(); first += kRowsPerBlock) {
        const std::size_t count = std::min(kRowsPerBlock, rows_.size() - first);
        const RowMatrix<float> logits{block.logits.data(), count, hidden.rows, kSamples};
        // The next rows come from L3 or memory while these are multiplied.
        for (std::size_t i = first + count; i < std::min(first + 2 * count, rows_.size()); ++i) {
            for (std::size_t k = 0; k < weights.dim; k += 64)
                __builtin_prefetch(weights.row(rows_[i]) + k, 0, 2);
        }
        kernels::multiply_rows_i8(
            x, block.steps.data(), weights, copies_.affine(), rows_.data() + first, count, logits);
        const std::size_t passed =
            kernels::find_above_columns(logits, block.threshold.data(), block.hits.data());
        body(first, logits, std::span<const kernels::Hit>(block.hits.data(), passed));
    }
}

// A sample's list takes all that pass until it is twice as long as wanted, and is then cut back to
// the best: a few comparisons for each that is appended. Appended ones ascend, and so do those that
// a cut keeps.
void LinearScan::top_of_block(RowMatrix<const float> hidden,
                              std::size_t count,
                              std::span<Scored> found) {
    const std::size_t keep = count + count / 4 + 8;
    Block block(hidden, -std::numeric_limits<float>::infinity());
    std::vector<std::uint32_t> best(2 * keep);
    const auto cut = [&](Scored& list, std::size_t most) {
        const std::size_t kept =
            kernels::select_top_k(list.scores.data(), list.scores.size(), most, best.data());
        float least = std::numeric_limits<float>::infinity();
        for (std::size_t i = 0; i < kept; ++i) {
            list.ids[i] = list.ids[best[i]];
            list.scores[i] = list.scores[best[i]];
            least = std::min(least, list.scores[i]);
        }
        list.ids.resize(kept);
        list.scores.resize(kept);
        return least;
    };
    scan(hidden,
         block,
         [&](std::size_t first, RowMatrix<const float>, std::span<const kernels::Hit> hits) {
             for (const kernels::Hit& hit : hits) {
                 if (!(hit.value > block.threshold[hit.column])) continue;  // a cut has raised it
                 Scored& list = found[hit.column];
                 list.ids.push_back(rows_[first + hit.row]);
                 list.scores.push_back(hit.value);
                 if (list.ids.size() == 2 * keep) block.threshold[hit.column] = cut(list, keep);
             }
         });
    for (std::size_t s = 0; s < hidden.rows; ++s) {
        Scored& list = found[s];
        if (list.ids.size() > keep) (void)cut(list, keep);
        if (list.ids.size() <= count) continue;
        parameters_.dot_rows(hidden.row(s), list.ids.data(), list.ids.size(), list.scores.data());
        for (std::size_t i = 0; i < list.ids.size(); ++i)
            list.scores[i] += parameters_.bias()[list.ids[i]];
        (void)cut(list, count);
    }
}

// A draw for each pair would cost more than the scan. Pairs of a probability up to kRare are
// therefore met by skipping: each with probability kRare, of which its own share is then kept;
// those above are drawn one by one.
void LinearScan::standout_of_block(RowMatrix<const float> hidden,
                                   std::size_t first_sample,
                                   const Standout& rule,
                                   std::span<Scored> found) {
    constexpr float kRare = 1.0F / 256;
    const float rare_logit = (std::log(kRare / (1 - kRare)) - rule.beta) / rule.alpha;
    Block block(hidden, rare_logit);
    std::vector<system::Stream> streams;
    std::vector<std::uint64_t> next(hidden.rows);  // place in rows_ of the next pair that is met
    for (std::size_t s = 0; s < hidden.rows; ++s) {
        streams.emplace_back(rule.seed, system::Purpose::standout, rule.step, first_sample + s);
        next[s] = failures(streams[s], static_cast<double>(kRare));
    }
    const auto draw = [&](std::size_t s, std::size_t place, float logit, float share) {
        if (streams[s].uniform() * share < sigmoid(rule.alpha * logit + rule.beta))
            found[s].ids.push_back(rows_[place]);
    };
    scan(hidden,
         block,
         [&](std::size_t first, RowMatrix<const float> logits, std::span<const kernels::Hit> hits) {
             for (const kernels::Hit& hit : hits) draw(hit.column, first + hit.row, hit.value, 1);
             for (std::size_t s = 0; s < hidden.rows; ++s) {
                 for (; next[s] < first + logits.rows;
                      next[s] += 1 + failures(streams[s], static_cast<double>(kRare))) {
                     const float logit = logits.row(next[s] - first)[s];
                     if (!(logit > rare_logit)) draw(s, next[s], logit, kRare);
                 }
             }
         });
    for (std::size_t s = 0; s < hidden.rows; ++s) {
        std::vector<std::uint32_t>& ids = found[s].ids;
        std::sort(ids.begin(), ids.end());
        if (ids.size() <= rule.most) continue;
        lsh::Selection selection(rule.most, static_cast<std::uint32_t>(ids.size()));
        ids.erase(
            std::remove_if(
                ids.begin(), ids.end(), [&](std::uint32_t) { return !selection.take(streams[s]); }),
            ids.end());
    }
}

void LinearScan::clear(std::size_t samples) {
    if (found_.size() < samples) found_.resize(samples);
    for (Scored& list : found_) {
        list.ids.clear();
        list.scores.clear();
    }
}

void LinearScan::gather(std::size_t samples,
                        std::vector<SlotRun>& runs,
                        std::vector<std::uint32_t>& ids) const {
    runs.resize(samples);
    ids.clear();
    for (std::size_t s = 0; s < samples; ++s) {
        runs[s] = {static_cast<std::uint32_t>(ids.size()),
                   static_cast<std::uint32_t>(found_[s].ids.size())};
        ids.insert(ids.end(), found_[s].ids.begin(), found_[s].ids.end());
    }
}

void LinearScan::top(RowMatrix<const float> hidden,
                     std::size_t count,
                     std::vector<SlotRun>& runs,
                     std::vector<std::uint32_t>& ids) {
    clear(hidden.rows);
    if (count > 0) {
        executor_.for_each_piece(
            hidden.rows, kSamples, [&](std::size_t begin, std::size_t end, system::Worker) {
                top_of_block({hidden.row(begin), end - begin, hidden.dim, hidden.stride},
                             count,
                             std::span(found_).subspan(begin, end - begin));
            });
    }
    gather(hidden.rows, runs, ids);
}

void LinearScan::standout(RowMatrix<const float> hidden,
                          const Standout& rule,
                          std::vector<SlotRun>& runs,
                          std::vector<std::uint32_t>& ids) {
    clear(hidden.rows);
    executor_.for_each_piece(
        hidden.rows, kSamples, [&](std::size_t begin, std::size_t end, system::Worker) {
            standout_of_block({hidden.row(begin), end - begin, hidden.dim, hidden.stride},
                              begin,
                              rule,
                              std::span(found_).subspan(begin, end - begin));
        });
    gather(hidden.rows, runs, ids);
}

}  // namespace slidekit::nn
