// Weights of points from a text: what is read, and a message for each departure.
#include <slidekit/data/point_weights.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::data::point_weights_test {
namespace {

using slidekit::testing::message_of;
using slidekit::testing::TemporaryFolder;
using slidekit::testing::write_file;

class PointWeights : public ::testing::Test {
protected:
    std::vector<float> read(std::string_view text) {
        write_file(name_, text);
        return read_point_weights(name_, 3);
    }
    void expect_refused(std::string_view text, const std::string& beginning) {
        write_file(name_, text);
        const std::string message =
            message_of(ErrorCode::input, [&] { (void)read_point_weights(name_, 3); });
        EXPECT_TRUE(message.starts_with(name_.string() + beginning)) << message;
        EXPECT_NE(message.find("give "), std::string::npos) << message;
    }

    TemporaryFolder folder_;
    std::filesystem::path name_ = folder_.path() / "weights.txt";
};

TEST_F(PointWeights, AreReadInTheirOrder) {
    const std::vector<float> weights = {1, 0, 0.25F};
    EXPECT_EQ(read("1\n0\n0.25\n"), weights);
    EXPECT_EQ(read("1\r\n 0\t\r\n2.5e-1"), weights);
    EXPECT_EQ(read("1\n0\n0.25\n\n \n"), weights);
}

TEST_F(PointWeights, RefuseWhatIsNoWeight) {
    expect_refused("1\n-0.5\n1\n", R"(:2: "-0.5" is no weight)");
    expect_refused("1\nnan\n1\n", R"(:2: "nan")");
    expect_refused("inf\n1\n1\n", R"(:1: "inf")");
    expect_refused("1\n1\n1e39\n", R"(:3: "1e39")");
    expect_refused("1\n\n1\n", R"(:2: "")");
    expect_refused("1 1\n1\n", R"(:1: "1 1")");
    expect_refused("1\n2x\n1\n", R"(:2: "2x")");
    expect_refused(std::string_view("1\n2\0\n1\n", 8), R"(:2: "2\x00")");
}

TEST_F(PointWeights, RefuseAnotherNumberOfLines) {
    expect_refused("1\n1\n", ": ends after 2 weights, but the training set has 3 points");
    expect_refused("", ": ends after 0 weights");
    expect_refused("1\n1\n1\n1\n", ":4: a weight beyond the 3 points");
}

TEST_F(PointWeights, RefuseThatNothingCounts) {
    expect_refused("0\n0\n0\n", ": all weights are 0");
}

TEST_F(PointWeights, NameAFileThatIsNotThere) {
    const std::string message =
        message_of(ErrorCode::input, [&] { (void)read_point_weights(name_, 3); });
    EXPECT_NE(message.find("weights.txt: cannot be read (No such file"), std::string::npos);
}

}  // namespace
}  // namespace slidekit::data::point_weights_test
