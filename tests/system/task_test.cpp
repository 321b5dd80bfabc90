// Tasks for VTune, taken down by a collector of the test's own. Built twice: without the option
// there is nothing of them.
#include "system/task.hpp"

#include <string>
#include <type_traits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#ifdef SLIDEKIT_ITT

namespace {
std::vector<std::string> events;
}

__itt_domain* __itt_domain_create(const char* name) {
    static __itt_domain domain{};
    domain.name = name;
    events.push_back(std::string("domain ") + name);
    return &domain;
}
__itt_string_handle* __itt_string_handle_create(const char* name) {
    static __itt_string_handle handles[8];
    static int used = 0;
    handles[used].name = name;
    return &handles[used++];
}
void __itt_task_begin(const __itt_domain*, __itt_id, __itt_id, __itt_string_handle* name) {
    events.push_back(std::string("begin ") + name->name);
}
void __itt_task_end(const __itt_domain* domain) {
    events.push_back(std::string("end in ") + domain->name);
}

#endif

namespace slidekit::system::task_test {
namespace {

void step() {
    static const TaskName kStep("step");
    static const TaskName kSelect("select");
    const Task whole(kStep);
    const Task part(kSelect);
}

#ifdef SLIDEKIT_ITT

TEST(Task, BeginsAndEndsByNameAndNests) {
    step();
    step();
    const std::vector<std::string> one = {
        "begin step", "begin select", "end in slidekit", "end in slidekit"};
    std::vector<std::string> all = {"domain slidekit"};
    for (int round = 0; round < 2; ++round) all.insert(all.end(), one.begin(), one.end());
    EXPECT_EQ(events, all);
}

#else

TEST(Task, IsNothingWithoutTheOption) {
    step();
    EXPECT_TRUE(std::is_empty_v<Task> && std::is_empty_v<TaskName>);
    EXPECT_TRUE(std::is_trivially_destructible_v<Task>);
}

#endif

}  // namespace
}  // namespace slidekit::system::task_test
