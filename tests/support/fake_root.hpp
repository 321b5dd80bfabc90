// A folder that looks like a machine's /, for what reads /proc and /sys.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "temporary_folder.hpp"

namespace slidekit::testing {

class FakeRoot {
public:
    void write(const std::string& file, const std::string& text) const {
        std::filesystem::create_directories((root() / file).parent_path());
        std::ofstream(root() / file) << text;
    }
    [[nodiscard]] std::filesystem::path root() const { return folder_.path(); }

private:
    TemporaryFolder folder_;
};

}  // namespace slidekit::testing
