// The main of a floor's tests: `nn_tests depth hogwild` runs the cases of depth_test.cpp and
// hogwild_test.cpp, `nn_tests` all, and `nn_tests --subjects` lists what there is. Flags of
// GoogleTest hold as ever; of --gtest_filter with subjects only what stands behind its minus.
#include <cstdio>
#include <map>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace {

// "../tests/nn/depth_test.cpp" -> "depth"
std::string_view subject_of(std::string_view file) {
    file.remove_prefix(file.rfind('/') + 1);
    return file.substr(0, file.rfind("_test."));
}

// subject -> "Suite.Case:Suite.Case" of its cases.
std::map<std::string_view, std::string> cases_by_subject() {
    std::map<std::string_view, std::string> cases;
    const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
    for (int s = 0; s < all.total_test_suite_count(); ++s) {
        const ::testing::TestSuite& suite = *all.GetTestSuite(s);
        for (int t = 0; t < suite.total_test_count(); ++t) {
            const ::testing::TestInfo& test = *suite.GetTestInfo(t);
            std::string& list = cases[subject_of(test.file())];
            list += std::string(list.empty() ? "" : ":") + suite.name() + "." + test.name();
        }
    }
    return cases;
}

}  // namespace

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    if (argc == 1) return RUN_ALL_TESTS();

    const auto cases = cases_by_subject();
    if (argv[1] == std::string_view("--subjects")) {
        for (const auto& [subject, list] : cases) std::puts(std::string(subject).c_str());
        return 0;
    }
    std::string wanted;
    for (int a = 1; a < argc; ++a) {
        const auto found = cases.find(argv[a]);
        if (found == cases.end()) {
            std::fprintf(
                stderr, "%s: no subject \"%s\"; --subjects lists them\n", argv[0], argv[a]);
            return 2;
        }
        wanted += (a == 1 ? "" : ":") + found->second;
    }
    const std::string& filter = GTEST_FLAG_GET(filter);
    const std::size_t without = filter.find('-');
    GTEST_FLAG_SET(filter, without == std::string::npos ? wanted : wanted + filter.substr(without));
    return RUN_ALL_TESTS();
}
