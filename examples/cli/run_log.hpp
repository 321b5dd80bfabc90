// The run log: one JSON object a line, each with "event", for machines to read while a run goes on.
#pragma once

#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

namespace slidekit::cli {

class RunLog {
public:
    enum class Mode { replace, append };
    /// An empty name: nothing is logged. Append: a line that a killed run left half is cut off
    /// first. Throws Error (output).
    explicit RunLog(std::string file, Mode mode = Mode::replace);
    ~RunLog();
    RunLog(const RunLog&) = delete;
    RunLog& operator=(const RunLog&) = delete;

    /// Writes the line at once. Throws Error (output), on a full disk for instance.
    void write(const char* event, nlohmann::ordered_json fields);

private:
    std::string name_;
    std::FILE* file_ = nullptr;
};

}  // namespace slidekit::cli
