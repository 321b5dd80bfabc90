// A test that runs once a level: those that this machine lacks are skipped, and say so.
#pragma once

#include <string>

#include <gtest/gtest.h>
#include <slidekit/kernels/isa.hpp>

namespace slidekit::test {

class LevelTest : public ::testing::TestWithParam<kernels::Isa> {
protected:
    void SetUp() override {
        if (!kernels::select_isa(GetParam())) {
            GTEST_SKIP() << "this machine cannot run " << kernels::isa_name(GetParam());
        }
    }
    void TearDown() override { kernels::select_isa(before_); }

private:
    kernels::Isa before_ = kernels::active_isa();
};

/// Lengths around the ends of vectors and of blocks of vectors of every level, and in between.
inline constexpr std::size_t kTailLengths[] = {0,   1,   3,   7,   8,   9,   15,  16,  17,
                                               31,  32,  33,  47,  63,  64,  65,  100, 127,
                                               128, 129, 143, 200, 255, 256, 257, 300};

}  // namespace slidekit::test

/// Instantiates `Suite`, an alias of LevelTest's children, for each level.
#define SLIDEKIT_ON_EACH_LEVEL(Suite)                                                              \
    INSTANTIATE_TEST_SUITE_P(                                                                      \
        Levels, Suite, ::testing::ValuesIn(slidekit::kernels::kIsaLevels), [](const auto& level) { \
            return std::string(slidekit::kernels::isa_name(level.param));                          \
        })
