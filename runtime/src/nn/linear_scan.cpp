// The scan over all rows, and what its two rules keep of it: see the header.
#include "nn/linear_scan.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <slidekit/kernels/convert.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/topk.hpp>
#include <slidekit/system/random.hpp>

#include "lsh/selection.hpp"
#include "nn/finite.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

constexpr std::size_t kRowsPerProduct = 64;
constexpr std::size_t kSampled = 16;  // one row of so many is looked at first

float sigmoid(float z) { return 1 / (1 + std::exp(-z)); }

// How many events of probability p fail before the next that does not: geometric, by inversion.
std::uint64_t failures(system::Stream& stream, double p) {
    const double u = 1 - static_cast<double>(stream.uniform());  // in (0, 1]
    return static_cast<std::uint64_t>(std::log(u) / std::log1p(-p));
}

}  // namespace

// Scratch of one block of samples; its vectors by fours of coordinates, as the product wants them.
struct LinearScan::Block {
    explicit Block(RowMatrix<const float> hidden, float start = kLowest)
        : quads((hidden.dim + 3) / 4),
          x(quads * 4 * hidden.rows),
          hits(kRowsPerProduct * kSamples) {
        threshold.fill(start);
        std::vector<std::uint8_t> bytes(4 * quads);
        for (std::size_t s = 0; s < hidden.rows; ++s) {
            steps[s] = kernels::quantize_u7(hidden.row(s), hidden.dim, bytes.data());
            for (std::size_t q = 0; q < quads; ++q)
                std::copy_n(&bytes[4 * q], 4, &x[(q * hidden.rows + s) * 4]);
        }
    }

    std::size_t quads;
    // The vectors as the products take them.
    [[nodiscard]] RowMatrix<const std::uint8_t> vectors() const noexcept {
        return {x.data(), quads, x.size() / quads, x.size() / quads};
    }

    std::vector<std::uint8_t> x;
    std::vector<kernels::Hit> hits;
    std::vector<std::uint32_t> best;  // scratch of cut()
    std::vector<float> again;         // fp32 scores of a list
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
      rows_(rows.begin(), rows.end()) {
    for (std::size_t i = 0; i < rows_.size(); i += kSampled) sample_.push_back(rows_[i]);
}

// Calls body(ids, weights) for runs of ids, whose rows are on their way to the cache.
template <class Body>
void LinearScan::for_runs(std::span<const std::uint32_t> ids,
                          std::size_t dim,
                          const Body& body) const {
    RowMatrix<const std::int8_t> weights = copies_.rows();
    weights.dim = dim;  // zeros behind the last coordinate
    for (std::size_t first = 0; first < ids.size(); first += kRowsPerProduct) {
        const std::size_t end = std::min(first + kRowsPerProduct, ids.size());
        // The next rows come from L3 or memory while these are multiplied.
        for (std::size_t i = end; i < std::min(end + kRowsPerProduct, ids.size()); ++i) {
            for (std::size_t k = 0; k < dim; k += 64)
                __builtin_prefetch(weights.row(ids[i]) + k, 0, 2);
            __builtin_prefetch(copies_.affine().row(ids[i]), 0, 2);
        }
        body(ids.subspan(first, end - first), weights);
    }
}

// Cuts a list to its best `most`, which keep their order; the least of their scores, or minus
// infinity where there are fewer.
float LinearScan::cut(Scored& list, std::size_t most, std::vector<std::uint32_t>& best) {
    if (list.ids.size() < most) return kLowest;
    best.resize(most);
    kernels::select_top_k(list.scores.data(), list.scores.size(), most, best.data());
    float least = -kLowest;
    for (std::size_t i = 0; i < most; ++i) {
        list.ids[i] = list.ids[best[i]];
        list.scores[i] = list.scores[best[i]];
        least = std::min(least, list.scores[i]);
    }
    list.ids.resize(most);
    list.scores.resize(most);
    return least;
}

// Appends to each sample's list the ids above its threshold, ascending. A list four times as long
// as wanted is cut back to the best and raises the threshold.
void LinearScan::collect(std::span<const std::uint32_t> ids,
                         std::size_t wanted,
                         Block& block,
                         std::span<Scored> found) const {
    for_runs(ids,
             4 * block.quads,
             [&](std::span<const std::uint32_t> run, RowMatrix<const std::int8_t> weights) {
                 const std::size_t passed = kernels::scan_rows_i8(block.vectors(),
                                                                  block.steps.data(),
                                                                  found.size(),
                                                                  weights,
                                                                  copies_.affine(),
                                                                  run.data(),
                                                                  run.size(),
                                                                  block.threshold.data(),
                                                                  block.hits.data());
                 for (const kernels::Hit& hit : std::span(block.hits.data(), passed)) {
                     float& threshold = block.threshold[hit.column];
                     if (!(hit.value > threshold)) continue;  // a cut has raised it
                     Scored& list = found[hit.column];
                     list.ids.push_back(run[hit.row]);
                     list.scores.push_back(hit.value);
                     if (list.ids.size() == 4 * wanted) threshold = cut(list, wanted, block.best);
                 }
             });
}

// Without a threshold to begin with, five times as many would pass before lists have raised it to
// what it ends with, and they cost more than the products. The sample's best say where to begin:
// at twice as many as are wanted, and in a case of thousands too few, which is then seen.
void LinearScan::top_of_block(RowMatrix<const float> hidden,
                              std::size_t first,
                              std::size_t count,
                              Rank rank,
                              const FoundLists& lists) {
    const std::size_t keep = listed(count, rank);
    const std::span<Scored> found = std::span(found_).subspan(first, hidden.rows);
    Block block(hidden);
    const std::size_t of_sample = keep / (kSampled / 2) + kSampled;
    collect(sample_, of_sample, block, found);
    for (std::size_t s = 0; s < found.size(); ++s) {
        block.threshold[s] = cut(found[s], of_sample, block.best);
        found[s].clear();
    }
    collect(rows_, keep, block, found);
    bool missing = false;
    for (std::size_t s = 0; s < found.size(); ++s) {
        const bool enough = found[s].ids.size() >= std::min(keep, rows_.size());
        block.threshold[s] = enough ? -kLowest : kLowest;
        if (!enough) found[s].clear();
        missing = missing || !enough;
    }
    if (missing) collect(rows_, keep, block, found);

    for (std::size_t s = 0; s < found.size(); ++s) {
        Scored& list = found[s];
        (void)cut(list, keep, block.best);
        lists.clear(first + s);
        if (rank == Rank::dot) {
            for (std::size_t i = 0; i < list.ids.size(); ++i)
                lists.add(first + s, {list.ids[i], rank_of(list.scores[i])});
            continue;
        }
        std::vector<float>& again = block.again;
        again.resize(list.ids.size());
        parameters_.dot_rows(hidden.row(s), list.ids.data(), list.ids.size(), again.data());
        for (std::size_t i = 0; i < list.ids.size(); ++i)
            lists.add(first + s,
                      {list.ids[i],
                       rank_of(list.scores[i]),
                       rank_of(again[i] + parameters_.bias()[list.ids[i]])});
    }
}

// A draw for each pair would cost more than the scan. Pairs of a probability up to kRare are
// therefore met by skipping: each with probability kRare, of which its own share is then kept;
// those above are drawn one by one.
void LinearScan::standout_of_block(RowMatrix<const float> hidden,
                                   std::size_t first_sample,
                                   const Standout& rule,
                                   const FoundLists& lists) {
    const std::span<Scored> found = std::span(found_).subspan(first_sample, hidden.rows);
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
    std::vector<float> values(kRowsPerProduct * kSamples);
    std::size_t first = 0;  // place in rows_
    for_runs(rows_,
             4 * block.quads,
             [&](std::span<const std::uint32_t> run, RowMatrix<const std::int8_t> weights) {
                 const RowMatrix<float> logits{values.data(), run.size(), hidden.rows, kSamples};
                 kernels::multiply_rows_i8(block.vectors(),
                                           block.steps.data(),
                                           weights,
                                           copies_.affine(),
                                           run.data(),
                                           run.size(),
                                           logits);
                 const std::size_t passed =
                     kernels::find_above_columns(logits, block.threshold.data(), block.hits.data());
                 for (const kernels::Hit& hit : std::span(block.hits.data(), passed))
                     draw(hit.column, first + hit.row, hit.value, 1);
                 const std::size_t end = first + run.size();
                 for (std::size_t s = 0; s < hidden.rows; ++s) {
                     for (; next[s] < end;
                          next[s] += 1 + failures(streams[s], static_cast<double>(kRare))) {
                         const float logit = logits.row(next[s] - first)[s];
                         if (!(logit > rare_logit)) draw(s, next[s], logit, kRare);
                     }
                 }
                 first = end;
             });
    for (std::size_t s = 0; s < hidden.rows; ++s) {
        std::vector<std::uint32_t>& ids = found[s].ids;
        std::sort(ids.begin(), ids.end());
        const auto all = static_cast<std::uint32_t>(ids.size());
        lsh::Selection selection(std::min(rule.most, all), all);
        lists.clear(first_sample + s);
        for (const std::uint32_t id : ids) {
            if (all <= rule.most || selection.take(streams[s])) lists.add(first_sample + s, {id});
        }
    }
}

// Half blocks where there would be fewer than threads: rows then come twice as often. What a sample
// gets does not depend on its block.
std::size_t LinearScan::block_of(std::size_t samples) const noexcept {
    const std::size_t threads = executor_.threads() / executor_.domains();  // of this shard
    return samples < kSamples * threads ? kSamples / 2 : kSamples;
}

void LinearScan::clear(std::size_t samples) {
    if (found_.size() < samples) found_.resize(samples);
    for (Scored& list : found_) list.clear();
}

void LinearScan::top(RowMatrix<const float> hidden,
                     std::size_t count,
                     Rank rank,
                     const FoundLists& lists) {
    clear(hidden.rows);
    for (std::size_t s = 0; s < hidden.rows; ++s) lists.clear(s);
    if (count == 0) return;
    executor_.for_each_piece(hidden.rows,
                             block_of(hidden.rows),
                             [&](std::size_t begin, std::size_t end, system::Worker) {
                                 top_of_block(
                                     {hidden.row(begin), end - begin, hidden.dim, hidden.stride},
                                     begin,
                                     count,
                                     rank,
                                     lists);
                             });
}

void LinearScan::standout(RowMatrix<const float> hidden,
                          const Standout& rule,
                          const FoundLists& lists) {
    clear(hidden.rows);
    executor_.for_each_piece(
        hidden.rows,
        block_of(hidden.rows),
        [&](std::size_t begin, std::size_t end, system::Worker) {
            standout_of_block(
                {hidden.row(begin), end - begin, hidden.dim, hidden.stride}, begin, rule, lists);
        });
}

}  // namespace slidekit::nn
