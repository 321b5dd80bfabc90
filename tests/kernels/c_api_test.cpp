// The C interface: every kernel by its checked and its fast function, with right arguments (the
// same bits as the C++ function) and with wrong ones (a status, and every output as it was).
#include <slidekit/kernels.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <gtest/gtest.h>
#include <slidekit/kernels/isa.hpp>

#include "guarded_arguments.hpp"
#include "kernel_calls.hpp"

namespace slidekit::kernels::c_api_test {
namespace {

using test::Data;
using test::Draw;
using test::Guard;

// A Draw with which one thing goes wrong: the n-th that could.
class Clumsy : public Draw {
public:
    Clumsy(std::uint64_t seed, std::size_t wrong) : Draw(seed), wrong_(wrong) {}
    bool mishap() { return seen_++ == wrong_; }

private:
    std::size_t wrong_;
    std::size_t seen_ = 0;
};

template <class Entry>
void fill_sizes(std::size_t* sizes) {
    for (std::size_t i = 0; i < Entry::size_count; ++i)
        sizes[i] = std::clamp<std::size_t>(24, Entry::limits[i].least, Entry::limits[i].most);
}

TEST(CApi, GivesWhatTheFunctionsOfCppGive) {
    calls::for_each_kernel([](auto entry) {
        using Entry = decltype(entry);
        std::size_t sizes[Entry::size_count];
        fill_sizes<Entry>(sizes);
        test::GuardedArguments arguments(Draw(5), Guard::after, Data::normal);
        const auto call = Entry::call(arguments, sizes);
        const auto before = arguments.outputs();
        call(Entry::function);
        const auto expected = arguments.outputs();
        for (const auto function : {&Entry::checked, &Entry::fast}) {
            arguments.restore(before);
            EXPECT_EQ(calls::call_c<Entry>(call, function), SLIDEKIT_OK) << Entry::c_name;
            EXPECT_TRUE(arguments.outputs() == expected) << Entry::c_name;
        }
    });
}

TEST(CApi, RefusesWhateverIsWrongAndTouchesNoOutput) {
    calls::for_each_kernel([](auto entry) {
        using Entry = decltype(entry);
        std::size_t sizes[Entry::size_count];
        fill_sizes<Entry>(sizes);
        std::size_t refused = 0;
        for (std::size_t wrong = 0; wrong < 40; ++wrong) try {
                test::Arguments<Clumsy> arguments(Clumsy(7, wrong), Guard::after, Data::normal);
                const auto call = Entry::call(arguments, sizes);
                const auto before = arguments.outputs();
                const slidekit_status status = calls::call_c<Entry>(call, &Entry::checked);
                if (status == SLIDEKIT_OK) continue;
                ++refused;
                EXPECT_TRUE(arguments.outputs() == before) << Entry::c_name << ", mishap " << wrong;
            } catch (const test::NoSuchArguments&) {
                // A plan that lost its width leaves no ids to choose from.
            }
        EXPECT_GT(refused, 0U) << Entry::c_name;
    });
}

TEST(CApi, NamesEveryStatus) {
    for (int status = SLIDEKIT_OK; status <= SLIDEKIT_UNSUPPORTED; ++status)
        EXPECT_STRNE(slidekit_status_text(status), "an unknown status");
    EXPECT_STREQ(slidekit_status_text(99), "an unknown status");
}

TEST(CApi, SelectsAndNamesLevels) {
    const slidekit_isa before = slidekit_active_isa();
    EXPECT_EQ(slidekit_select_isa(SLIDEKIT_ISA_SCALAR), SLIDEKIT_OK);
    EXPECT_EQ(slidekit_active_isa(), SLIDEKIT_ISA_SCALAR);
    EXPECT_STREQ(slidekit_isa_name(SLIDEKIT_ISA_SCALAR), "scalar");
    EXPECT_EQ(slidekit_select_isa(99), SLIDEKIT_INVALID_VALUE);
    EXPECT_EQ(slidekit_isa_name(-1), nullptr);
    EXPECT_EQ(slidekit_active_isa(), SLIDEKIT_ISA_SCALAR);
    EXPECT_EQ(slidekit_select_isa(before), SLIDEKIT_OK);
}

TEST(CApi, TellsItsVersionAndItsScratch) {
    EXPECT_EQ(slidekit_kernels_version(), 100U);
    EXPECT_EQ(slidekit_hash_scratch_floats(128), hash_scratch_floats(128));
    EXPECT_EQ(slidekit_hash_scratch_floats(SIZE_MAX), 0U);
}

// One example by hand of each status, so that the generated checks are tied to words.
TEST(CApi, SaysWhyACallIsRefused) {
    const float data[6] = {1, 2, 3, 4, 5, 6};
    const float x[3] = {1, 1, 1};
    const std::uint32_t ids[2] = {0, 1};
    float out[2] = {-1, -1};
    slidekit_const_matrix_f32 rows = {data, 2, 3, 3};
    EXPECT_EQ(slidekit_dot_rows_f32(x, rows, ids, 2, out), SLIDEKIT_OK);
    EXPECT_EQ(out[1], 15.0F);
    EXPECT_EQ(slidekit_dot_rows_f32(nullptr, rows, ids, 2, out), SLIDEKIT_NULL_POINTER);
    const std::uint32_t beyond[2] = {0, 2};
    EXPECT_EQ(slidekit_dot_rows_f32(x, rows, beyond, 2, out), SLIDEKIT_OUT_OF_RANGE);
    EXPECT_EQ(slidekit_dot_rows_f32(x, rows, ids, SIZE_MAX, out), SLIDEKIT_INVALID_SIZE);
    rows.stride = 2;
    EXPECT_EQ(slidekit_dot_rows_f32(x, rows, ids, 2, out), SLIDEKIT_INVALID_SIZE);
    rows.stride = SIZE_MAX / 2;
    EXPECT_EQ(slidekit_dot_rows_f32_fast(x, rows, ids, 2, out), SLIDEKIT_INVALID_SIZE);
    EXPECT_EQ(out[1], 15.0F);
}

}  // namespace
}  // namespace slidekit::kernels::c_api_test
