// The run log's file.
#include "run_log.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/core.h>

#include <slidekit/system/error.hpp>

namespace slidekit::cli {

RunLog::RunLog(std::string file) : name_(std::move(file)) {
    if (name_.empty()) return;
    file_ = std::fopen(name_.c_str(), "we");
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
