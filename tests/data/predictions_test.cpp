// Predictions read back from a file: what is read, and a message for each departure.
#include <slidekit/data/predictions.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::data::predictions_test {
namespace {

using slidekit::testing::message_of;
using slidekit::testing::TemporaryFolder;
using slidekit::testing::write_file;

using Ids = std::vector<std::uint32_t>;

class PredictionFile : public ::testing::Test {
protected:
    Predictions read(std::string_view text) {
        write_file(name_, text);
        return read_predictions(name_, 2, 10);
    }
    void expect_refused(std::string_view text, const std::string& beginning) {
        write_file(name_, text);
        const std::string message =
            message_of(ErrorCode::input, [&] { (void)read_predictions(name_, 2, 10); });
        EXPECT_TRUE(message.starts_with(name_.string() + beginning)) << message;
        EXPECT_NE(message.find("; "), std::string::npos) << message;  // the remedy
    }

    TemporaryFolder folder_;
    std::filesystem::path name_ = folder_.path() / "best.txt";
};

TEST_F(PredictionFile, LinesMayHaveAnyNumberOfLabels) {
    const Predictions found = read("3:-0.5 9:-0.5 0:-1e3\n\n");
    EXPECT_EQ(found.labels, (Ids{3, 9, 0}));
    EXPECT_EQ(found.offsets, (std::vector<std::uint64_t>{0, 3, 3}));
    EXPECT_EQ(found.most, 3U);
    EXPECT_TRUE(found.of(1).empty());
    EXPECT_EQ(read("1:2\r\n3:1 1:0").labels, (Ids{1, 3, 1}));  // CRLF; no end of the last line
}

TEST_F(PredictionFile, RefusesWhatIsNoPrediction) {
    expect_refused("1:2\n3\n", R"(:2: "3" is no prediction)");
    expect_refused("1:2 \n3:1\n", ":1: a blank at the end");
    expect_refused("1:2  3:1\n3:1\n", R"(:1: "" is no prediction)");
    expect_refused("1:2\n:1\n", R"(:2: label "" is no whole number)");
    expect_refused("-1:2\n3:1\n", R"(:1: label "-1" is no whole number)");
    expect_refused("x:2\n3:1\n", R"(:1: label "x" is no whole number)");
    expect_refused("1.0:2\n3:1\n", R"(:1: label "1.0")");
    expect_refused("1:2\n3:\n", R"(:2: score "" of label 3 is no finite number)");
    expect_refused("1:nan\n3:1\n", R"(:1: score "nan" of label 1)");
    expect_refused("1:-inf\n3:1\n", R"(:1: score "-inf")");
    expect_refused("1:2:3\n3:1\n", R"(:1: score "2:3")");
    expect_refused(std::string_view("1:2\0\n3:1\n", 9), R"(:1: score "2\x00")");
}

TEST_F(PredictionFile, RefusesLabelsOfAnotherDataSetOrGivenTwice) {
    expect_refused("1:2\n10:1\n", ":2: label 10 out of range, the test set has 10 labels (0..9)");
    expect_refused("99999999999:2\n1:1\n", ":1: label 99999999999 out of range");
    expect_refused("1:2\n5:3 4:2 5:1\n", ":2: label 5 occurs twice");
}

TEST_F(PredictionFile, RefusesLinesThatAreNotSorted) {
    expect_refused("1:2\n5:3 4:3 6:3.5\n", ":2: score 3.5 behind 3: the best label comes first");
}

TEST_F(PredictionFile, RefusesAnotherNumberOfLines) {
    expect_refused("1:2\n", ": ends after 1 lines, but the test set has 2 points");
    expect_refused("", ": ends after 0 lines");
    expect_refused("1:2\n3:1\n4:1\n", ":3: a line beyond the 2 points");
    expect_refused("1:2\n3:1\n\n", ":3: a line beyond the 2 points");
}

}  // namespace
}  // namespace slidekit::data::predictions_test
