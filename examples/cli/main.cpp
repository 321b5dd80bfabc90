// The program `slidekit`: chooses a command, and turns errors into one line and an exit code.
//
// stdout carries results, stderr everything else. Exit 0 ok, 1 failed, 2 wrong usage; `doctor` has
// codes of its own.
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <slidekit/system/error.hpp>

#include "commands.hpp"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

int run(int argc, char** argv) {
    using slidekit::cli::Command;
    CLI::App program(
        "slidekit: trains very wide layers on CPUs by touching only the few neurons that matter");
    program.set_version_flag("--version", SLIDEKIT_VERSION);
    program.require_subcommand(1);
    // A flag given twice: the later one counts, so that a script's defaults can be overridden
    // behind them.
    program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    const std::vector<std::pair<const char*, Command>> commands = {
        {"train", slidekit::cli::add_train(program)},
        {"evaluate", slidekit::cli::add_evaluate(program)},
        {"predict", slidekit::cli::add_predict(program)},
        {"inspect", slidekit::cli::add_inspect(program)},
        {"generate", slidekit::cli::add_generate(program)},
        {"doctor", slidekit::cli::add_doctor(program)},
    };
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
        fmt::print(stderr,
                   "slidekit: {}; see slidekit{} --help\n",
                   error.what(),
                   program.get_subcommands().empty()
                       ? ""
                       : " " + program.get_subcommands().front()->get_name());
        return kUsage;
    }
    const std::string command_line = fmt::format("{}", fmt::join(argv, argv + argc, " "));
    for (const auto& [name, command] : commands) {
        if (program.got_subcommand(name)) command(command_line);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const slidekit::cli::Exit& exit) {
        return exit.code;
    } catch (const slidekit::Error& error) {
        fmt::print(stderr, "slidekit: {}\n", error.what());
        return error.code() == slidekit::ErrorCode::usage ? kUsage : kFailed;
    } catch (const std::bad_alloc&) {
        fmt::print(
            stderr,
            "slidekit: memory: not enough for this run; lower --hidden, --batch or --hash-l\n");
        return kFailed;
    } catch (const std::exception& error) {
        fmt::print(stderr, "slidekit: {}\n", error.what());
        return kFailed;
    }
}
