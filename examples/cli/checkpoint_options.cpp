// Parsing of how often a checkpoint is written.
#include "checkpoint_options.hpp"

#include <charconv>
#include <sstream>

#include <fmt/format.h>

#include <slidekit/system/error.hpp>

namespace slidekit::cli {

void add_checkpoint_options(CLI::App& command, TrainOptions& o) {
    CLI::Option* const folder =
        command.add_option("--checkpoint", o.checkpoint, "Folder for checkpoints of the training");
    command
        .add_option("--checkpoint-every",
                    o.checkpoint_every,
                    "Steps (500) or time (30s, 10m, 2h) from one to the next, or both (500,10m)")
        ->capture_default_str()
        ->needs(folder);
    command
        .add_flag("--resume", o.resume, "Go on from the newest checkpoint of the folder, if any")
        ->needs(folder);
}

train::CheckpointConfig parse_checkpoint_every(const std::string& text) {
    train::CheckpointConfig config;
    const auto refuse = [&](const std::string& part) {
        throw Error(
            ErrorCode::usage,
            "--checkpoint-every",
            fmt::format("\"{}\" is neither a number of steps nor a time; write 500, 30s, 10m or 2h",
                        part));
    };
    std::istringstream parts(text + ",");
    for (std::string part; std::getline(parts, part, ',');) {
        std::uint64_t count = 0;
        const char* const end = part.data() + part.size();
        const auto [at, error] = std::from_chars(part.data(), end, count);
        const std::string unit(at, end);
        if (error != std::errc() || count == 0 || count > 1'000'000'000) refuse(part);
        const auto seconds = static_cast<double>(count);
        if (unit.empty()) {
            config.every_steps = count;
        } else if (unit == "s") {
            config.every_seconds = seconds;
        } else if (unit == "m") {
            config.every_seconds = 60 * seconds;
        } else if (unit == "h") {
            config.every_seconds = 3600 * seconds;
        } else {
            refuse(part);
        }
    }
    return config;
}

}  // namespace slidekit::cli
