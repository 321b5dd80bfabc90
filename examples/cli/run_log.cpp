// The run log's file.
#include "run_log.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <fmt/core.h>

#include <slidekit/system/error.hpp>

namespace slidekit::cli {

namespace {

// Bytes up to the end of the last whole line.
std::uintmax_t whole_lines(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    std::uintmax_t whole = 0;
    for (std::string line; std::getline(in, line) && !in.eof();) whole += line.size() + 1;
    return whole;
}

}  // namespace

RunLog::RunLog(std::string file, Mode mode) : name_(std::move(file)) {
    if (name_.empty()) return;
    const bool append = mode == Mode::append && std::filesystem::is_regular_file(name_);
    std::error_code failed;
    if (append) std::filesystem::resize_file(name_, whole_lines(name_), failed);
    file_ = failed ? nullptr : std::fopen(name_.c_str(), append ? "ae" : "we");
    if (file_ == nullptr) {
        throw Error(
            ErrorCode::output, name_, fmt::format("cannot be written ({})", std::strerror(errno)));
    }
}

RunLog::~RunLog() {
    if (file_ != nullptr) std::fclose(file_);
}

void RunLog::write(const char* event, nlohmann::ordered_json fields) {
    if (file_ == nullptr) return;
    nlohmann::ordered_json object = {{"event", event}};
    object.update(fields);
    const std::string line = object.dump() + "\n";
    if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() || std::fflush(file_) != 0) {
        throw Error(
            ErrorCode::output,
            name_,
            fmt::format("a log line could not be written ({}); free some space or leave --log out",
                        std::strerror(errno)));
    }
}

}  // namespace slidekit::cli
