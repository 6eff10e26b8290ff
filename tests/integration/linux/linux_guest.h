// An unmodified Linux guest for a test: the small Debian guest (tools/image/debian) in a virtual machine of ours, with
// its console collected. Runs natively where the host has VMX or SVM, and in the emulated host (tests/emulated_host).
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "vmm/virtual_machine.h"

namespace patchbay::vmm {

/// Skips where no operating system can run or the guest's image is missing, and says why.
class LinuxTest : public testing::Test {
 protected:
  void SetUp() override;
};

class LinuxGuest {
 public:
  /// The guest runs `script`, a line of shell text without double quotes, and switches itself off; or, if it is empty, offers a shell.
  explicit LinuxGuest(const std::string& script, std::function<void(VmConfig&)> adjust = {});

  VirtualMachine& vm() { return *vm_; }
  VirtualMachine* operator->() { return vm_.get(); }

  /// Waits until the console has shown `text` `times` times; false with the console's end printed if it does not.
  [[nodiscard]] bool wait_for_output(const std::string& text, int times = 1);
  [[nodiscard]] bool wait_for_state(VmState state);
  /// Boots and waits for the end of the script; returns what it printed.
  [[nodiscard]] std::string run();
  [[nodiscard]] std::string console();

 private:
  [[nodiscard]] bool wait(const std::string& purpose, const std::function<bool()>& condition);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string console_;
  std::unique_ptr<VirtualMachine> vm_;
};

inline constexpr const char* kGuestIsUp = "patchbay: guest is up";
/// A start takes a second on a real processor and some ten in the emulated host, which may have to share its own.
inline constexpr std::chrono::seconds kGuestPatience{240};

}  // namespace patchbay::vmm
