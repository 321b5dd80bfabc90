// The dense softmax over blocks of rows: see the header.
#include "nn/dense_softmax.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <slidekit/kernels/activation.hpp>
#include <slidekit/kernels/axpy.hpp>
#include <slidekit/kernels/dense.hpp>
#include <slidekit/kernels/dot.hpp>

#include "nn/exchange.hpp"
#include "nn/finite.hpp"
#include "nn/loss.hpp"
#include "system/task.hpp"

namespace slidekit::nn {

using kernels::RowMatrix;

namespace {

// Rows, logits, hidden vectors and gradients of a block share L2: 128 rows x 256 samples are 128 KB
// of logits, 64 KB of rows and 256 KB of hidden vectors and their gradients.
constexpr std::size_t kBlockRows = 128;

// Logits of a shared set are kept between the two passes where they fit the last cache, which saves
// a product in four; those of all neurons never are.
constexpr std::size_t kMostKept = std::size_t{1} << 22;

constexpr std::size_t kRowsAhead = 6;  // gathered rows are asked for so early: 3 KB of each kind

// Adds the rows of a block to `sums`: in floats over the block, which has few rows.
void add_rows(RowMatrix<const float> block, std::vector<float>& block_sum, double* sums) {
    block_sum.assign(block.dim, 0.0F);
    for (std::size_t r = 0; r < block.rows; ++r)
        kernels::axpy(1, block.row(r), block_sum.data(), block.dim);
    for (std::size_t s = 0; s < block.dim; ++s) sums[s] += static_cast<double>(block_sum[s]);
}

}  // namespace

struct DenseSoftmax::Scratch {
    std::vector<float> rows;      // gathered rows of a block
    std::vector<float> logits;    // rows x samples
    std::vector<float> gradient;  // rows x dim
    std::vector<float> sum;       // by sample
};

DenseSoftmax::DenseSoftmax(system::Runtime& runtime,
                           Parameters& parameters,
                           const Blocks& blocks,
                           std::optional<SharedNegatives> negatives)
    : executor_(runtime.executor()),
      parameters_(parameters),
      blocks_(blocks),
      negatives_(std::move(negatives)),
      scratch_(executor_.threads()) {
    for (std::size_t s = 0; s < blocks.shards(); ++s)
        remote_.push_back(stands_elsewhere(runtime, s));
}

DenseSoftmax::~DenseSoftmax() = default;

std::uint32_t DenseSoftmax::row_id(std::size_t i) const noexcept {
    return negatives_ ? negatives_->ids()[i] : static_cast<std::uint32_t>(i);
}

void DenseSoftmax::cut_pieces() {
    const auto place_of = [&](std::size_t neuron) -> std::size_t {
        if (!negatives_) return neuron;
        const std::span<const std::uint32_t> ids = negatives_->ids();
        return static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.end(), neuron) -
                                        ids.begin());
    };
    for (std::size_t b = 0; b < kBlocks; ++b) {
        const std::size_t begin = place_of(blocks_.neurons(b).begin);
        const std::size_t count = place_of(blocks_.neurons(b).end) - begin;
        for (std::size_t i = 0; i < kPiecesOfBlock; ++i)
            pieces_[b * kPiecesOfBlock + i] = {begin + count * i / kPiecesOfBlock,
                                               begin + count * (i + 1) / kPiecesOfBlock};
    }
}

// Calls body(piece, worker) for all pieces, each in the domain that owns its rows.
template <class Body>
void DenseSoftmax::for_each_piece(Body&& body) {
    for_each_shard(executor_, blocks_, in_process(), [&](std::size_t shard) {
        const Range own = pieces_of(shard);
        executor_.for_each(
            own.size(), [&](std::size_t i, system::Worker worker) { body(own.begin + i, worker); });
    });
}

void DenseSoftmax::choose_rows(const OutputStep& step, std::span<const std::uint32_t> chosen) {
    const data::PointsView& batch = step.batch;
    label_runs_.resize(batch.points);
    for (std::size_t s = 0; s < batch.points; ++s) {
        label_runs_[s] = {static_cast<std::uint32_t>(batch.label_offsets[s]),
                          static_cast<std::uint32_t>(batch.labels_of(s).size())};
    }
    labels_.build(executor_, batch.label_ids, label_runs_, parameters_.rows());
    active_ = parameters_.rows();
    if (negatives_) {
        const kernels::GroupsView labels = labels_.view();
        negatives_->draw(step.step, {labels.ids, labels.count}, chosen);
        active_ = negatives_->ids().size();
    }
    cut_pieces();
}

RowMatrix<const float> DenseSoftmax::rows_of(std::size_t begin,
                                             std::size_t count,
                                             Scratch& scratch) const {
    if (!negatives_) return parameters_.block(begin, count, scratch.rows);
    const std::size_t stride = padded_stride(parameters_.dim());
    scratch.rows.resize(kBlockRows * stride);
    for (std::size_t i = 0; i < count; ++i) {
        if (i + kRowsAhead < count) parameters_.prefetch_weights(row_id(begin + i + kRowsAhead));
        parameters_.copy_row(row_id(begin + i), scratch.rows.data() + i * stride);
    }
    return {scratch.rows.data(), count, parameters_.dim(), stride};
}

RowMatrix<float> DenseSoftmax::logits_place(std::size_t begin, std::size_t rows, Scratch& scratch) {
    const std::size_t stride = padded_stride(samples_);
    if (!kept_.empty()) return {kept_.data() + begin * stride, rows, samples_, stride};
    scratch.logits.resize(kBlockRows * stride);
    return {scratch.logits.data(), rows, samples_, stride};
}

RowMatrix<float> DenseSoftmax::logits_of(std::size_t begin,
                                         RowMatrix<const float> rows,
                                         Scratch& scratch) {
    const RowMatrix<float> logits = logits_place(begin, rows.rows, scratch);
    for (std::size_t r = 0; r < rows.rows; ++r) {
        const float shift = negatives_ ? negatives_->shift(begin + r) : 0.0F;
        std::fill_n(logits.row(r), samples_, parameters_.bias()[row_id(begin + r)] + shift);
    }
    kernels::multiply_add(
        {.data = rows.data, .rows = rows.rows, .columns = rows.dim, .row_stride = rows.stride},
        {hidden_transposed_.data(), rows.dim, samples_, logits.stride},
        logits);
    return logits;
}

void DenseSoftmax::fold_piece(std::size_t piece, Scratch& scratch) {
    float* max = piece_max_.data() + piece * samples_;
    float* sum = piece_sum_.data() + piece * samples_;
    std::fill_n(max, samples_, kLowest);
    std::fill_n(sum, samples_, 0.0F);
    const std::size_t end = pieces_[piece].end;
    for (std::size_t begin = pieces_[piece].begin; begin < end; begin += kBlockRows) {
        const RowMatrix<const float> rows =
            rows_of(begin, std::min(kBlockRows, end - begin), scratch);
        kernels::fold_softmax_columns(logits_of(begin, rows, scratch), max, sum);
    }
}

void DenseSoftmax::merge_normalizers(const OutputStep& step) {
    for (std::size_t s = 0; s < samples_; ++s) {
        float max = kLowest;
        for (std::size_t p = 0; p < Grouping::kPieces; ++p)
            max = std::max(max, piece_max_[p * samples_ + s]);
        double sum = 0;
        for (std::size_t p = 0; p < Grouping::kPieces; ++p) {
            if (piece_sum_[p * samples_ + s] == 0.0F) continue;  // a piece without rows
            sum += static_cast<double>(piece_sum_[p * samples_ + s]) *
                   std::exp(static_cast<double>(piece_max_[p * samples_ + s]) -
                            static_cast<double>(max));
        }
        max_[s] = max;
        log_sum_[s] = std::log(sum) + static_cast<double>(max);
        factor_[s] = share_[s] / static_cast<float>(sum);
        everywhere_[s] = share_[s] * step.label_smoothing / static_cast<float>(active_);
    }
}

void DenseSoftmax::share_out(const OutputStep& step) {
    const Targets targets(step.batch, step.loss, step.label_smoothing);
    share_.resize(samples_);
    divisor_.resize(samples_);
    for (std::size_t s = 0; s < samples_; ++s) {
        const bool labelled = !step.batch.labels_of(s).empty();
        share_[s] = labelled ? targets.weight(s) / static_cast<float>(samples_) : 0.0F;
        divisor_[s] = labelled ? targets.divisor(s) : 1.0F;
    }
}

// Turns the logits of a block into gradients but for the labels' targets; returns the loss of all
// but these where it is of one logit and one target.
double DenseSoftmax::take_gradients(const OutputStep& step,
                                    RowMatrix<float> values,
                                    float* max) const {
    double loss = 0;
    if (step.loss == Loss::softmax) {
        kernels::apply_softmax_columns(values, max_.data(), factor_.data());
        for (std::size_t r = 0; step.label_smoothing > 0 && r < values.rows; ++r)
            kernels::axpy(-1, everywhere_.data(), values.row(r), samples_);
        return loss;
    }
    const float everywhere =
        Targets(step.batch, step.loss, step.label_smoothing).everywhere(active_);
    for (std::size_t r = 0; r < values.rows; ++r) {
        for (std::size_t s = 0; s < samples_; ++s) max[s] = std::max(max[s], values.row(r)[s]);
        loss +=
            pointwise_gradients(step.loss, {values.row(r), samples_}, everywhere, share_.data(), 1);
    }
    return loss;
}

void DenseSoftmax::update_piece(const OutputStep& step, std::size_t piece, Scratch& scratch) {
    const RowMatrix<float> back = gradients_.zeroed(piece);
    const bool smooth = step.label_smoothing > 0;
    double* const logits = piece_logits_.data() + piece * samples_;
    double* const label_logits = piece_label_logits_.data() + piece * samples_;
    float* const label_max = piece_label_max_.data() + piece * samples_;
    std::fill_n(logits, samples_, 0.0);
    std::fill_n(label_logits, samples_, 0.0);
    std::fill_n(label_max, samples_, kLowest);
    const kernels::GroupsView labels = labels_.view();
    const Targets targets(step.batch, step.loss, step.label_smoothing);
    const float kept = targets.kept();
    const bool pointwise = step.loss != Loss::softmax;
    const float everywhere = targets.everywhere(active_);
    if (pointwise) std::fill_n(piece_max_.data() + piece * samples_, samples_, kLowest);
    double loss = 0;
    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(dim);
    scratch.gradient.resize(kBlockRows * stride);

    const std::size_t end = pieces_[piece].end;
    for (std::size_t begin = pieces_[piece].begin; begin < end; begin += kBlockRows) {
        const std::size_t count = std::min(kBlockRows, end - begin);
        const RowMatrix<const float> rows = rows_of(begin, count, scratch);
        const RowMatrix<float> values =
            kept_.empty() ? logits_of(begin, rows, scratch) : logits_place(begin, count, scratch);

        // The labels among this block's rows, found before their logits are overwritten.
        const std::uint32_t* const first =
            std::lower_bound(labels.ids, labels.ids + labels.count, row_id(begin));
        const auto for_each_label = [&](auto&& visit) {
            std::size_t row = 0;
            for (const std::uint32_t* id = first;
                 id != labels.ids + labels.count && *id <= row_id(begin + count - 1);
                 ++id) {
                while (row_id(begin + row) != *id) ++row;
                const std::size_t group = static_cast<std::size_t>(id - labels.ids);
                for (std::uint32_t m = labels.starts[group]; m < labels.starts[group + 1]; ++m) {
                    visit(row, labels.members[m].vector, targets.raw(labels.members[m].slot));
                }
            }
        };
        for_each_label([&](std::size_t row, std::uint32_t sample, float target) {
            const float logit = values.row(row)[sample];
            label_logits[sample] += static_cast<double>(target) * static_cast<double>(logit);
            label_max[sample] = std::max(label_max[sample], logit);
            if (pointwise)
                loss += static_cast<double>(share_[sample]) *
                        target_loss(step.loss, logit, kept * target, everywhere);
        });
        if (smooth && !pointwise)
            add_rows({values.data, count, samples_, values.stride}, scratch.sum, logits);
        loss += take_gradients(step,
                               {values.data, count, samples_, values.stride},
                               piece_max_.data() + piece * samples_);
        for_each_label([&](std::size_t row, std::uint32_t sample, float target) {
            values.row(row)[sample] -= kept * share_[sample] * target / divisor_[sample];
        });

        const RowMatrix<float> gradient{scratch.gradient.data(), count, dim, stride};
        std::fill_n(gradient.data, count * stride, 0.0F);
        kernels::multiply_add(
            {.data = values.data, .rows = count, .columns = samples_, .row_stride = values.stride},
            step.hidden,
            gradient);
        kernels::multiply_add({.data = values.data,
                               .rows = samples_,
                               .columns = count,
                               .row_stride = 1,
                               .column_stride = values.stride},
                              rows,
                              back);
        for (std::size_t r = 0; r < count; ++r) {
            if (r + kRowsAhead < count) parameters_.prefetch_state(row_id(begin + r + kRowsAhead));
            const float bias_gradient = kernels::dot(values.row(r), ones_.data(), samples_);
            parameters_.update_row(row_id(begin + r), gradient.row(r), bias_gradient, step.rule);
        }
    }
    piece_loss_[piece] = loss;
}

void DenseSoftmax::step(const OutputStep& step,
                        StepReport& report,
                        std::span<const std::uint32_t> chosen) {
    static const system::TaskName kTask("dense_softmax");
    const system::Task whole(kTask);
    StageClock clock;
    samples_ = step.batch.points;
    choose_rows(step, chosen);
    report.seconds.select += clock.lap();

    const std::size_t dim = parameters_.dim();
    const std::size_t stride = padded_stride(samples_);
    hidden_transposed_.resize(dim * stride);
    piece_max_.resize(Grouping::kPieces * samples_);
    piece_sum_.resize(Grouping::kPieces * samples_);
    piece_logits_.resize(Grouping::kPieces * samples_);
    piece_label_logits_.resize(Grouping::kPieces * samples_);
    piece_label_max_.resize(Grouping::kPieces * samples_);
    max_.resize(samples_);
    factor_.resize(samples_);
    everywhere_.resize(samples_);
    log_sum_.resize(samples_);
    ones_.assign(samples_, 1.0F);
    piece_loss_.assign(Grouping::kPieces, 0.0);
    const bool normalised = step.loss == Loss::softmax;
    const bool keep = normalised && negatives_ && active_ * stride <= kMostKept;
    kept_.resize(keep ? active_ * stride : 0);
    share_out(step);
    kernels::transpose(step.hidden, {hidden_transposed_.data(), dim, samples_, stride});
    if (normalised) {
        for_each_piece(
            [&](std::size_t piece, system::Worker worker) { fold_piece(piece, scratch_[worker]); });
        merge_normalizers(step);
    }
    report.seconds.forward += clock.lap();

    gradients_.resize(Grouping::kPieces, samples_, dim);
    for_each_piece([&](std::size_t piece, system::Worker worker) {
        update_piece(step, piece, scratch_[worker]);
    });
    // Of the groups only the ids count here: the rows that have had their update.
    if (negatives_)
        parameters_.update_others(executor_,
                                  {shared().data(), nullptr, nullptr, active_, 0},
                                  step.rule,
                                  0,
                                  parameters_.rows());
    gradients_.sum_into(executor_, 0, Grouping::kPieces, step.hidden_gradient);
    report.seconds.backward += clock.lap();

    const auto smoothing = static_cast<double>(step.label_smoothing);
    const Targets targets(step.batch, step.loss, step.label_smoothing);
    for (const double loss : piece_loss_) report.loss += static_cast<double>(samples_) * loss;
    for (std::size_t s = 0; s < samples_; ++s) {
        const std::size_t labels = step.batch.labels_of(s).size();
        if (labels == 0) continue;
        double logits = 0;
        double label_logits = 0;
        float label_max = kLowest;
        float max = kLowest;
        for (std::size_t p = 0; p < Grouping::kPieces; ++p) {
            max = std::max(max, piece_max_[p * samples_ + s]);
            logits += piece_logits_[p * samples_ + s];
            label_logits += piece_label_logits_[p * samples_ + s];
            label_max = std::max(label_max, piece_label_max_[p * samples_ + s]);
        }
        if (normalised)
            report.loss +=
                static_cast<double>(targets.weight(s)) *
                (log_sum_[s] - (1 - smoothing) * label_logits / static_cast<double>(divisor_[s]) -
                 smoothing * logits / static_cast<double>(active_));
        report.correct += label_max >= max ? 1 : 0;
        report.samples += 1;
        report.labels += labels;
        report.active += active_;
    }
    report.rows_touched += active_;
    for (std::size_t s = 0; s < remote_.size(); ++s) {
        if (!remote_[s]) continue;
        const Range own = pieces_of(s);
        for (std::size_t p = own.begin; p < own.end; ++p) report.rows_remote += pieces_[p].size();
    }
}

}  // namespace slidekit::nn
