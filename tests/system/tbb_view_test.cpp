// What TBB sees beside our topology.
#include <slidekit/system/tbb_view.hpp>

#include <stdlib.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sanitized.hpp"

namespace slidekit::system::tbb_view_test {
namespace {

TEST(TbbView, HasOurDomainsOrSaysWhatIsMissing) {
    if (testing::kSanitized) GTEST_SKIP() << "a sanitizer refuses how TBB loads its library";
    const TbbView view = tbb_view(Topology::detect());
    ASSERT_FALSE(view.nodes.empty()) << view.note;
    EXPECT_EQ(view.agrees, view.note.empty());
    if (view.agrees) return;
    EXPECT_THAT(view.note, ::testing::HasSubstr("libtbbbind is missing"));
}

TEST(TbbView, DisagreesOverAnotherMachine) {
    if (testing::kSanitized) GTEST_SKIP() << "a sanitizer refuses how TBB loads its library";
    const Topology other = Topology::from_synthetic("pack:16 [numa] pu:2");
    const TbbView view = tbb_view(other);
    EXPECT_FALSE(view.agrees);
    EXPECT_NE(view.note, "");
}

TEST(TbbView, IsNotAskedWhereHwlocIsToldToLookElsewhere) {
    setenv("HWLOC_SYNTHETIC", "numa:2 pu:1", 1);
    const TbbView view = tbb_view(Topology::detect());
    unsetenv("HWLOC_SYNTHETIC");
    EXPECT_TRUE(view.nodes.empty());
    EXPECT_FALSE(view.agrees);
    EXPECT_THAT(view.note, ::testing::HasSubstr("HWLOC_"));
}

}  // namespace
}  // namespace slidekit::system::tbb_view_test
