// Events as log lines, and the result as a table.
#include "train_reporter.hpp"

#include <algorithm>
#include <csignal>
#include <string>

#include <fmt/core.h>

#include <slidekit/system/region.hpp>

#include "metrics.hpp"
#include "options.hpp"
#include "stop_signals.hpp"

namespace slidekit::cli {

namespace {

using nlohmann::ordered_json;

ordered_json stages_json(const nn::StageSeconds& seconds) {
    return {{"input_forward", seconds.input_forward},
            {"hash", seconds.hash},
            {"select", seconds.select},
            {"group", seconds.group},
            {"forward", seconds.forward},
            {"backward", seconds.backward},
            {"input_backward", seconds.input_backward}};
}

// Counters by name, null where they could not be had; the reasons beside them.
ordered_json telemetry_json(const system::TelemetryReport& report) {
    ordered_json json = {{"seconds", report.seconds},
                         {"counters", ordered_json::object()},
                         {"vmstat", ordered_json::object()},
                         {"unavailable", ordered_json::object()}};
    const auto add = [&](const char* group, const std::vector<system::Count>& counts) {
        for (const system::Count& count : counts) {
            json[group][count.name] = count.value ? ordered_json(*count.value) : ordered_json();
            if (!count.value) json["unavailable"][count.name] = count.reason;
        }
    };
    add("counters", report.counters);
    add("vmstat", report.kernel);
    return json;
}

double per(std::uint64_t sum, std::uint64_t count) {
    return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
}

}  // namespace

void Reporter::on_step(const train::StepEvent& event) {
    line_.show(event);
    const nn::StepReport& sums = event.sums;
    log_.write("step",
               {{"step", event.progress.step},
                {"samples", event.progress.samples},
                {"train_seconds", event.progress.train_seconds},
                {"samples_per_second", static_cast<double>(sums.samples) / event.seconds},
                {"lr", event.lr},
                {"loss", sums.loss / static_cast<double>(std::max<std::uint64_t>(1, sums.samples))},
                {"batch_p_at_1", per(sums.correct, sums.samples)},
                {"active_per_sample", per(sums.active, sums.samples)},
                {"rows_touched", per(sums.rows_touched, event.steps)},
                {"remote_row_share", per(sums.rows_remote, sums.rows_touched)},
                {"stage_seconds", stages_json(sums.seconds)}});
}

void Reporter::on_rebuild(const train::RebuildEvent& event) {
    const lsh::Occupancy& occupancy = event.rebuild.occupancy;
    ordered_json fields = {{"step", event.progress.step},
                           {"seconds", event.rebuild.seconds},
                           {"steps", event.rebuild.steps},
                           {"background_seconds", event.rebuild.background_seconds},
                           {"rows_rehashed", event.rebuild.rows},
                           {"buckets", occupancy.buckets},
                           {"buckets_used", occupancy.nonempty},
                           {"buckets_used_share", per(occupancy.nonempty, occupancy.buckets)},
                           {"largest_bucket", occupancy.largest},
                           {"ids_dropped", occupancy.dropped}};
    if (event.sums.samples > 0) {
        fields["candidates_per_sample"] = per(event.sums.candidates, event.sums.samples);
        fields["label_recall"] = per(event.sums.labels_retrieved, event.sums.labels);
    }
    if (event.top_recall >= 0) fields["top_recall"] = event.top_recall;
    log_.write("rebuild", fields);
}

void Reporter::on_evaluation(const train::EvalEvent& event) {
    line_.show(event);
    ordered_json fields = {{"step", event.progress.step},
                           {"epoch", event.progress.epoch},
                           {"samples", event.progress.samples},
                           {"train_seconds", event.progress.train_seconds},
                           {"set", event.on == train::EvalSet::test ? "test" : "validation"}};
    fields.update(metrics_json(event.precision.metrics));
    fields["seconds"] = event.seconds;
    log_.write("eval", fields);
}

void Reporter::on_resume(const train::ResumeEvent& event) {
    for (const std::string& note : event.notes) line_.say("resume: " + note);
    line_.say(fmt::format("resumed at step {} of {} from {}",
                          event.progress.step,
                          event.progress.total_steps,
                          event.file.string()));
}

void Reporter::on_checkpoint(const train::CheckpointEvent& event) {
    ordered_json fields = {{"step", event.progress.step},
                           {"file", event.file.string()},
                           {"bytes", event.bytes},
                           {"seconds", event.seconds}};
    if (!event.failure.empty()) {
        fields["failure"] = event.failure;
        line_.say("warning: no checkpoint of step " + std::to_string(event.progress.step) + ": " +
                  event.failure + "; training goes on, " +
                  (event.file.empty() ? "and there is none yet"
                                      : "and the last good one is " + event.file.string()));
    }
    log_.write("checkpoint", fields);
}

bool Reporter::stop_requested() { return StopSignals::caught() != 0; }

void Reporter::write_stopped(const train::TrainResult& result,
                             int signal,
                             const std::string& checkpoint) {
    const char* const name = signal == SIGINT ? "SIGINT" : "SIGTERM";
    log_.write("stopped",
               {{"step", result.progress.step},
                {"samples", result.progress.samples},
                {"train_seconds", result.progress.train_seconds},
                {"signal", name},
                {"checkpoint", checkpoint}});
    line_.say(
        fmt::format("stopped by {} after step {} of {}; {}",
                    name,
                    result.progress.step,
                    result.progress.total_steps,
                    checkpoint.empty()
                        ? "nothing is kept: there is no checkpoint (--checkpoint DIR writes them)"
                        : fmt::format("go on with --resume: the checkpoint is {}", checkpoint)));
}

void Reporter::write_done(const train::TrainResult& result,
                          const system::TelemetryReport& telemetry,
                          double wall_seconds,
                          const std::string& model) {
    ordered_json best;  // null without held-out points
    if (result.validation.best >= 0)
        best = {{"p_at_1", result.validation.best}, {"step", result.validation.best_step}};
    log_.write("done",
               {{"epochs", result.progress.epoch},
                {"samples", result.progress.samples},
                {"train_seconds", result.progress.train_seconds},
                {"wall_seconds", wall_seconds},
                {"samples_per_second",
                 static_cast<double>(result.progress.samples) / result.progress.train_seconds},
                {"rebuild_seconds", result.rebuild_seconds},
                {"stage_seconds", stages_json(result.sums.seconds)},
                {"active_per_sample", per(result.sums.active, result.sums.samples)},
                {"remote_row_share", per(result.sums.rows_remote, result.sums.rows_touched)},
                {"out_of_time", result.out_of_time},
                {"stopped_early", result.stopped_early},
                {"best_validation", best},
                {"peak_rss_bytes", system::peak_rss_bytes()},
                {"telemetry", telemetry_json(telemetry)},
                {"model", model}});
}

void print_result(const std::string& output,
                  const train::TrainResult& result,
                  std::uint32_t labels) {
    constexpr std::size_t kAt5 = 2;  // place of depth 5 in the metrics
    const double share = 100 * per(result.sums.active, result.sums.samples) / labels;
    const train::Metrics& metrics = result.precision.metrics;
    fmt::print("{:<8} {:>10} {:>10} {:>7} {:>7} {:>7} {:>9} {:>11} {:>8} {:>9} {:>10}\n",
               "output",
               "train s",
               "samples/s",
               "P@1 %",
               "P@3 %",
               "P@5 %",
               "nDCG@5 %",
               "recall@5 %",
               "PSP@5 %",
               "active %",
               "peak RSS");
    fmt::print(
        "{:<8} {:>10.1f} {:>10.0f} {:>7.2f} {:>7.2f} {:>7.2f} {:>9.2f} {:>11.2f} {:>8} {:>9.3f} "
        "{:>10}{}{}\n",
        output,
        result.progress.train_seconds,
        static_cast<double>(result.progress.samples) / result.progress.train_seconds,
        100 * result.precision.at_1,
        100 * result.precision.at_3,
        100 * result.precision.at_5,
        100 * metrics.ndcg[kAt5],
        100 * metrics.recall[kAt5],
        metrics.psp.empty() ? "-" : fmt::format("{:.2f}", 100 * metrics.psp[kAt5]),
        share,
        bytes_text(system::peak_rss_bytes()),
        result.out_of_time ? "  (stopped by --max-seconds)" : "",
        result.stopped_early ? "  (stopped by --early-stop)" : "");
}

}  // namespace slidekit::cli
