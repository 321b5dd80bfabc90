// Losses on the active neurons of each sample: labels stand first.
#include "nn/sparse_output.hpp"

#include <cmath>

#include <slidekit/kernels/activation.hpp>

#include "nn/output_step.hpp"

namespace slidekit::nn {

namespace {

// Turns the logits of a sample into gradients of the loss over the batch's samples.
StepReport take_loss(const Targets& targets,
                     const data::PointsView& batch,
                     std::size_t sample,
                     std::span<float> values) {
    const std::size_t labels = batch.labels_of(sample).size();
    const std::size_t first = batch.label_offsets[sample];
    const float weight = targets.weight(sample);
    const float share = weight / static_cast<float>(batch.points);
    const float scale = targets.scale(sample);
    const float everywhere = targets.everywhere(values.size());
    StepReport report;
    report.samples = 1;
    report.active = values.size();
    report.labels = labels;
    const float best = kernels::max_value(values.data(), values.size());
    const float best_label = kernels::max_value(values.data(), labels);
    report.correct = best_label >= best ? 1 : 0;

    double loss = 0;  // weighted
    const auto own = static_cast<double>(weight);
    if (targets.loss() == Loss::softmax) {
        for (std::size_t i = 0; i < labels; ++i)
            loss -= static_cast<double>(scale * targets.raw(first + i)) *
                    static_cast<double>(values[i]);
        for (const float logit : values)
            loss -= static_cast<double>(everywhere) * static_cast<double>(logit);
        const float sum = kernels::exp_sum(values.data(), values.size(), best);
        loss = own * (loss + std::log(static_cast<double>(sum)) + static_cast<double>(best));
        kernels::scale(share / sum, values.data(), values.size());
        if (everywhere > 0)
            for (float& value : values) value -= share * everywhere;
    } else {
        for (std::size_t i = 0; i < labels; ++i)
            loss +=
                own *
                target_loss(targets.loss(), values[i], scale * targets.raw(first + i), everywhere);
        loss += batch.points * pointwise_gradients(targets.loss(), values, everywhere, &share, 0);
    }
    for (std::size_t i = 0; i < labels; ++i) values[i] -= share * scale * targets.raw(first + i);
    report.loss = loss;
    return report;
}

}  // namespace

bool SparseOutput::step(const SparseBatch& in,
                        const data::PointsView& batch,
                        std::uint64_t step,
                        float label_smoothing,
                        const UpdateRule& rule,
                        std::span<float> in_gradient,
                        StepReport& report) {
    constexpr std::size_t kSamplesPerTask = 16;
    StageClock clock;
    const bool finite = layer_.forward(in, step, &batch, report);
    const Targets targets(batch, loss_, label_smoothing);
    const SparseBatch active = layer_.active();
    const std::span<float> values = layer_.values();
    reports_.assign(batch.points, {});
    executor_.for_each_piece(
        batch.points, kSamplesPerTask, [&](std::size_t begin, std::size_t end, system::Worker) {
            for (std::size_t s = begin; s < end; ++s) {
                if (active.runs[s].count == 0) continue;
                reports_[s] = take_loss(
                    targets, batch, s, values.subspan(active.runs[s].first, active.runs[s].count));
            }
        });
    for (const StepReport& sample : reports_) report += sample;
    report.seconds.forward += clock.lap();
    layer_.backward(in, values, in_gradient, rule);
    report.rows_touched += layer_.rows_touched();
    report.seconds.backward += clock.lap();
    return finite;
}

}  // namespace slidekit::nn
