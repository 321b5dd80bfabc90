// Progress for people, on stderr: one line that is rewritten on a terminal, else a line each 30
// seconds.
#pragma once

#include <string>

#include <slidekit/train/trainer.hpp>

namespace slidekit::cli {

class ProgressLine {
public:
    /// labels: width of the output layer, for the active share. max_seconds: as in the
    /// configuration.
    ProgressLine(std::uint32_t labels, double max_seconds);

    void show(const train::StepEvent& event);
    void show(const train::EvalEvent& event);
    /// A line that stays.
    void say(const std::string& line) const;

private:
    void clear() const;
    bool terminal_;
    std::uint32_t labels_;
    double max_seconds_;
    double last_shown_ = 0;  // training seconds
};

}  // namespace slidekit::cli
