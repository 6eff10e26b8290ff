#include "vmm/virtual_machine.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <functional>

#include <x86intrin.h>

#include "vmm/acpi/tables.h"
#include "vmm/board.h"
#include "vmm/cpuid.h"
#include "vmm/kernel/linux_boot.h"
#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

/// What firmware sets up in every processor before an operating system starts (Intel SDM volume 4).
constexpr std::pair<std::uint32_t, std::uint64_t> kFirmwareMsrs[] = {
    {0x1A0, 0x1801},  // IA32_MISC_ENABLE: fast strings; no branch trace, no PEBS
    {0x2FF, 0x806},   // IA32_MTRR_DEF_TYPE: on, memory is cached where page attributes say nothing else
};

}  // namespace

const char* to_string(VmState state) noexcept {
  switch (state) {
    case VmState::off:
      return "off";
    case VmState::running:
      return "running";
    case VmState::paused:
      return "paused";
    case VmState::crashed:
      return "crashed";
  }
  return "unknown";
}

struct VirtualMachine::Powered {
  explicit Powered(KvmVm machine) : vm(std::move(machine)) {}
  KvmVm vm;
  std::int64_t tsc_offset = 0;   // guest minus host
  std::uint64_t paused_tsc = 0;  // both clocks when the machine was paused
  std::uint64_t paused_clock = 0;
  std::vector<std::unique_ptr<Vcpu>> vcpus;  // gone before the machine
};

VirtualMachine::VirtualMachine(const KvmSystem& kvm, VmConfig config)
    : kvm_(kvm),
      config_(checked(std::move(config))),
      ram_(config_.memory_bytes, config_.huge_pages),
      board_(std::make_unique<Board>(
          config_, ram_.view(),
          Board::Requests{[this](std::uint32_t status) { end(Ending::guest_exit, status, {}); },
                          [this] { end(Ending::guest_off, 0, {}); }, [this] { end(Ending::guest_reset, 0, {}); }})) {
}

VirtualMachine::~VirtualMachine() {
  {
    const std::lock_guard lock(keeper_mutex_);
    keeper_stopping_ = true;
  }
  keeper_wake_.notify_all();
  if (keeper_.joinable()) keeper_.join();  // nobody starts another one now
  const std::lock_guard control(control_mutex_);
  stop(Ending::destroyed);
}

VmConfig VirtualMachine::checked(VmConfig config) {
  const auto reject = [&](const std::string& text) { throw VmError("machine " + config.name + ": " + text); };
  if (config.kernel == nullptr) reject("no kernel image given");
  if (config.vcpus == 0) reject("0 vCPUs; give it at least one");
  if (config.vcpus > 1 && config.interrupts == Interrupts::wake_only) {
    reject(std::to_string(config.vcpus) +
           " vCPUs without an interrupt controller; give it one vCPU or interrupts: irqchip");
  }
  if (config.vcpus > 254) reject(std::to_string(config.vcpus) + " vCPUs; the most is 254");
  return config;
}

std::string VirtualMachine::described() const {
  return "machine " + config_.name;
}

// --- control
// -------------------------------------------------------------------------------------------------

void VirtualMachine::power_on() {
  const std::lock_guard control(control_mutex_);
  const VmState now = state();
  if (now == VmState::running || now == VmState::paused) {
    throw VmError(described() + " is on already (" + to_string(now) + ")");
  }
  stop(Ending::power_off);
  boot();
}

void VirtualMachine::power_off() {
  const std::lock_guard control(control_mutex_);
  stop(Ending::power_off);
  // A crashed machine, or one that its guest was about to start anew, has not said so itself.
  if (state() != VmState::off) set_status({VmState::off, std::nullopt, {}});
}

void VirtualMachine::reset() {
  const std::lock_guard control(control_mutex_);
  stop(Ending::reset);
  boot();
}

void VirtualMachine::pause() {
  const std::lock_guard control(control_mutex_);
  do {
    if (const VmState now = state(); now != VmState::running) {
      throw VmError(described() + " is " + to_string(now) + "; only a running machine can be paused");
    }
    for (const auto& vcpu : powered_->vcpus)
      vcpu->request_pause();
    if (board_->wait) board_->wait->interrupt();
    for (const auto& vcpu : powered_->vcpus)
      vcpu->wait_until_paused();
  } while (finish_guest_reset());  // it is the new start that has to be paused
  {
    const std::lock_guard lock(status_mutex_);
    if (ending_ != Ending::none) return;  // the guest ended just now, which is reported on its own
  }
  powered_->paused_tsc = __rdtsc();
  powered_->paused_clock = powered_->vm.clock();
  set_status({VmState::paused, std::nullopt, {}});
}

void VirtualMachine::resume() {
  const std::lock_guard control(control_mutex_);
  if (const VmState now = state(); now != VmState::paused) {
    throw VmError(described() + " is " + to_string(now) + "; only a paused machine can be resumed");
  }
  if (config_.interrupts == Interrupts::irqchip) {
    // The guest's clocks go on where they stopped. (The wait device's deadlines are in the host's time instead.)
    powered_->tsc_offset -= static_cast<std::int64_t>(__rdtsc() - powered_->paused_tsc);
    for (const auto& vcpu : powered_->vcpus)
      (void)vcpu->kvm().set_tsc_offset(powered_->tsc_offset);
    if (powered_->paused_clock != 0) powered_->vm.set_clock(powered_->paused_clock);
    for (const auto& vcpu : powered_->vcpus)
      vcpu->kvm().note_paused();
  }
  set_status({VmState::running, std::nullopt, {}});
  for (const auto& vcpu : powered_->vcpus)
    vcpu->resume();
}

bool VirtualMachine::press_power_button() {
  const VmState now = state();
  if (now != VmState::running && now != VmState::paused) return false;
  if (board_->wait != nullptr) board_->wait->signal(Wake::power_button);
  if (board_->power != nullptr) board_->power->press_button();
  return true;
}

std::size_t VirtualMachine::console_input(std::span<const std::byte> data) {
  return board_->serial->push_input(data);
}

// --- power on
// --------------------------------------------------------------------------------------------------

void VirtualMachine::boot() {
  auto powered = std::make_unique<Powered>(kvm_.create_vm());
  try {
    powered->vm.set_reserved_pages(kIdentityMapPage, kTssPages);
    std::uint32_t slot = kSlotLowRam;
    for (const auto& region : ram_.view().regions()) {
      powered->vm.set_memory(slot++, 0, region.guest_address, region.host);
    }
    powered->vm.set_memory(kSlotEcam, KVM_MEM_READONLY, kEcamStart, board_->pci.ecam_view());
    if (config_.interrupts == Interrupts::irqchip) {
      powered->vm.create_irqchip();
      powered->vm.create_interval_timer();
    }
    board_->connect(&powered->vm);
    create_vcpus(*powered);
    board_->pci.assign_bars();

    ram_.prefault(config_.prefault_bytes);
    const std::uint32_t tsc_khz = powered->vcpus.front()->kvm().tsc_khz();
    const bool pc = config_.interrupts == Interrupts::irqchip;
    const std::uint64_t root_pointer = pc ? place_acpi_tables({config_.vcpus}, ram_.view()) : 0;
    KvmVcpu& first = powered->vcpus.front()->kvm();
    if (pc && !config_.kernel->pvh_entry()) {
      set_linux_state(first, load_linux(*config_.kernel, ram_.view(), full_command_line(tsc_khz), config_.modules,
                                        root_pointer));
    } else {
      set_pvh_state(first, load_pvh(*config_.kernel, ram_.view(), full_command_line(tsc_khz), config_.modules,
                                    root_pointer));
    }
    if (board_->wait) board_->wait->set_tsc_khz(tsc_khz);
  } catch (...) {
    board_->reset();
    set_status({VmState::off, std::nullopt, {}});
    throw;
  }

  unclaimed_accesses_.store(0, std::memory_order_relaxed);
  live_vcpus_.store(config_.vcpus);
  const auto& vcpus = powered->vcpus;
  {
    const std::lock_guard lock(status_mutex_);
    powered_ = std::move(powered);
    ending_ = Ending::none;
    failure_.clear();
  }
  set_status({VmState::running, std::nullopt, {}});
  for (const auto& vcpu : vcpus)
    vcpu->start("vcpu:" + config_.name);
}

void VirtualMachine::create_vcpus(Powered& powered) {
  const CpuidEntries host = kvm_.supported_cpuid();
  const bool irqchip = config_.interrupts == Interrupts::irqchip;
  for (unsigned id = 0; id < config_.vcpus; ++id) {
    auto vcpu = std::make_unique<Vcpu>(powered.vm.create_vcpu(id), id, static_cast<VcpuOwner&>(*this));
    vcpu->kvm().set_cpuid(guest_cpuid(host, id, config_.vcpus, vcpu->kvm().tsc_khz(), irqchip));
    // The wait device compares the guest's deadlines with the host's TSC.
    if (!vcpu->kvm().set_tsc_offset(0) && !irqchip) {
      throw VmError(described() + ": this kernel cannot set the guest's TSC; use Linux 5.16 or later");
    }
    if (irqchip) vcpu->kvm().set_msrs(kFirmwareMsrs);
    powered.vcpus.push_back(std::move(vcpu));
  }
}

std::string VirtualMachine::full_command_line(std::uint32_t tsc_khz) const {
  if (config_.interrupts != Interrupts::wake_only) return config_.command_line;
  std::array<char, 96> platform;
  std::snprintf(platform.data(), platform.size(), "ecam=0x%" PRIx64 " tsc_khz=%" PRIu32 " wait=0x%x ",
                kEcamStart, tsc_khz, unsigned{kWaitPort});
  return platform.data() + config_.command_line;
}

// --- the end
// ---------------------------------------------------------------------------------------------------

void VirtualMachine::stop(Ending ending) {
  if (powered_ == nullptr) return;
  end(ending, 0, {});
  for (const auto& vcpu : powered_->vcpus)
    vcpu->join();
  std::unique_ptr<Powered> gone;
  {
    const std::lock_guard lock(status_mutex_);
    last_exits_ = {};
    for (const auto& vcpu : powered_->vcpus) {
      const ExitCounts counts = vcpu->exits();
      std::transform(counts.begin(), counts.end(), last_exits_.begin(), last_exits_.begin(), std::plus<>());
    }
    gone = std::move(powered_);
  }
  gone.reset();
  ram_.discard();
}

void VirtualMachine::end(Ending ending, std::uint32_t exit_status, std::string failure) noexcept {
  const std::lock_guard lock(status_mutex_);
  if (ending_ == Ending::none) {
    ending_ = ending;
    exit_status_ = exit_status;
    failure_ = std::move(failure);
  }
  for (const auto& vcpu : powered_->vcpus)
    vcpu->request_stop();
  if (board_->wait) board_->wait->interrupt();
}

void VirtualMachine::vcpu_ended() noexcept {
  if (live_vcpus_.fetch_sub(1) != 1) return;
  // The last one switches the light off: from here on no device touches guest memory.
  board_->reset();
  Ending ending;
  VmStatus status;
  {
    const std::lock_guard lock(status_mutex_);
    ending = ending_;
    if (ending == Ending::crash) {
      status = {VmState::crashed, std::nullopt, failure_};
    } else if (ending == Ending::guest_exit) {
      status.exit_status = exit_status_;
    }
  }
  // A machine that is reset runs on, to the outside; one that is destroyed has nobody left to tell.
  if (ending == Ending::reset || ending == Ending::destroyed) return;
  if (ending == Ending::guest_reset && config_.on_guest_reset == OnGuestReset::restart) return request_restart();
  set_status(std::move(status));
}

// --- a reset by the guest: its vCPU threads cannot take themselves down, so another thread starts the machine anew
// -------------------------------------------------------------------------------------------------------------------

void VirtualMachine::request_restart() noexcept {
  try {
    const std::lock_guard lock(keeper_mutex_);
    if (keeper_stopping_) return;
    restart_wanted_ = true;
    if (!keeper_.joinable()) keeper_ = std::thread([this] { keep_running(); });
  } catch (const std::system_error& error) {
    set_status({VmState::crashed, std::nullopt, std::string("no thread to start the machine anew: ") + error.what()});
  }
  keeper_wake_.notify_all();
}

void VirtualMachine::keep_running() {
  for (;;) {
    {
      std::unique_lock lock(keeper_mutex_);
      keeper_wake_.wait(lock, [this] { return restart_wanted_ || keeper_stopping_; });
      if (keeper_stopping_) return;
      restart_wanted_ = false;
    }
    const std::lock_guard control(control_mutex_);
    try {
      finish_guest_reset();
    } catch (const std::exception& error) {
      set_status({VmState::crashed, std::nullopt, std::string("start after a reset by the guest: ") + error.what()});
    }
  }
}

bool VirtualMachine::finish_guest_reset() {
  {
    const std::lock_guard lock(status_mutex_);
    const bool wanted = powered_ != nullptr && ending_ == Ending::guest_reset &&
                        config_.on_guest_reset == OnGuestReset::restart;
    if (!wanted) return false;
  }
  stop(Ending::reset);
  guest_resets_.fetch_add(1, std::memory_order_relaxed);
  boot();
  return true;
}

void VirtualMachine::guest_shutdown() noexcept {
  end(Ending::guest_off, 0, {});
}
void VirtualMachine::guest_reset() noexcept {
  end(Ending::guest_reset, 0, {});
}
void VirtualMachine::vcpu_failed(std::string text) noexcept {
  end(Ending::crash, 0, std::move(text));
}

// --- accesses
// ----------------------------------------------------------------------------------------------------

bool VirtualMachine::port(std::uint16_t port, bool write, std::size_t size, std::span<std::byte> data,
                          const std::atomic<bool>& interrupted, ExitKind& kind) noexcept {
  const bool waits = board_->wait != nullptr && !write && port == kWaitPort + WaitDevice::kWaitOffset &&
                     data.size() == sizeof(std::uint32_t);
  if (waits) {
    kind = ExitKind::wait;
    const auto bits = board_->wait->wait([&] { return interrupted.load(std::memory_order_seq_cst); });
    if (!bits) return false;
    std::memcpy(data.data(), &*bits, sizeof *bits);
    return true;
  }
  const bool claimed =
      write ? board_->space.write_port(port, size, data) : board_->space.read_port(port, size, data);
  if (!claimed) unclaimed_accesses_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void VirtualMachine::memory_read(std::uint64_t address, std::span<std::byte> data) noexcept {
  if (!board_->space.read_memory(address, data)) unclaimed_accesses_.fetch_add(1, std::memory_order_relaxed);
}

void VirtualMachine::memory_write(std::uint64_t address, std::span<const std::byte> data) noexcept {
  if (!board_->space.write_memory(address, data)) unclaimed_accesses_.fetch_add(1, std::memory_order_relaxed);
}

// --- observation
// -------------------------------------------------------------------------------------------------

VmStatus VirtualMachine::status() const {
  const std::lock_guard lock(status_mutex_);
  return status_;
}

void VirtualMachine::set_status(VmStatus status) {
  {
    const std::lock_guard lock(status_mutex_);
    status_ = status;
  }
  if (config_.on_state_change) config_.on_state_change(status);
}

VmStatistics VirtualMachine::statistics() const {
  VmStatistics statistics;
  statistics.guest_resets = guest_resets_.load(std::memory_order_relaxed);
  statistics.unclaimed_accesses = unclaimed_accesses_.load(std::memory_order_relaxed);
  const std::lock_guard lock(status_mutex_);
  if (powered_ == nullptr) {
    statistics.exits = last_exits_;
    return statistics;
  }
  for (const auto& vcpu : powered_->vcpus) {
    const ExitCounts counts = vcpu->exits();
    std::transform(counts.begin(), counts.end(), statistics.exits.begin(), statistics.exits.begin(),
                   std::plus<>());
  }
  return statistics;
}

}  // namespace patchbay::vmm
