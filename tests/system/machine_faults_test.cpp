// Machines with parts missing: TBB's binding library, processors that are offline, all processors
// but one. Each works, and says what it does without.
#include <dlfcn.h>
#include <sched.h>

#include <atomic>
#include <cstring>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/system/runtime.hpp>
#include <slidekit/system/tbb_view.hpp>

#include "child.hpp"
#include "sanitized.hpp"

// Stands before the C library's for every library of this program: libtbbbind is not to be had.
extern "C" __attribute__((visibility("default"))) void* dlopen(const char* file,
                                                               int flags) noexcept {
    if (file != nullptr && std::strstr(file, "libtbbbind") != nullptr) return nullptr;
    using Open = void* (*)(const char*, int);
    static const auto real = reinterpret_cast<Open>(::dlsym(RTLD_NEXT, "dlopen"));
    return real(file, flags);
}

namespace slidekit::system::machine_faults_test {
namespace {

using testing::exit_code_in_child;

bool runs_all(Executor& executor) {
    std::vector<std::atomic<int>> runs(100);
    executor.for_each_domain([&](std::size_t) {
        executor.for_each(runs.size(), [&](std::size_t index, Worker) { ++runs[index]; });
    });
    for (const auto& run : runs)
        if (run.load() != static_cast<int>(executor.domains())) return false;
    return true;
}

// A machine of which half the processors have no number that this one has.
Topology half_offline() {
    Topology topology = Topology::detect();
    Domain away = topology.domains.front();
    away.cpus = {8190, 8191};
    topology.domains.resize(1);
    topology.domains.push_back(away);
    return topology;
}

TEST(MachineFaults, WithoutTbbsBindingLibraryWorkIsBoundAllTheSame) {
    EXPECT_EQ(exit_code_in_child([] {
                  const Topology topology = Topology::detect();
                  const TbbView view = tbb_view(topology);
                  if (view.agrees || view.nodes != std::vector<int>{-1}) return 1;
                  if (view.note.find("libtbbbind is missing") == std::string::npos) return 2;
                  Executor executor(topology.cut(2), 2);
                  if (!runs_all(executor)) return 3;
                  return executor.unbound() == 0 ? 0 : 4;
              }),
              0);
}

TEST(MachineFaults, OfflineProcessorsLeaveTheirThreadsUnboundAndCounted) {
    for (const Pinning pinning : {Pinning::domain, Pinning::processor}) {
        EXPECT_EQ(exit_code_in_child([&] {
                      Executor executor(half_offline(), 2, pinning);
                      if (!runs_all(executor)) return 1;
                      return executor.unbound() > 0 ? 0 : 2;
                  }),
                  0);
    }
}

TEST(MachineFaults, OneProcessorIsOneThreadAndAsManyDomainsAsAreAsked) {
    if (testing::kSanitized) GTEST_SKIP() << "a sanitizer's own thread keeps the whole mask";
    EXPECT_EQ(exit_code_in_child([] {
                  cpu_set_t set;
                  CPU_ZERO(&set);
                  CPU_SET(::sched_getcpu(), &set);
                  if (::sched_setaffinity(0, sizeof set, &set) != 0) return 1;
                  Runtime runtime({});
                  if (runtime.executor().threads() != 1) return 2;
                  if (runtime.topology().domains.size() != 1) return 3;
                  if (!runs_all(runtime.executor())) return 4;
                  Executor two(runtime.topology().cut(2), 2);
                  return two.domains() == 2 && runs_all(two) && two.unbound() == 0 ? 0 : 5;
              }),
              0);
}

}  // namespace
}  // namespace slidekit::system::machine_faults_test
