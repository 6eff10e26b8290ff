#include "machine.h"

#include <thread>

namespace patchbay::vmm {
namespace {

struct SharedKvm {
  std::unique_ptr<KvmSystem> system;
  std::string problem;
};

const SharedKvm& opened() {
  static const SharedKvm shared = [] {
    SharedKvm result;
    try {
      result.system = std::make_unique<KvmSystem>();
    } catch (const KvmUnavailable& error) {
      result.problem = error.what();
    }
    return result;
  }();
  return shared;
}

}  // namespace

const KvmSystem* shared_kvm() {
  return opened().system.get();
}
const std::string& kvm_problem() {
  return opened().problem;
}

Machine::Machine(const std::string& guest, std::function<void(VmConfig&)> adjust) {
  VmConfig config;
  config.name = guest;
  config.memory_bytes = 16ULL << 20;
  config.kernel = std::make_shared<const ElfImage>(ElfImage::load(std::string(VMM_GUESTS) + "/" + guest));
  config.interrupts = Interrupts::wake_only;
  config.console_output = [this](std::span<const std::byte> data) {
    const std::lock_guard lock(mutex_);
    console_.append(reinterpret_cast<const char*>(data.data()), data.size());
  };
  config.on_state_change = [this](const VmStatus& status) {
    const std::lock_guard lock(mutex_);
    states_.push_back(status.state);
  };
  if (adjust) adjust(config);
  vm_ = std::make_unique<VirtualMachine>(*shared_kvm(), std::move(config));
}

bool Machine::wait_until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

std::string Machine::console() {
  const std::lock_guard lock(mutex_);
  return console_;
}

std::vector<VmState> Machine::states() {
  const std::lock_guard lock(mutex_);
  return states_;
}

ScratchFunction::ScratchFunction(int doorbell_fd)
    : Function({.vendor = 0x1AF4, .device = 0x10F0, .class_code = 0xFF0000}), doorbell_fd_(doorbell_fd) {
  add_memory_bar(0, 0x1000, false);
  add_memory_bar(2, 0x2000, true);
  add_msix(2, 2, 0);
}

ScratchFunction::~ScratchFunction() = default;

std::vector<ScratchFunction::Write> ScratchFunction::writes() {
  const std::lock_guard lock(mutex_);
  return writes_;
}

void ScratchFunction::on_bar_read(unsigned, std::uint64_t, std::span<std::byte> data) noexcept {
  std::memcpy(data.data(), &read_value, data.size());
}

void ScratchFunction::on_bar_write(unsigned, std::uint64_t offset, std::span<const std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  Write write{offset, data.size(), 0};
  std::memcpy(&write.value, data.data(), data.size());
  writes_.push_back(write);
}

void ScratchFunction::on_bar_moved(unsigned bar, std::uint64_t address) noexcept {
  if (bar != 0 || doorbell_fd_ < 0) return;
  if (doorbell_address_ != 0) doorbells().detach(doorbell_address_, doorbell_fd_);
  doorbell_address_ = 0;
  if (address != 0 && doorbells().attach(address + 0x100, doorbell_fd_)) doorbell_address_ = address + 0x100;
}

}  // namespace patchbay::vmm
