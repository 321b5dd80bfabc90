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
