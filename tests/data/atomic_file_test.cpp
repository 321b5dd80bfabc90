// Files that appear whole or not at all.
#include <slidekit/data/atomic_file.hpp>

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::data::atomic_file_test {
namespace {

using slidekit::testing::count_files;
using slidekit::testing::file_bytes;
using slidekit::testing::message_of;
using slidekit::testing::TemporaryFolder;
using slidekit::testing::write_file;

namespace fs = std::filesystem;

TEST(AtomicFile, AppearsOnCommitOnly) {
    const TemporaryFolder folder;
    AtomicFile file(folder / "new");
    file.write("first ");
    file.write("second");
    file.write("");
    EXPECT_FALSE(fs::exists(folder / "new"));
    file.commit();
    EXPECT_EQ(file_bytes(folder / "new"), "first second");
    EXPECT_EQ(count_files(folder.path()), 1U);
}

TEST(AtomicFile, LeavesNoTraceWithoutCommit) {
    const TemporaryFolder folder;
    write_file(folder / "old", "old");
    {
        AtomicFile fresh(folder / "new");
        AtomicFile replacement(folder / "old");
        fresh.write("half");
        replacement.write("half");
    }
    EXPECT_EQ(file_bytes(folder / "old"), "old");
    EXPECT_EQ(count_files(folder.path()), 1U);
}

TEST(AtomicFile, ReplacesALongerOneWhole) {
    const TemporaryFolder folder;
    write_file(folder / "file", std::string(10000, 'x'));
    AtomicFile file(folder / "file");
    file.write("short");
    EXPECT_EQ(file_bytes(folder / "file").size(), 10000U);
    file.commit();
    EXPECT_EQ(file_bytes(folder / "file"), "short");
    EXPECT_EQ(count_files(folder.path()), 1U);
}

TEST(AtomicFile, OverwritesWhatACrashLeft) {
    const TemporaryFolder folder;
    fs::path temporary;
    {
        const AtomicFile file(folder / "file");
        temporary = fs::directory_iterator(folder.path())->path();
    }
    write_file(temporary, std::string(100, 'x'));  // as a process of the same number would leave it
    AtomicFile file(folder / "file");
    file.write("whole");
    file.commit();
    EXPECT_EQ(file_bytes(folder / "file"), "whole");
    EXPECT_EQ(count_files(folder.path()), 1U);
}

TEST(AtomicFile, MayBeEmpty) {
    const TemporaryFolder folder;
    AtomicFile(folder / "file").commit();
    EXPECT_TRUE(fs::exists(folder / "file"));
    EXPECT_EQ(fs::file_size(folder / "file"), 0U);
}

TEST(AtomicFile, ReplacesWhatALinkPointsTo) {
    const TemporaryFolder folder;
    fs::create_directory(folder / "elsewhere");
    write_file(folder / "elsewhere/file", "old");
    fs::create_symlink("elsewhere/file", folder / "link");
    AtomicFile file(folder / "link");
    file.write("new");
    file.commit();
    EXPECT_TRUE(fs::is_symlink(folder / "link"));
    EXPECT_FALSE(fs::is_symlink(folder / "elsewhere/file"));
    EXPECT_EQ(file_bytes(folder / "elsewhere/file"), "new");
    EXPECT_EQ(count_files(folder.path()), 2U);
    EXPECT_EQ(count_files(folder / "elsewhere"), 1U);
}

TEST(AtomicFile, WritesDevicesInPlace) {
    {
        AtomicFile file("/dev/null");
        file.write("gone");
        file.commit();
        AtomicFile dropped("/dev/null");
    }
    EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(AtomicFile, SaysWhyItCannotBeWritten) {
    const TemporaryFolder folder;
    const std::string missing = (folder / "absent/file").string();
    EXPECT_EQ(message_of(ErrorCode::output, [&] { AtomicFile file(missing); }),
              missing +
                  ": cannot be written (No such file or directory); free some space, or choose a "
                  "file in a folder that "
                  "exists and is yours");
    const std::string itself = folder.path().string();
    EXPECT_EQ(message_of(ErrorCode::output, [&] { AtomicFile file(itself); })
                  .rfind(itself + ": cannot be written (Is a directory)", 0),
              0U);
    EXPECT_EQ(count_files(folder.path()), 0U);
}

TEST(AtomicFile, TellsOfAFullDevice) {
    if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
    AtomicFile file("/dev/full");
    EXPECT_NE(
        message_of(ErrorCode::output, [&] { file.write("x"); }).find("No space left on device"),
        std::string::npos);
}

TEST(AtomicFile, LeavesNoTraceWhereTheNameWasTakenMeanwhile) {
    const TemporaryFolder folder;
    {
        AtomicFile file(folder / "file");
        file.write("x");
        fs::create_directory(folder / "file");
        (void)message_of(ErrorCode::output, [&] { file.commit(); });
    }
    EXPECT_EQ(count_files(folder.path()), 1U);
}

}  // namespace
}  // namespace slidekit::data::atomic_file_test
