// The loop's side of its checkpoints: when one is due, and what the observer hears of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <slidekit/train/run_fields.hpp>
#include <slidekit/train/trainer.hpp>

#include "train/state_file.hpp"

namespace slidekit::train {

/// Does nothing where the configuration has no folder. Borrows all that it is made from.
class Checkpoints {
public:
    Checkpoints(const CheckpointConfig& config, RunFields run, TrainingObserver& observer);

    /// Whether there was something to go on from; the walk's state is then that. Throws as
    /// CheckpointFolder::find() and restore().
    bool restore(StateWalk walk);
    /// Tells the observer, where restore() has found something.
    void announce(const Progress& progress);

    [[nodiscard]] bool due(std::uint64_t step) const;
    /// A checkpoint of this step, if there is none yet. What fails is told, not thrown: the older
    /// ones are still there.
    void write(const Progress& progress, StateWalk walk);

    /// The last good one as a remark for errors.
    [[nodiscard]] std::string remark() const;

private:
    const CheckpointConfig& config_;
    RunFields run_;
    TrainingObserver& observer_;
    std::optional<std::uint64_t> written_;  // the last step
    double written_at_ = 0;                 // of the clock
};

}  // namespace slidekit::train
