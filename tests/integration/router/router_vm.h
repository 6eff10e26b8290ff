// The router appliance as a real virtual machine for tests and benchmarks: virtio cards, each on a lossless
// wire to a port of the caller's, one switch worker, and the console as text.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "devices/net/virtio_net.h"
#include "vmm/kvm.h"
#include "vmm/virtual_machine.h"
#include "vswitch/wire.h"
#include "vswitch/worker.h"

namespace patchbay::tests {

class RouterVm {
 public:
  struct Options {
    std::string configuration;
    std::uint16_t mtu = 1500;
    std::uint16_t queue_size = 256;
    int switch_cpu = -1;  // negative: any
    std::uint64_t memory_bytes = 32ULL << 20;
  };

  /// Builds the machine with card i, called eth<i>, wired to `peers[i]`; off. The peers outlive it. Throws
  /// what the VMM throws, KvmUnavailable among it.
  RouterVm(const Options& options, const std::vector<vswitch::Port*>& peers);
  ~RouterVm();
  RouterVm(const RouterVm&) = delete;
  RouterVm& operator=(const RouterVm&) = delete;

  [[nodiscard]] static std::array<std::uint8_t, 6> mac(std::size_t card) {
    return {0x02, 0, 0, 0, 0x01, static_cast<std::uint8_t>(card)};
  }

  void power_on() { machine_->power_on(); }
  [[nodiscard]] vmm::VirtualMachine& machine() { return *machine_; }
  [[nodiscard]] vswitch::Worker& worker() { return *worker_; }
  [[nodiscard]] devices::net::VirtioNet& card(std::size_t i) { return *cards_[i]; }

  void type(std::string_view text);
  /// Console output so far.
  [[nodiscard]] std::string console();
  /// Waits until the console has printed `text` after position `from`; false if it has not in time.
  [[nodiscard]] bool wait_for_console(std::string_view text, std::chrono::milliseconds limit,
                                      std::size_t from = 0);

  /// Equations of the frame counters that do not hold on any of the wires.
  [[nodiscard]] std::vector<std::string> imbalances();

  /// The thread that runs the guest.
  [[nodiscard]] pid_t vcpu_thread() const;
  void pin_vcpu(int cpu) const;
  /// Processor time of that thread, guest and host.
  [[nodiscard]] std::chrono::nanoseconds vcpu_time() const;

 private:
  vmm::KvmSystem kvm_;
  std::vector<std::unique_ptr<devices::net::VirtioNet>> cards_;
  std::vector<std::unique_ptr<vswitch::Wire>> wires_;
  std::unique_ptr<vmm::VirtualMachine> machine_;
  std::unique_ptr<vswitch::Worker> worker_;

  std::mutex console_mutex_;
  std::condition_variable console_grew_;
  std::string console_;
};

}  // namespace patchbay::tests
