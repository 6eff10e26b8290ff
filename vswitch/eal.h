// The one start of DPDK's environment abstraction layer (EAL) in a process.
//
// The EAL can be started once and never again, wants arguments as a program gets them, and behaves
// differently with and without hugepages; all of that stays behind this file. Workers are threads of ours
// that register with it.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace patchbay::vswitch {

class EalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct EalMemory {
  bool hugepages = false;   // false: normal pages, because the host has no free hugepages mounted
  std::string explanation;  // for people: what is used, and why
};

/// What start_eal() would use on this host now.
[[nodiscard]] EalMemory choose_eal_memory();

/// Starts the EAL on the calling thread, which takes some 0.2 s; later calls return what the first did. Any
/// thread, while no other reads the environment. Throws EalError with the cause and the way out. Starts no
/// thread that polls, leaves the CPU affinity as it is, and nothing in the file system.
EalMemory start_eal();
[[nodiscard]] bool eal_running() noexcept;

/// For Worker::Options: register the worker's thread with a running EAL, and take it off. No effect without
/// one.
void register_eal_thread();
void unregister_eal_thread();

}  // namespace patchbay::vswitch
