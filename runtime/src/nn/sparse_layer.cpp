// Choice, forward and backward of a layer over sparse input.
#include "nn/sparse_layer.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dot.hpp>
#include <slidekit/kernels/topk.hpp>
#include <slidekit/system/error.hpp>
#include <slidekit/system/random.hpp>

#include "nn/draws.hpp"
#include "nn/exchange.hpp"
#include "nn/finite.hpp"
#include "system/task.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;
using kernels::SparseView;

namespace {

constexpr std::size_t kHashedPerTask = 16;  // as many as one call hashes

bool lists_coordinates(const LshOutput& config) {
    return config.hash.family == lsh::HashFamily::sparse_dwta;
}

}  // namespace

struct SparseLayer::Scratch {
    Scratch(std::uint32_t neurons, std::uint32_t dim, bool counts)
        : chosen(neurons),
          candidates(neurons,
                     counts ? lsh::Candidates::Counting::on : lsh::Candidates::Counting::off),
          listed(dim),
          gradient(dim) {}

    lsh::StampSet chosen;
    std::vector<std::uint32_t> picked;
    lsh::Candidates candidates;
    std::vector<std::uint32_t> keys;  // of kHashedPerTask queries
    std::vector<float> hash;
    std::vector<std::uint64_t> bins;  // of sparse DWTA
    std::vector<float> queries;       // the same, as dense rows
    std::vector<float> scores;
    std::vector<std::uint32_t> positions;
    lsh::StampSet listed;  // coordinates that a neuron's samples list...
    std::vector<std::uint32_t> coordinates;
    std::vector<float> gradient;  // ...and the gradient there, by coordinate...
    std::vector<float> gathered;  // ...and in the order of `coordinates`
    Parameters::Gathered update;
};

SparseLayer::SparseLayer(system::Runtime& runtime,
                         Parameters& rows,
                         const std::optional<LshOutput>& sampled,
                         std::vector<std::uint32_t> met,
                         std::uint64_t seed)
    : executor_(runtime.executor()),
      rows_(rows),
      config_(sampled),
      seed_(seed),
      blocks_(rows.rows(), 1),
      centre_(rows.dim()),
      all_(rows.rows()),
      scratch_(executor_.threads()) {
    std::iota(all_.begin(), all_.end(), 0U);
    if (rows.precision() != Precision::fp32)
        throw Error(ErrorCode::usage, "precision", "bf16 rows cannot meet sparse input; use fp32");
    if (!config_ || config_->mix.lsh == 0 || config_->sampling != Sampling::top_k) return;
    tables_.emplace(runtime, rows, *config_, std::move(met), seed, blocks_, in_process());
}

SparseLayer::~SparseLayer() = default;

SparseLayer::Scratch& SparseLayer::scratch_of(system::Worker worker) {
    const bool counts = config_ && config_->rank == Rank::count;
    if (!scratch_[worker])
        scratch_[worker] = std::make_unique<Scratch>(rows_.rows(), rows_.dim(), counts);
    return *scratch_[worker];
}

// ---- choice ----

std::uint32_t SparseLayer::capacity(std::size_t labels) const noexcept {
    if (!config_) return rows_.rows();
    const std::uint64_t most =
        labels + std::uint64_t{config_->mix.lsh} + config_->mix.batch + config_->mix.uniform;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(most, rows_.rows()));
}

// Keys of samples begin .. end - 1.
void SparseLayer::hash(const SparseBatch& in,
                       std::size_t begin,
                       std::size_t end,
                       Scratch& scratch) const {
    const lsh::Family& family = tables_->family();
    const std::size_t each = std::size_t{config_->hash.l} * config_->hash.probes;
    scratch.keys.resize((end - begin) * each);
    if (lists_coordinates(*config_)) {
        for (std::size_t s = begin; s < end; ++s)
            family.hash_sparse(in.row(s), scratch.keys.data() + (s - begin) * each, scratch.bins);
        return;
    }
    const std::size_t stride = padded_stride(in.dim);
    scratch.queries.assign((end - begin) * stride, 0.0F);
    scratch.hash.resize(family.scratch_floats());
    const RowMatrix<float> queries{scratch.queries.data(), end - begin, in.dim, stride};
    for (std::size_t s = begin; s < end; ++s) {
        const SparseView row = in.row(s);
        for (std::size_t i = 0; i < row.nnz; ++i)
            queries.row(s - begin)[row.ids[i]] += row.values[i];
    }
    family.hash_queries(queries,
                        config_->centre == Centre::on ? centre_.mean().data() : nullptr,
                        scratch.keys.data(),
                        scratch.hash.data());
}

void SparseLayer::pre_activations(SparseView in,
                                  std::span<const std::uint32_t> ids,
                                  float* out) const noexcept {
    kernels::dot_sparse_rows(in, std::as_const(rows_).weights(), ids.data(), ids.size(), out);
    const std::span<const float> bias = std::as_const(rows_).bias();
    for (std::size_t i = 0; i < ids.size(); ++i) out[i] += bias[ids[i]];
}

// Of the candidates the mix.lsh highest, or those met in most tables.
void SparseLayer::add_best(SparseView in,
                           std::span<const std::uint32_t> candidates,
                           Scratch& scratch) const {
    const std::size_t count = std::min<std::size_t>(config_->mix.lsh, candidates.size());
    scratch.positions.resize(count);
    if (count == candidates.size()) {
        std::iota(scratch.positions.begin(), scratch.positions.end(), 0U);
    } else if (tables_ && config_->rank == Rank::count) {
        scratch.positions.resize(kernels::select_top_counts(scratch.candidates.counts().data(),
                                                            candidates.size(),
                                                            count,
                                                            scratch.positions.data()));
    } else {
        scratch.scores.resize(candidates.size());
        pre_activations(in, candidates, scratch.scores.data());
        kernels::select_top_k(
            scratch.scores.data(), candidates.size(), count, scratch.positions.data());
    }
    for (const std::uint32_t position : scratch.positions) {
        const std::uint32_t id = candidates[position];
        if (scratch.chosen.insert(id)) scratch.picked.push_back(id);
    }
}

void SparseLayer::choose(const SparseBatch& in,
                         std::size_t sample,
                         std::span<const std::uint32_t> keys,
                         std::uint64_t step,
                         const data::PointsView* labels,
                         Scratch& scratch) {
    std::vector<std::uint32_t>& picked = scratch.picked;
    picked.clear();
    runs_[sample].count = 0;
    StepReport& found = found_[sample];
    found = {};
    const auto own =
        labels == nullptr ? std::span<const std::uint32_t>{} : labels->labels_of(sample);
    if (labels != nullptr && own.empty()) return;
    scratch.chosen.clear();
    const auto add = [&](std::uint32_t id) {
        if (scratch.chosen.insert(id)) picked.push_back(id);
    };
    for (const std::uint32_t label : own) add(label);
    if (!config_) {
        for (const std::uint32_t id : all_) add(id);
    } else {
        if (tables_) {
            const auto candidates = scratch.candidates.collect(tables_->tables(0), keys);
            found.candidates = candidates.size();
            for (const std::uint32_t label : own)
                found.labels_retrieved += scratch.candidates.contains(label) ? 1 : 0;
            add_best(in.row(sample), candidates, scratch);
        } else if (config_->sampling == Sampling::exact && config_->mix.lsh > 0) {
            add_best(in.row(sample), all_, scratch);
        }
        draw_neurons(config_->mix, seed_, step, sample, labels, labelled_, rows_.rows(), add);
    }
    runs_[sample].count = static_cast<std::uint32_t>(picked.size());
    std::copy(picked.begin(), picked.end(), ids_.begin() + runs_[sample].first);
    pre_activations(in.row(sample), picked, values_.data() + runs_[sample].first);
}

bool SparseLayer::forward(const SparseBatch& in,
                          std::uint64_t step,
                          const data::PointsView* labels,
                          StepReport& report) {
    static const system::TaskName kTask("sparse_forward");
    const system::Task stage(kTask);
    if (tables_ && config_->centre == Centre::on && !lists_coordinates(*config_))
        centre_.observe(in);
    runs_.resize(in.rows());
    found_.resize(in.rows());
    labelled_.clear();
    std::uint32_t first = 0;
    for (std::size_t s = 0; s < in.rows(); ++s) {
        const std::size_t own = labels == nullptr ? 0 : labels->labels_of(s).size();
        if (own > 0) labelled_.push_back(static_cast<std::uint32_t>(s));
        runs_[s] = {first, 0};
        first += capacity(own);
    }
    ids_.resize(first);
    values_.resize(first);
    if (zeros_.size() < rows_.rows()) zeros_.resize(rows_.rows());
    std::atomic<bool> finite = true;
    executor_.for_each_piece(
        in.rows(), kHashedPerTask, [&](std::size_t begin, std::size_t end, system::Worker worker) {
            Scratch& scratch = scratch_of(worker);
            std::size_t each = 0;
            if (tables_) {
                hash(in, begin, end, scratch);
                each = scratch.keys.size() / (end - begin);
            }
            for (std::size_t s = begin; s < end; ++s) {
                choose(in,
                       s,
                       std::span(std::as_const(scratch.keys)).subspan((s - begin) * each, each),
                       step,
                       labels,
                       scratch);
                if (!all_finite(values_.data() + runs_[s].first, zeros_.data(), runs_[s].count))
                    finite = false;
            }
        });
    for (const StepReport& found : found_) report += found;
    return finite;
}

void SparseLayer::relu() {
    executor_.for_each_piece(
        runs_.size(), kHashedPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t s = begin; s < end; ++s) {
                std::uint32_t* const ids = ids_.data() + runs_[s].first;
                float* const values = values_.data() + runs_[s].first;
                std::uint32_t kept = 0;
                for (std::uint32_t i = 0; i < runs_[s].count; ++i) {
                    if (!(values[i] > 0)) continue;
                    ids[kept] = ids[i];
                    values[kept++] = values[i];
                }
                runs_[s].count = kept;
            }
        });
}

// ---- backward ----

void SparseLayer::backward(const SparseBatch& in,
                           std::span<const float> gradient,
                           std::span<float> in_gradient,
                           const UpdateRule& rule) {
    static const system::TaskName kTask("sparse_backward");
    const system::Task stage(kTask);
    const RowMatrix<const float> weights = std::as_const(rows_).weights();
    if (!in_gradient.empty()) {
        executor_.for_each_piece(
            runs_.size(), kHashedPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
                for (std::size_t s = begin; s < end; ++s) {
                    const SparseView row = in.row(s);
                    float* const out = in_gradient.data() + in.runs[s].first;
                    std::fill_n(out, row.nnz, 0.0F);
                    for (std::uint32_t i = 0; i < runs_[s].count; ++i) {
                        const std::size_t slot = runs_[s].first + i;
                        const float* const w = weights.row(ids_[slot]);
                        for (std::size_t j = 0; j < row.nnz; ++j)
                            out[j] += gradient[slot] * w[row.ids[j]];
                    }
                }
            });
    }
    grouping_.build(executor_, ids_, runs_, rows_.rows());
    executor_.for_each(Grouping::kPieces, [&](std::size_t piece, system::Worker worker) {
        update(in, gradient, grouping_.piece(piece), rule, scratch_of(worker));
    });
    rows_.update_others(executor_, grouping_.view(), rule, 0, rows_.rows());
}

// The gradient of each group's row at the coordinates that its samples list, and the update there.
void SparseLayer::update(const SparseBatch& in,
                         std::span<const float> gradient,
                         kernels::GroupsView groups,
                         const UpdateRule& rule,
                         Scratch& scratch) {
    std::vector<std::uint32_t>& coordinates = scratch.coordinates;
    for (std::size_t g = 0; g < groups.count; ++g) {
        scratch.listed.clear();
        coordinates.clear();
        float bias_gradient = 0;
        for (std::uint32_t m = groups.starts[g]; m < groups.starts[g + 1]; ++m) {
            const float slope = gradient[groups.members[m].slot];
            const SparseView row = in.row(groups.members[m].vector);
            bias_gradient += slope;
            for (std::size_t j = 0; j < row.nnz; ++j) {
                const std::uint32_t c = row.ids[j];
                if (scratch.listed.insert(c)) {
                    coordinates.push_back(c);
                    scratch.gradient[c] = 0;
                }
                scratch.gradient[c] += slope * row.values[j];
            }
        }
        scratch.gathered.resize(coordinates.size());
        for (std::size_t i = 0; i < coordinates.size(); ++i)
            scratch.gathered[i] = scratch.gradient[coordinates[i]];
        rows_.update_coordinates(groups.ids[g],
                                 coordinates,
                                 scratch.gathered.data(),
                                 bias_gradient,
                                 rule,
                                 scratch.update);
        if (tables_) tables_->touch(groups.ids[g]);
    }
}

void SparseLayer::visit_state(StateVisitor& state, const std::string& name) {
    if (!tables_) return;
    tables_->visit_state(state, name + ".tables");
    centre_.visit_state(state, name);
}

// ---- prediction ----

void SparseLayer::predict(SparseView in, float* out) const {
    pre_activations(in, all_, out);
    kernels::relu(out, all_.size());
    if (!config_ || config_->mix.lsh == 0 || config_->mix.lsh >= all_.size()) return;
    const std::vector<float> activations(out, out + all_.size());
    std::vector<std::uint32_t> best(config_->mix.lsh);
    kernels::select_top_k(activations.data(), activations.size(), best.size(), best.data());
    std::fill_n(out, all_.size(), 0.0F);
    for (const std::uint32_t id : best) out[id] = activations[id];
}

}  // namespace slidekit::nn
