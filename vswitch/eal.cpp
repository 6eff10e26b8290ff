#include "vswitch/eal.h"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <mutex>
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

bool hugetlbfs_mounted() {
  std::ifstream mounts("/proc/mounts");
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string device, place, type;
    fields >> device >> place >> type;
    if (type == "hugetlbfs") return true;
  }
  return false;
}

long free_hugepages() {
  long count = 0;
  std::ifstream(kFreeHugepages) >> count;
  return count;
}

EalMemory initialise() {
  EalMemory memory = choose_eal_memory();
  std::vector<std::string> words{"patchbay", "--no-pci", "--no-telemetry", "--log-level=lib.eal:error",
                                 "--lcores=0@0"};
  // The set of CPUs that this process may use decides where lcore 0 may run.
  const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  words.back() = cpus > 1 ? fmt::format("--lcores=0@(0-{})", cpus - 1) : "--lcores=0@0";
  if (memory.hugepages) {
    words.emplace_back("--in-memory");
  } else {
    words.emplace_back("--no-huge");
    words.emplace_back("--no-shconf");
    words.emplace_back("-m");
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
  static std::mutex mutex;
  static std::optional<EalMemory> started;
  const std::scoped_lock lock(mutex);
  if (!started) started = initialise();
  return *started;
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
