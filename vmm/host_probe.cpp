#include "vmm/host_probe.h"

#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <exception>
#include <mutex>

#include "vmm/guest_ram.h"
#include "vmm/kvm.h"
#include "vmm/memory_map.h"
#include "vmm/pvh.h"
#include "vmm/vcpu.h"

namespace patchbay::vmm {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::uint32_t kIterations = 100'000;
constexpr double kInstructions = 2.0 * kIterations;
constexpr auto kTimeLimit = 100ms;
/// Emulated supervisor mode reaches some two million instructions a second; the slowest real one, under an
/// emulated host, a hundred million.
constexpr double kFullRate = 15e6;

constexpr std::uint16_t kDonePort = 0x10;
constexpr std::uint8_t kLoop[] = {
    0xE6,
    kDonePort,  // out 0x10, al
    0xB9,      kIterations & 0xFF, kIterations >> 8 & 0xFF, kIterations >> 16,
    0,     // mov ecx, iterations
    0x49,  // again: dec ecx
    0x75,
    0xFD,  // jnz again
    0xE6,
    kDonePort,  // out 0x10, al
    0xEB,
    0xFE,  // jmp $
};

/// Takes the times of the loop's two port writes.
class Stopwatch final : public VcpuOwner {
 public:
  bool port(std::uint16_t port, bool write, std::size_t, std::span<std::byte>, const std::atomic<bool>&,
            ExitKind&) noexcept override {
    if (port != kDonePort || !write) return true;
    const std::lock_guard lock(mutex_);
    (started_ ? finish_ : start_) = Clock::now();
    (started_ ? finished_ : started_) = true;
    changed_.notify_all();
    return true;
  }
  void memory_read(std::uint64_t, std::span<std::byte>) noexcept override {}
  void memory_write(std::uint64_t, std::span<const std::byte>) noexcept override {}
  void guest_shutdown() noexcept override {}
  void guest_reset() noexcept override {}
  void vcpu_failed(std::string text) noexcept override {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(text);
    changed_.notify_all();
  }
  void vcpu_ended() noexcept override {}

  /// Time of the loop, or kTimeLimit if it did not end. Throws std::runtime_error if the guest could not run
  /// at all.
  std::chrono::nanoseconds wait() {
    std::unique_lock lock(mutex_);
    const bool begun = changed_.wait_for(lock, 2s, [this] { return started_ || !failure_.empty(); });
    if (begun) {
      changed_.wait_until(lock, start_ + kTimeLimit, [this] { return finished_ || !failure_.empty(); });
    }
    if (!failure_.empty()) throw std::runtime_error("KVM cannot run a guest: " + failure_);
    if (!begun)
      throw std::runtime_error("KVM did not run the first instruction of a guest within two seconds");
    return finished_ ? finish_ - start_ : std::chrono::nanoseconds(kTimeLimit);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false;
  bool finished_ = false;
  Clock::time_point start_;
  Clock::time_point finish_;
  std::string failure_;
};

void measure(const std::string& path, HostProbe& probe) {
  const auto begin = Clock::now();
  const KvmSystem system(path);
  GuestRam ram(2 * kMiB, HugePages::never);
  std::memcpy(ram.view().translate(kHighMemoryStart, sizeof kLoop), kLoop, sizeof kLoop);
  KvmVm vm = system.create_vm();
  vm.set_reserved_pages(kIdentityMapPage, kTssPages);
  vm.set_memory(kSlotLowRam, 0, 0, ram.view().regions().front().host);
  Stopwatch stopwatch;
  Vcpu vcpu(vm.create_vcpu(0), 0, stopwatch);
  vcpu.kvm().set_cpuid(system.supported_cpuid());
  set_pvh_state(vcpu.kvm(), {kHighMemoryStart, 0});
  probe.creation_time = Clock::now() - begin;

  vcpu.start("vcpu:probe");
  const std::chrono::nanoseconds time = stopwatch.wait();
  vcpu.request_stop();
  vcpu.join();
  probe.hit_time_limit = time >= kTimeLimit;
  const double rate = kInstructions / std::chrono::duration<double>(time).count();
  probe.supervisor_instructions_per_second = rate;
  probe.kind = rate >= kFullRate && !probe.hit_time_limit ? HostKind::full : HostKind::user_mode_only;
}

}  // namespace

const char* to_string(HostKind kind) noexcept {
  switch (kind) {
    case HostKind::none:
      return "none";
    case HostKind::user_mode_only:
      return "user-mode-only";
    case HostKind::full:
      return "full";
  }
  return "unknown";
}

HostProbe probe_host(const std::string& kvm_path) noexcept {
  HostProbe best;
  try {
    // A busy host can slow a good one down, so a bad result gets a second chance.
    for (int attempt = 0; attempt < 2 && best.kind != HostKind::full; ++attempt) {
      HostProbe probe;
      measure(kvm_path, probe);
      if (attempt == 0 || probe.kind == HostKind::full) best = probe;
    }
  } catch (const std::exception& error) {
    best = {};
    best.problem = error.what();
  }
  return best;
}

}  // namespace patchbay::vmm
