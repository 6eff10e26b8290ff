// Each test starts the EAL in a process of its own: it can be started once in a process.

#include "vswitch/eal.h"

#include <gtest/gtest.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "vswitch/worker.h"

namespace patchbay::vswitch {
namespace {

/// 2 MiB pages for the life of this object, in a mount namespace of the calling process: where the machine
/// has none reserved or mounted, as a fresh one has not, they are lent for the test.
class LentHugepages {
 public:
  LentHugepages() {
    std::ifstream(kReserved) >> before_;
    std::ofstream(kReserved) << before_ + kPages << std::flush;
    std::string directory = (std::filesystem::temp_directory_path() / "patchbay-hugetlbfs-XXXXXX").string();
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return;
    if (::mkdtemp(directory.data()) == nullptr) return;
    directory_ = directory;
    (void)::mount("none", directory_.c_str(), "hugetlbfs", 0, "pagesize=2M");
  }
  ~LentHugepages() {
    (void)::umount2(directory_.c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove(directory_, ignored);
    std::ofstream(kReserved) << before_ << std::flush;
  }
  LentHugepages(const LentHugepages&) = delete;
  LentHugepages& operator=(const LentHugepages&) = delete;

 private:
  static constexpr const char* kReserved = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
  static constexpr long kPages = 64;
  long before_ = 0;
  std::string directory_;
};

/// Status of a child process that could not have hugepages.
constexpr int kNone = 77;

class EalTest : public testing::Test {
 protected:
  EalTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  static inline bool had_none_ = false;
};

#define CHECK_OR_EXIT(condition)                               \
  do {                                                         \
    if (!(condition)) {                                        \
      std::fprintf(stderr, "does not hold: %s\n", #condition); \
      std::exit(1);                                            \
    }                                                          \
  } while (false)

bool usable_memory() {
  void* block = rte_malloc(nullptr, 1 << 20, 64);
  rte_free(block);
  return block != nullptr;
}

TEST_F(EalTest, StartsOnceWhateverTheHostHas) {
  EXPECT_EXIT(
      {
        CHECK_OR_EXIT(!eal_running());
        const EalMemory expected = choose_eal_memory();
        const EalMemory first = start_eal();
        const EalMemory second = start_eal();
        CHECK_OR_EXIT(eal_running());
        CHECK_OR_EXIT(first.hugepages == expected.hugepages);
        CHECK_OR_EXIT(first.explanation == expected.explanation);
        CHECK_OR_EXIT(second.explanation == first.explanation);
        CHECK_OR_EXIT(usable_memory());
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(EalTest, SaysWhatWouldGiveItHugepages) {
  const EalMemory memory = choose_eal_memory();
  if (memory.hugepages) {
    EXPECT_NE(memory.explanation.find("hugepages ("), std::string::npos) << memory.explanation;
  } else {
    EXPECT_NE(memory.explanation.find("for hugepages: "), std::string::npos) << memory.explanation;
  }
}

TEST_F(EalTest, UsesHugepagesWhereThereAreSome) {
  if (::geteuid() != 0) GTEST_SKIP() << "reserving hugepages needs root";
  const auto used_or_none = [](int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNone) had_none_ = true;
    return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || had_none_);
  };
  EXPECT_EXIT(
      {
        const auto huge = [] {
          const LentHugepages lent;
          if (!choose_eal_memory().hugepages) return kNone;
          start_eal();
          if (!usable_memory()) return 1;
          // "VmFlags: ... ht ..." marks a mapping of hugepages.
          std::ifstream maps("/proc/self/smaps");
          for (std::string line; std::getline(maps, line);)
            if (line.starts_with("VmFlags:") && line.find(" ht") != std::string::npos) return 0;
          return 1;
        };
        std::exit(huge());
      },
      used_or_none, "");
  if (had_none_) GTEST_SKIP() << "the kernel has no 2 MiB pages left, or lets nobody mount hugetlbfs";
}

TEST_F(EalTest, LeavesAffinityEnvironmentAndFilesAsTheyWere) {
  EXPECT_EXIT(
      {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(0, &one);
        if (::sched_setaffinity(0, sizeof one, &one) != 0) std::exit(0);  // may not run on CPU 0
        ::setenv("RUNTIME_DIRECTORY", "/nonexistent", 1);
        std::filesystem::path scratch = std::filesystem::temp_directory_path() / "patchbay-eal-test-XXXXXX";
        std::string name = scratch.string();
        CHECK_OR_EXIT(::mkdtemp(name.data()) != nullptr);
        ::setenv("TMPDIR", name.c_str(), 1);
        start_eal();
        cpu_set_t after;
        CHECK_OR_EXIT(::sched_getaffinity(0, sizeof after, &after) == 0);
        CHECK_OR_EXIT(CPU_EQUAL(&one, &after));
        CHECK_OR_EXIT(std::string(std::getenv("RUNTIME_DIRECTORY")) == "/nonexistent");
        const bool empty = std::filesystem::is_empty(name);
        std::filesystem::remove_all(name);
        CHECK_OR_EXIT(empty);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(EalTest, WorkersRegisterWithIt) {
  EXPECT_EXIT(
      {
        start_eal();
        Worker::Options options;
        options.on_start = register_eal_thread;
        options.on_stop = unregister_eal_thread;
        Worker worker(options);
        unsigned lcore = LCORE_ID_ANY;
        worker.run([&] { lcore = rte_lcore_id(); });
        CHECK_OR_EXIT(lcore != LCORE_ID_ANY);
        CHECK_OR_EXIT(lcore != rte_lcore_id());
        worker.stop();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(EalTest, IsNotNeededByWorkers) {
  Worker::Options options;
  options.on_start = register_eal_thread;
  options.on_stop = unregister_eal_thread;
  Worker worker(options);
  bool ran = false;
  worker.run([&] { ran = true; });
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace patchbay::vswitch
