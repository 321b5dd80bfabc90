// Progress lines.
#include "progress.hpp"

#include <algorithm>
#include <cstdio>

#include <unistd.h>

#include <fmt/core.h>

namespace slidekit::cli {

ProgressLine::ProgressLine(std::uint32_t labels, double max_seconds)
    : terminal_(::isatty(STDERR_FILENO) == 1), labels_(labels), max_seconds_(max_seconds) {}

void ProgressLine::clear() const {
    if (terminal_) fmt::print(stderr, "\r\033[K");
}

void ProgressLine::show(const train::StepEvent& event) {
    constexpr double kSecondsBetweenLines = 30;
    const train::Progress& at = event.progress;
    if (!terminal_ && at.train_seconds - last_shown_ < kSecondsBetweenLines) return;
    last_shown_ = at.train_seconds;
    const double samples = std::max(1.0, static_cast<double>(event.sums.samples));
    double left = at.train_seconds * static_cast<double>(at.total_steps - at.step) /
                  std::max(1.0, static_cast<double>(at.step));
    if (max_seconds_ > 0) left = std::min(left, max_seconds_ - at.train_seconds);
    clear();
    fmt::print(stderr,
               "epoch {:.2f}  step {}/{}  {:.0f} samples/s  loss {:.3f}  P@1 {:.1f} % of active  "
               "active {:.3f} %  {:.0f} s left{}",
               at.epoch,
               at.step,
               at.total_steps,
               samples / event.seconds,
               event.sums.loss / samples,
               100 * static_cast<double>(event.sums.correct) / samples,
               100 * static_cast<double>(event.sums.active) / samples / labels_,
               std::max(0.0, left),
               terminal_ ? "" : "\n");
    std::fflush(stderr);
}

void ProgressLine::show(const train::EvalEvent& event) {
    clear();
    fmt::print(stderr,
               "epoch {:.2f}  {:.1f} s of training  {} P@1 {:.2f}  P@3 {:.2f}  P@5 {:.2f} %  ({} "
               "points, {:.1f} s)\n",
               event.progress.epoch,
               event.progress.train_seconds,
               event.on == train::EvalSet::test ? "test" : "validation",
               100 * event.precision.at_1,
               100 * event.precision.at_3,
               100 * event.precision.at_5,
               event.precision.points,
               event.seconds);
}

void ProgressLine::say(const std::string& line) const {
    clear();
    fmt::print(stderr, "{}\n", line);
}

}  // namespace slidekit::cli
