// A virtual machine for a test: boots one of the tiny guests, collects its console output and state changes,
// and reads the results it leaves at 2 MiB.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devices/pci/function.h"
#include "vmm/virtual_machine.h"

namespace patchbay::vmm {

/// /dev/kvm, or nullptr with the reason in kvm_problem().
const KvmSystem* shared_kvm();
const std::string& kvm_problem();

class VmmTest : public testing::Test {
 protected:
  void SetUp() override {
    if (shared_kvm() == nullptr) GTEST_SKIP() << kvm_problem();
  }
};

inline constexpr std::uint64_t kResults = 0x20'0000;

class Machine {
 public:
  explicit Machine(const std::string& guest, std::function<void(VmConfig&)> adjust = {});

  VirtualMachine& vm() { return *vm_; }
  VirtualMachine* operator->() { return vm_.get(); }

  /// Waits up to ten seconds; false if it does not come true.
  [[nodiscard]] bool wait_until(const std::function<bool()>& condition);
  [[nodiscard]] bool wait_for_state(VmState state) {
    return wait_until([&] { return vm_->state() == state; });
  }
  [[nodiscard]] std::string console();
  [[nodiscard]] std::vector<VmState> states();

  /// Result number `index` (64 bits each); a shared word that the guest may be changing.
  [[nodiscard]] std::uint64_t result(std::int64_t index = 0) const { return *word(index); }
  void set_result(std::int64_t index, std::uint64_t value) { *word(index) = value; }
  [[nodiscard]] const std::byte* results() const { return vm_->memory().translate(kResults, 4096); }

 private:
  [[nodiscard]] volatile std::uint64_t* word(std::int64_t index) const {
    const auto address = static_cast<std::uint64_t>(static_cast<std::int64_t>(kResults) + 8 * index);
    return reinterpret_cast<volatile std::uint64_t*>(vm_->memory().translate(address, 8));
  }

  std::mutex mutex_;
  std::string console_;
  std::vector<VmState> states_;
  std::unique_ptr<VirtualMachine> vm_;
};

/// A function with registers to scribble on (BAR 0), MSI-X (BAR 2, two vectors) and, if asked, a doorbell at
/// BAR 0 + 0x100.
class ScratchFunction final : public devices::pci::Function {
 public:
  struct Write {
    std::uint64_t offset;
    std::size_t size;
    std::uint64_t value;
    bool operator==(const Write&) const = default;
  };

  explicit ScratchFunction(int doorbell_fd = -1);
  ~ScratchFunction() override;

  std::vector<Write> writes();
  bool raise(unsigned vector) { return raise_msix(vector); }
  [[nodiscard]] bool is_bus_master() const { return bus_master(); }
  [[nodiscard]] int resets() const { return resets_; }

  std::uint64_t read_value = 0;

 private:
  void on_bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void on_bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) noexcept override;
  void on_bar_moved(unsigned bar, std::uint64_t address) noexcept override;
  void on_reset() noexcept override { ++resets_; }

  int doorbell_fd_;
  std::uint64_t doorbell_address_ = 0;
  std::atomic<int> resets_{0};
  std::mutex mutex_;
  std::vector<Write> writes_;
};

}  // namespace patchbay::vmm
