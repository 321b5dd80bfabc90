// The subcommands: each adds its options to the program and returns what to run when it is chosen.
#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

namespace slidekit::cli {

/// Thrown by a command whose findings are its exit code.
struct Exit {
    int code;
};

/// Runs a command; throws slidekit::Error. command_line: as the user gave it, for the run log.
using Command = std::function<void(const std::string& command_line)>;

Command add_train(CLI::App& program);
Command add_evaluate(CLI::App& program);
Command add_predict(CLI::App& program);
Command add_inspect(CLI::App& program);
Command add_generate(CLI::App& program);
Command add_doctor(CLI::App& program);

}  // namespace slidekit::cli
