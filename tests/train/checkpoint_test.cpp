// A folder of checkpoints against everything that befalls files: each fault and what is left.
#include <slidekit/train/checkpoint.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/data/tensor_file.hpp>
#include <slidekit/nn/state.hpp>
#include <slidekit/train/run_fields.hpp>

#include "../system/child.hpp"
#include "../system/deny.hpp"
#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::train::checkpoint_test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::exit_code_in_child;
using testing::file_bytes;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TemporaryFolder;
using testing::write_file;

/// A state as small as can be; its weights say which step it is of.
struct Toy {
    explicit Toy(std::uint64_t at = 0) : step(at), weights(300, static_cast<float>(at)) {}
    void visit_state(nn::StateVisitor& state) {
        state.values("weights", std::span(weights));
        state.numbers("step", step);
    }
    std::uint64_t step;
    std::vector<float> weights;
};

RunFields run() {
    return {.network = {{"hidden", "4"}},
            .data = {{"points", "9"}},
            .training = {{"batch", "32"}, {"lr", "0.1"}, {"output-lr", "0.1"}}};
}

void write(CheckpointFolder& folder, std::uint64_t step, const RunFields& of = run()) {
    Toy toy(step);
    (void)folder.write(step, of, [&](nn::StateVisitor& state) { toy.visit_state(state); });
}

// The step that a new process would go on from.
std::uint64_t resumed(const fs::path& path) {
    CheckpointFolder folder(path, Resume::yes);
    const auto step = folder.find(run());
    if (!step) return 0;
    Toy toy;
    folder.restore([&](nn::StateVisitor& state) { toy.visit_state(state); });
    EXPECT_EQ(toy.step, *step);
    EXPECT_EQ(toy.weights, Toy(*step).weights);
    return *step;
}

std::vector<std::string> names(const fs::path& folder) {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder))
        all.push_back(entry.path().filename().string());
    std::sort(all.begin(), all.end());
    return all;
}

fs::path file_of(const TemporaryFolder& folder, const std::string& step) {
    return folder / ("checkpoint-" + std::string(12 - step.size(), '0') + step + ".safetensors");
}

TEST(Checkpoint, TheLastTwoAreKept) {
    const TemporaryFolder folder;
    {
        CheckpointFolder checkpoints(folder / "new" / "folder", Resume::no);
        for (const std::uint64_t step : {5U, 10U, 100U, 15U, 15U}) write(checkpoints, step);
        EXPECT_EQ(checkpoints.last().filename(), "checkpoint-000000000015.safetensors");
    }
    EXPECT_THAT(
        names(folder / "new" / "folder"),
        ElementsAre(
            "checkpoint-000000000015.safetensors", "checkpoint-000000000100.safetensors", "lock"));
    EXPECT_EQ(resumed(folder / "new" / "folder"), 100U);
}

TEST(Checkpoint, AnEmptyFolderIsABeginning) {
    const TemporaryFolder folder;
    EXPECT_EQ(resumed(folder.path()), 0U);
}

TEST(Checkpoint, OrderIsByStepWhateverTheClock) {
    const TemporaryFolder folder;
    {
        CheckpointFolder checkpoints(folder.path(), Resume::no);
        write(checkpoints, 20);
        write(checkpoints, 30);
    }
    const timespec old[] = {{1000, 0}, {1000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file_of(folder, "30").c_str(), old, 0), 0);
    EXPECT_EQ(resumed(folder.path()), 30U);
    CheckpointFolder checkpoints(folder.path(), Resume::yes);
    EXPECT_EQ(checkpoints.find(run()), 30U);
    write(checkpoints, 40);
    EXPECT_FALSE(fs::exists(file_of(folder, "20")));
}

TEST(Checkpoint, AnyTornOrRottenFileIsSkippedForTheOlder) {
    const TemporaryFolder folder;
    {
        CheckpointFolder checkpoints(folder.path(), Resume::no);
        write(checkpoints, 1);
        write(checkpoints, 2);
    }
    const std::string whole = file_bytes(file_of(folder, "2"));
    for (std::size_t bytes = 0; bytes < whole.size(); bytes += 1 + bytes / 16) {
        write_file(file_of(folder, "2"), whole.substr(0, bytes));
        ASSERT_EQ(resumed(folder.path()), 1U) << bytes << " bytes";
    }
    for (std::size_t at = 0; at < whole.size(); at += at < 100 ? 1 : 7) {
        std::string rotten = whole;
        rotten[at] = static_cast<char>(rotten[at] ^ (1 << at % 8));
        write_file(file_of(folder, "2"), rotten);
        ASSERT_EQ(resumed(folder.path()), 1U) << "byte " << at;
    }
    CheckpointFolder checkpoints(folder.path(), Resume::yes);
    EXPECT_EQ(checkpoints.find(run()), 1U);
    EXPECT_THAT(checkpoints.notes(), ElementsAre(HasSubstr("000002.safetensors")));
    write(checkpoints, 3);  // the torn one is not one of the last two
    EXPECT_THAT(
        names(folder.path()),
        ElementsAre(
            "checkpoint-000000000001.safetensors", "checkpoint-000000000003.safetensors", "lock"));
}

TEST(Checkpoint, WhereNoneIsWholeNothingIsBegunAnew) {
    const TemporaryFolder folder;
    write_file(file_of(folder, "7"), "half");
    CheckpointFolder checkpoints(folder.path(), Resume::yes);
    EXPECT_THAT(message_of(ErrorCode::input, [&] { (void)checkpoints.find(run()); }),
                AllOf(HasSubstr("none is whole"), HasSubstr("000007.safetensors")));
}

TEST(Checkpoint, AnotherRunIsRefusedByName) {
    const TemporaryFolder folder;
    {
        CheckpointFolder checkpoints(folder.path(), Resume::no);
        write(checkpoints, 1);
    }
    const auto refusal = [&](const RunFields& other, ErrorCode code) {
        CheckpointFolder checkpoints(folder.path(), Resume::yes);
        return message_of(code, [&] { (void)checkpoints.find(other); });
    };
    RunFields other = run();
    other.training["batch"] = "64";
    EXPECT_THAT(refusal(other, ErrorCode::usage),
                HasSubstr("training batch is 32 there and 64 here; give the same"));
    other = run();
    other.network["hidden"] = "8";
    EXPECT_THAT(refusal(other, ErrorCode::usage),
                HasSubstr("network hidden is 4 there and 8 here"));
    other = run();
    other.data["points"] = "10";
    EXPECT_THAT(refusal(other, ErrorCode::input), HasSubstr("data points is 9 there and 10 here"));
    other = run();
    other.network["hash"] = "dwta";
    EXPECT_THAT(refusal(other, ErrorCode::usage),
                HasSubstr("network hash is not set there and dwta here"));
    other = run();
    other.network.clear();
    EXPECT_THAT(refusal(other, ErrorCode::usage),
                HasSubstr("network hidden is 4 there and not set here"));
}

TEST(Checkpoint, AnotherLearningRateGoesOnAndIsSaid) {
    const TemporaryFolder folder;
    {
        CheckpointFolder checkpoints(folder.path(), Resume::no);
        write(checkpoints, 1);
    }
    CheckpointFolder checkpoints(folder.path(), Resume::yes);
    RunFields other = run();
    other.training["output-lr"] = "0.01";
    EXPECT_EQ(checkpoints.find(other), 1U);
    EXPECT_THAT(checkpoints.notes(),
                ElementsAre(HasSubstr("output-lr was 0.1 and is 0.01 from here on")));
}

TEST(Checkpoint, AnotherFormatOrKindIsRefusedByName) {
    const TemporaryFolder folder;
    const auto refusal = [&](const std::map<std::string, std::string>& metadata) {
        const float value = 1;
        const std::vector<data::TensorSource> tensors = {
            {.name = "weights", .shape = {1}, .data = &value}};
        data::write_tensors(file_of(folder, "3"), tensors, metadata, data::Checksummed::yes);
        CheckpointFolder checkpoints(folder.path(), Resume::yes);
        return message_of(ErrorCode::input, [&] { (void)checkpoints.find(run()); });
    };
    EXPECT_THAT(refusal({{"slidekit.checkpoint", R"({"format":9,"version":"7.0.0"})"}}),
                AllOf(HasSubstr("format 9"), HasSubstr("7.0.0"), HasSubstr("format 1")));
    EXPECT_THAT(refusal({}), HasSubstr("is no checkpoint"));
}

TEST(Checkpoint, ANewRunDoesNotOverwriteAnOldOne) {
    const TemporaryFolder folder;
    {
        CheckpointFolder checkpoints(folder.path(), Resume::no);
        write(checkpoints, 12);
    }
    EXPECT_THAT(message_of(ErrorCode::usage, [&] { CheckpointFolder(folder.path(), Resume::no); }),
                AllOf(HasSubstr("step 12"), HasSubstr("--resume")));
}

TEST(Checkpoint, AFullDiskLeavesTheOlderOnes) {
    const TemporaryFolder folder;
    {
        CheckpointFolder checkpoints(folder.path(), Resume::no);
        write(checkpoints, 1);
        write(checkpoints, 2);
        const int code = exit_code_in_child([&] {
            std::signal(SIGXFSZ, SIG_IGN);
            const rlimit limit = {1000, 1000};  // bytes a file
            if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
            const std::string message =
                message_of(ErrorCode::output, [&] { write(checkpoints, 3); });
            return message.find("File too large") != std::string::npos ? 0 : 1;
        });
        EXPECT_EQ(code, 0);
        EXPECT_THAT(names(folder.path()),
                    ElementsAre("checkpoint-000000000001.safetensors",
                                "checkpoint-000000000002.safetensors",
                                "lock"));
    }
    EXPECT_EQ(resumed(folder.path()), 2U);
}

// The process dies in that very call.
TEST(Checkpoint, AKillInAnyCallLeavesTheOlderOnes) {
#ifdef SYS_rename
    const long rename = SYS_rename;
#else
    const long rename = SYS_renameat;
#endif
    for (const long call : {long{SYS_write}, long{SYS_fsync}, rename, long{SYS_close}}) {
        const TemporaryFolder folder;
        {
            CheckpointFolder checkpoints(folder.path(), Resume::no);
            write(checkpoints, 1);
        }
        const int code = exit_code_in_child([&] {
            CheckpointFolder checkpoints(folder.path(), Resume::yes);
            (void)checkpoints.find(run());
            if (!testing::kill_in({call})) return 77;
            write(checkpoints, 2);
            return 0;
        });
        if (code == 77) GTEST_SKIP() << "this kernel has no system call filters";
        EXPECT_EQ(code, -1) << call;
        const bool renamed = call == SYS_close;
        EXPECT_EQ(names(folder.path()).size(), 3U) << "one, half of two, lock";
        EXPECT_EQ(resumed(folder.path()), renamed ? 2U : 1U) << call;
        EXPECT_EQ(names(folder.path()).size(), renamed ? 3U : 2U) << "half of two is gone";
    }
}

TEST(Checkpoint, ASecondRunInTheFolderIsRefused) {
    const TemporaryFolder folder;
    CheckpointFolder first(folder.path(), Resume::no);
    EXPECT_THAT(
        message_of(ErrorCode::output, [&] { CheckpointFolder(folder.path(), Resume::yes); }),
        AllOf(HasSubstr(folder.path().string()),
              HasSubstr("process " + std::to_string(::getpid()))));
}

TEST(Checkpoint, TheLockOfADeadRunHindersNobody) {
    const TemporaryFolder folder;
    const int code = exit_code_in_child([&] {
        const CheckpointFolder checkpoints(folder.path(), Resume::no);
        ::raise(SIGKILL);
        return 0;
    });
    EXPECT_EQ(code, -1);
    EXPECT_TRUE(fs::exists(folder / "lock"));
    EXPECT_EQ(resumed(folder.path()), 0U);
}

TEST(Checkpoint, AReadOnlyFolderIsRefusedAtOnce) {
    const TemporaryFolder folder;
    fs::permissions(folder.path(), fs::perms(0555));
    const int code = exit_code_in_child([&] {
        if (::geteuid() == 0 && ::setuid(65534) != 0) return 77;
        const std::string message =
            message_of(ErrorCode::output, [&] { CheckpointFolder(folder.path(), Resume::no); });
        const std::string inside =
            message_of(ErrorCode::output, [&] { CheckpointFolder(folder / "new", Resume::no); });
        return message.find("Permission denied") != std::string::npos &&
                       inside.find("Permission denied") != std::string::npos
                   ? 0
                   : 1;
    });
    if (code == 77) GTEST_SKIP() << "root cannot become nobody here";
    EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace slidekit::train::checkpoint_test
