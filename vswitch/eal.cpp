#include "vswitch/eal.h"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <sched.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace patchbay::vswitch {

namespace {

constexpr int kMegabytesWithoutHugepages = 64;
constexpr const char* kFreeHugepages = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
/// Fewer do not hold what the EAL allocates at its start.
constexpr long kMinFreeHugepages = 32;

std::atomic<bool> running{false};

/// Looks for a mount of the page size that free_hugepages() counts.
bool hugetlbfs_mounted() {
  std::ifstream mounts("/proc/mounts");
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string device, place, type, options;
    fields >> device >> place >> type >> options;
    if (type == "hugetlbfs" && options.find("pagesize=2M") != std::string::npos) return true;
  }
  return false;
}

long free_hugepages() {
  long count = 0;
  std::ifstream(kFreeHugepages) >> count;
  return count;
}

/// The EAL creates a directory for its sockets even when told to have none. This gives it one to itself, for
/// as long as it starts.
class RuntimeDirectory {
 public:
  RuntimeDirectory() {
    if (const char* set = std::getenv(kVariable)) before_ = set;
    std::string path = (std::filesystem::temp_directory_path() / "patchbay-eal-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) return;  // the EAL then does without
    path_ = path;
    ::setenv(kVariable, path_.c_str(), 1);
  }
  ~RuntimeDirectory() {
    if (path_.empty()) return;
    if (before_) {
      ::setenv(kVariable, before_->c_str(), 1);
    } else {
      ::unsetenv(kVariable);
    }
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  RuntimeDirectory(const RuntimeDirectory&) = delete;
  RuntimeDirectory& operator=(const RuntimeDirectory&) = delete;

 private:
  static constexpr const char* kVariable = "RUNTIME_DIRECTORY";
  std::string path_;
  std::optional<std::string> before_;
};

/// One lcore, this thread, which floats over the CPUs that it may use already: the EAL binds it to what it is
/// told.
std::string lcore_option() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::string cpus;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &allowed)) cpus += (cpus.empty() ? "" : ",") + std::to_string(cpu);
    }
  }
  return cpus.empty() ? "--lcores=0" : fmt::format("--lcores=0@({})", cpus);
}

EalMemory initialise() {
  const EalMemory memory = choose_eal_memory();
  std::vector<std::string> words{"patchbay", "--no-pci", "--no-telemetry", "--log-level=lib.eal:error",
                                 lcore_option()};
  if (memory.hugepages) {
    words.emplace_back("--in-memory");
  } else {
    for (const char* word : {"--no-huge", "--no-shconf", "-m"})
      words.emplace_back(word);
    words.push_back(std::to_string(kMegabytesWithoutHugepages));
  }
  // The EAL changes and keeps its argument vector.
  static std::vector<std::string> kept;
  static std::vector<char*> arguments;
  kept = std::move(words);
  arguments.clear();
  for (std::string& word : kept)
    arguments.push_back(word.data());

  rte_log_set_global_level(RTE_LOG_ERR);
  const RuntimeDirectory directory;
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
    throw EalError(
        fmt::format("DPDK's EAL did not start: {}; memory: {}. Run 'patchbay doctor' to see what is missing",
                    rte_strerror(rte_errno), memory.explanation));
  }
  running.store(true, std::memory_order_release);
  return memory;
}

}  // namespace

EalMemory choose_eal_memory() {
  if (!hugetlbfs_mounted()) {
    return {
        false,
        "normal pages (no hugetlbfs is mounted; for hugepages: mount -t hugetlbfs hugetlbfs /dev/hugepages)"};
  }
  const long available = free_hugepages();
  if (available < kMinFreeHugepages) {
    return {false,
            fmt::format(
                "normal pages ({} hugepages of 2 MiB are free; for hugepages: sysctl vm.nr_hugepages=512)",
                available)};
  }
  return {true, fmt::format("hugepages ({} of 2 MiB are free)", available)};
}

EalMemory start_eal() {
  static const EalMemory started = initialise();
  return started;
}

bool eal_running() noexcept {
  return running.load(std::memory_order_acquire);
}

void register_eal_thread() {
  // Without a free lcore id the thread works all the same, only without a mempool cache.
  if (eal_running()) (void)rte_thread_register();
}

void unregister_eal_thread() {
  if (eal_running()) rte_thread_unregister();
}

}  // namespace patchbay::vswitch
