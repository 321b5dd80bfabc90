// What a training run tells: progress on stderr, the run log, and the result table on stdout.
#pragma once

#include <nlohmann/json.hpp>

#include <slidekit/system/telemetry.hpp>
#include <slidekit/train/trainer.hpp>

#include "progress.hpp"
#include "run_log.hpp"

namespace slidekit::cli {

/// Shows progress and writes the log.
class Reporter : public train::TrainingObserver {
public:
    Reporter(RunLog& log, ProgressLine& line) : log_(log), line_(line) {}

    void on_step(const train::StepEvent& event) override;
    void on_rebuild(const train::RebuildEvent& event) override;
    void on_evaluation(const train::EvalEvent& event) override;
    void on_resume(const train::ResumeEvent& event) override;
    void on_checkpoint(const train::CheckpointEvent& event) override;
    bool stop_requested() override;

    /// In place of write_done, for a training that a signal has ended. checkpoint: the last good
    /// one, or empty.
    void write_stopped(const train::TrainResult& result, int signal, const std::string& checkpoint);

    /// The last event. telemetry: of the training, evaluations included.
    void write_done(const train::TrainResult& result,
                    const system::TelemetryReport& telemetry,
                    double wall_seconds,
                    const std::string& model);

private:
    RunLog& log_;
    ProgressLine& line_;
};

void print_result(const std::string& output,
                  const train::TrainResult& result,
                  std::uint32_t labels);

}  // namespace slidekit::cli
