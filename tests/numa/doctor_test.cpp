// `slidekit doctor` on machines with several memory nodes.
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "guest.hpp"

namespace {

using nlohmann::json;

json examine() {
    const char* const program = std::getenv("SLIDEKIT");
    if (program == nullptr) return {};
    std::FILE* const pipe = ::popen((std::string(program) + " doctor --json").c_str(), "r");
    std::string text;
    std::array<char, 4096> buffer{};
    while (const std::size_t read = std::fread(buffer.data(), 1, buffer.size(), pipe))
        text.append(buffer.data(), read);
    ::pclose(pipe);
    return json::parse(text);
}

TEST(Doctor, FindsEachNodeAndItsMemoryInPlace) {
    if (slidekit::testing::guest().empty()) GTEST_SKIP() << "for guests of scripts/numa_vm_test.sh";
    const json seen = examine();
    if (seen.is_null()) GTEST_SKIP() << "a build without examples";
    EXPECT_EQ(seen["status"], "ok") << seen["findings"].dump(2);
    EXPECT_EQ(seen["domains"].size(), slidekit::testing::guest() == "snc4" ? 4U : 2U);
    EXPECT_EQ(seen["memory_only"].size(), slidekit::testing::guest() == "hbm" ? 2U : 0U);
    ASSERT_EQ(seen["probes"].size(), seen["domains"].size());
    for (std::size_t d = 0; d < seen["domains"].size(); ++d) {
        const json& probe = seen["probes"][d];
        EXPECT_EQ(probe["misplaced_bytes"], 0);
        EXPECT_EQ(probe["verified"], "move_pages");
        const std::string node = std::to_string(seen["domains"][d]["node"].get<int>());
        EXPECT_EQ(probe["bytes_by_node"][node], probe["bytes"]) << probe.dump(2);
    }
}

}  // namespace
