// Boots a kernel in a virtual machine of ours with the guest's console on standard output, until the guest switches
// itself off: what the boot benchmark runs, and a way to try a guest by hand.
//
//   boot_vm --kernel FILE [--initrd FILE] [--append TEXT] [--vcpus N] [--memory MiB] [--machines N] [--seconds S]
//           [--statistics] [--restart] [--kernel-cache FOLDER]
//
// --machines: as many at once in this process, of which only the first has its console shown. --restart: a reset by the
// guest starts it anew; else it ends the program like a power-off. Exit status 0: off; 1: crashed; 3: time was up.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "vmm/kernel/kernel_cache.h"
#include "vmm/virtual_machine.h"

using namespace patchbay::vmm;

namespace {

struct Options {
  std::string kernel;
  std::string initrd;
  std::string append;
  std::string kernel_cache;
  unsigned vcpus = 1;
  std::uint64_t memory_mib = 256;
  unsigned machines = 1;
  unsigned seconds = 300;
  bool statistics = false;
  bool restart = false;
};

void print_statistics(const VirtualMachine& vm, double load_seconds, double power_on_seconds) {
  std::fprintf(stderr, "kernel read and unpacked in %.3f s, machine switched on in %.3f s\n", load_seconds,
               power_on_seconds);
  const VmStatistics statistics = vm.statistics();
  constexpr const char* kNames[] = {"port reads", "port writes", "memory reads", "memory writes",
                                    "waits",      "interrupted", "other"};
  for (std::size_t i = 0; i < kExitKinds; ++i)
    std::fprintf(stderr, "%s: %llu\n", kNames[i], static_cast<unsigned long long>(statistics.exits[i]));
  std::fprintf(stderr, "accesses where nothing answers: %llu\n",
               static_cast<unsigned long long>(statistics.unclaimed_accesses));
}

int run(const Options& options) {
  const KvmSystem kvm;
  std::mutex mutex;
  std::condition_variable changed;
  unsigned running = options.machines;
  bool crashed = false;

  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  auto begin = Clock::now();
  KernelCache cache(options.kernel_cache);
  const auto kernel = std::make_shared<const ElfImage>(cache.load(options.kernel));
  std::vector<BootModule> modules;
  if (!options.initrd.empty()) modules.push_back({FileContents::read(options.initrd, "initrd"), ""});
  std::vector<std::unique_ptr<VirtualMachine>> machines;
  for (unsigned i = 0; i < options.machines; ++i) {
    VmConfig config;
    config.name = "guest" + std::to_string(i);
    config.vcpus = options.vcpus;
    config.memory_bytes = options.memory_mib << 20;
    config.kernel = kernel;
    config.modules = modules;
    config.command_line = options.append;
    config.on_guest_reset = options.restart ? OnGuestReset::restart : OnGuestReset::power_off;
    config.console_output = [show = i == 0](std::span<const std::byte> data) {
      if (show && ::write(STDOUT_FILENO, data.data(), data.size()) < 0) return;
    };
    config.on_state_change = [&](const VmStatus& status) {
      const std::lock_guard lock(mutex);
      if (status.state == VmState::crashed) std::fprintf(stderr, "crashed: %s\n", status.failure.c_str());
      crashed = crashed || status.state == VmState::crashed;
      if (status.state == VmState::off || status.state == VmState::crashed) --running;
      changed.notify_all();
    };
    machines.push_back(std::make_unique<VirtualMachine>(kvm, std::move(config)));
  }
  const double load_seconds = seconds_since(begin);
  begin = Clock::now();
  for (const auto& machine : machines)
    machine->power_on();
  const double power_on_seconds = seconds_since(begin);
  bool ended;
  {
    std::unique_lock lock(mutex);
    ended = changed.wait_for(lock, std::chrono::seconds(options.seconds), [&] { return running == 0; });
  }
  if (options.statistics) print_statistics(*machines.front(), load_seconds, power_on_seconds);
  return crashed ? 1 : ended ? 0 : 3;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Boots a kernel in a virtual machine.");
  app.add_option("--kernel", options.kernel)->required();
  app.add_option("--initrd", options.initrd);
  app.add_option("--append", options.append);
  app.add_option("--vcpus", options.vcpus);
  app.add_option("--memory", options.memory_mib, "MiB");
  app.add_option("--machines", options.machines);
  app.add_option("--seconds", options.seconds);
  app.add_option("--kernel-cache", options.kernel_cache);
  app.add_flag("--statistics", options.statistics);
  app.add_flag("--restart", options.restart);
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "boot_vm: %s\n", error.what());
    return 1;
  }
}
