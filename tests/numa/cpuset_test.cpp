// A cpuset that gives processors without the memory beside them, as a container may have.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <slidekit/system/runtime.hpp>
#include <slidekit/system/tbb_view.hpp>

#include "child.hpp"
#include "guest.hpp"

namespace slidekit::system::cpuset_test {
namespace {

using testing::exit_code_in_child;

// A cgroup whose members may have memory of the first node alone.
class FirstNode {
public:
    FirstNode() {
        std::ofstream("/sys/fs/cgroup/cgroup.subtree_control") << "+cpuset" << std::flush;
        std::filesystem::create_directory(folder_);
        usable_ = static_cast<bool>(std::ofstream(folder_ + "/cpuset.mems") << "0" << std::flush);
    }
    ~FirstNode() { ::rmdir(folder_.c_str()); }
    FirstNode(const FirstNode&) = delete;
    FirstNode& operator=(const FirstNode&) = delete;

    [[nodiscard]] bool usable() const { return usable_; }
    [[nodiscard]] bool join() const {
        std::ofstream procs(folder_ + "/cgroup.procs");
        return static_cast<bool>(procs << ::getpid() << std::flush);
    }

private:
    std::string folder_ = "/sys/fs/cgroup/slidekit-first-node";
    bool usable_ = false;
};

TEST(Cpuset, ProcessorsOfForbiddenNodesWorkOnTheNearest) {
    if (testing::guest().empty()) GTEST_SKIP() << "for guests of scripts/numa_vm_test.sh";
    const unsigned processors = Topology::detect().processors();
    const FirstNode group;
    ASSERT_TRUE(group.usable());
    EXPECT_EQ(exit_code_in_child([&] {
                  if (!group.join()) return 1;
                  Runtime runtime({});
                  const Topology& topology = runtime.topology();
                  if (topology.domains.size() != 1 || !topology.memory_only.empty()) return 2;
                  if (topology.domains[0].os_node != NodeId{0}) return 3;
                  if (topology.processors() != processors) return 4;
                  if (topology.note.find("have no memory of their own node") == std::string::npos)
                      return 5;
                  if (runtime.executor().threads() != processors) return 6;
                  (void)tbb_view(topology);  // ends no process
                  const Region region = runtime.allocate(4 << 20, "cpuset");
                  return region.report().found.misplaced_bytes == 0 ? 0 : 7;
              }),
              0);
}

}  // namespace
}  // namespace slidekit::system::cpuset_test
