// The program on several domains, as its log tells: the model of one, no row of the output layer
// read or written from another node, every page in its place.
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <slidekit/system/topology.hpp>

#include "child.hpp"
#include "deny.hpp"
#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::train_test {
namespace {

using Json = nlohmann::json;
using Options = std::vector<std::string>;
using testing::exit_code_in_child;

const Options kTables = {"--sampling=top-k",
                         "--hash-k=6",
                         "--hash-l=10",
                         "--rebuild-first=2",
                         "--mix=lsh=30,batch=20,uniform=20"};

const char* program() { return std::getenv("SLIDEKIT"); }

// In this process, which it ends.
int execute(Options words) {
    words.insert(words.begin(), program());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(program(), arguments.data());
    return 98;
}

struct Trained {
    std::string model;
    Json start;  // the log's events
    Json done;
};

class Train : public ::testing::Test {
protected:
    static void SetUpTestSuite() {
        folder = new testing::TemporaryFolder;
        if (program() == nullptr) return;
        ASSERT_EQ(exit_code_in_child([] {
                      return execute({"generate",
                                      "--shape=amazon-670k",
                                      "--scale=0.0004",
                                      "--labels=2501",
                                      "--features=500",
                                      "--output",
                                      folder->path()});
                  }),
                  0);
    }
    static void TearDownTestSuite() { delete folder; }
    void SetUp() override {
        if (program() == nullptr) GTEST_SKIP() << "SLIDEKIT names no program";
    }
    void need_nodes() const {
        if (system::Topology::detect().domains.size() < 2)
            GTEST_SKIP() << "this machine has one memory node";
    }

    // `before` runs in the program's process before the program does.
    static Trained train(
        const Options& options,
        const std::function<void()>& before = [] {},
        const Options& output = kTables) {
        const std::string model = *folder / "model";
        const std::string log = *folder / "log";
        Options words = {"train", "--epochs=1", "--hidden=32", "--batch=64"};
        words.insert(words.end(), output.begin(), output.end());
        for (const auto& [option, file] :
             {std::pair{"--train=", std::string(*folder / "train.txt")},
              {"--test=", std::string(*folder / "test.txt")},
              {"--model=", model},
              {"--log=", log}})
            words.push_back(option + file);
        words.insert(words.end(), options.begin(), options.end());
        EXPECT_EQ(exit_code_in_child([&] {
                      before();
                      return execute(words);
                  }),
                  0);
        Trained run{.model = testing::file_bytes(model), .start = {}, .done = {}};
        std::ifstream lines(log);
        for (std::string line; std::getline(lines, line);) {
            Json event = Json::parse(line);
            if (event["event"] == "run") run.start = event;
            if (event["event"] == "done") run.done = event;
        }
        return run;
    }

    static const Trained& one() {
        static const Trained trained = train({"--domains=1"});
        return trained;
    }

    static testing::TemporaryFolder* folder;
};
testing::TemporaryFolder* Train::folder = nullptr;

// No ASSERT_EQ on models: a difference would print both.
bool same(const Trained& a, const Trained& b) { return !a.model.empty() && a.model == b.model; }

std::size_t misplaced_bytes(const Trained& run) {
    std::size_t bytes = 0;
    for (const Json& region : run.start["regions"])
        bytes += region["misplaced_bytes"].get<std::size_t>();
    return bytes;
}

TEST_F(Train, TwoDomainsGiveTheModelOfOne) {
    const Trained two = train({"--domains=2"});
    EXPECT_EQ(one().start["domains"].size(), 1U);
    EXPECT_EQ(two.start["domains"].size(), 2U);
    EXPECT_TRUE(same(two, one()));
    EXPECT_EQ(misplaced_bytes(two), 0U);
    EXPECT_EQ(two.done["remote_row_share"], 0.0);
    // Two domains of four nodes have two each.
    const std::size_t nodes = system::Topology::detect().domains.size();
    for (const Json& region : two.start["regions"]) {
        if (region["tag"] == "output.weight") {
            EXPECT_EQ(region["nodes"].size(), nodes);
        }
    }
}

TEST_F(Train, TwoDomainsThatScanGiveTheModelOfOne) {
    const Options scan = {"--sampling=exact"};
    const auto nothing = [] {};
    EXPECT_TRUE(same(train({"--domains=2"}, nothing, scan), train({"--domains=1"}, nothing, scan)));
}

TEST_F(Train, OneDomainANodeIsTheDefaultAndHasEveryPageInItsPlace) {
    need_nodes();
    if (IsSkipped()) return;
    const Trained run = train({});
    EXPECT_EQ(run.start["domains"].size(), system::Topology::detect().domains.size());
    EXPECT_EQ(misplaced_bytes(run), 0U);
    EXPECT_EQ(run.done["remote_row_share"], 0.0);
    EXPECT_TRUE(same(run, one()));
}

TEST_F(Train, AllMemoryOnTheFirstNodeMakesRowsOfTheOthersRemote) {
    need_nodes();
    if (IsSkipped()) return;
    const Trained run = train({"--placement=first"});
    EXPECT_GT(run.done["remote_row_share"], 0.2);
    EXPECT_TRUE(same(run, one()));
}

TEST_F(Train, PagesThatCannotBeBoundArePlacedByFirstTouch) {
    need_nodes();
    if (IsSkipped()) return;
    const Trained run = train({}, [] {
        if (!testing::deny({SYS_mbind, SYS_set_mempolicy}, EPERM)) ::_exit(97);
    });
    EXPECT_EQ(misplaced_bytes(run), 0U);
    EXPECT_EQ(run.done["remote_row_share"], 0.0);
    EXPECT_TRUE(same(run, one()));
}

}  // namespace
}  // namespace slidekit::train_test
