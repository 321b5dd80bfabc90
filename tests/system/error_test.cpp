// The exception: its text names the place first.
#include <slidekit/system/error.hpp>

#include <string>

#include <gtest/gtest.h>

namespace slidekit::error_test {
namespace {

TEST(Error, TextIsPlaceThenMatter) {
    const Error error(ErrorCode::input, "train.txt:17", "feature 9 out of range");
    EXPECT_STREQ(error.what(), "train.txt:17: feature 9 out of range");
    EXPECT_EQ(error.where(), "train.txt:17");
    EXPECT_EQ(error.code(), ErrorCode::input);
}

TEST(Error, WithoutAPlaceTheMatterStandsAlone) {
    EXPECT_STREQ(Error(ErrorCode::usage, "", "nothing to do").what(), "nothing to do");
}

TEST(Error, IsCaughtAsARuntimeErrorAcrossTheLibrary) {
    EXPECT_THROW(throw Error(ErrorCode::memory, "a", "b"), std::runtime_error);
}

}  // namespace
}  // namespace slidekit::error_test
