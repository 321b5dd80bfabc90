// Checkpoints of the loop. The clock is one that nobody sets.
#include "train/checkpoints.hpp"

#include <utility>

#include <slidekit/system/error.hpp>
#include <slidekit/train/checkpoint.hpp>

#include "system/clock.hpp"
#include "system/task.hpp"

namespace slidekit::train {

using system::now;

Checkpoints::Checkpoints(const CheckpointConfig& config, RunFields run, TrainingObserver& observer)
    : config_(config), run_(std::move(run)), observer_(observer), written_at_(now()) {}

bool Checkpoints::restore(StateWalk walk) {
    if (config_.folder == nullptr) return false;
    written_ = config_.folder->find(run_);
    if (written_) config_.folder->restore(walk);
    return written_.has_value();
}

void Checkpoints::announce(const Progress& progress) {
    if (written_) observer_.on_resume({progress, config_.folder->last(), config_.folder->notes()});
}

bool Checkpoints::due(std::uint64_t step) const {
    if (config_.folder == nullptr) return false;
    return (config_.every_steps > 0 && step % config_.every_steps == 0) ||
           (config_.every_seconds > 0 && now() - written_at_ >= config_.every_seconds);
}

void Checkpoints::write(const Progress& progress, StateWalk walk) {
    static const system::TaskName kTask("checkpoint");
    const system::Task stage(kTask);
    if (config_.folder == nullptr || written_ == progress.step) return;
    const double start = now();
    CheckpointEvent event{.progress = progress};
    try {
        event.bytes = config_.folder->write(progress.step, run_, walk);
        event.file = config_.folder->last();
        written_ = progress.step;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::output) throw;
        event.failure = error.what();
        event.file = config_.folder->last();
    }
    written_at_ = now();
    event.seconds = written_at_ - start;
    observer_.on_checkpoint(event);
}

std::string Checkpoints::remark() const {
    if (config_.folder == nullptr) return "";
    const std::string last = config_.folder->last().string();
    return last.empty() ? "; there is no checkpoint yet"
                        : "; the last good checkpoint is " + last +
                              ", which a run with a lower rate can go on from";
}

}  // namespace slidekit::train
