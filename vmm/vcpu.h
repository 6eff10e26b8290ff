// One virtual processor and its thread: runs the guest, hands exits to the machine, and can always be stopped
// or paused, also out of an endless loop in the guest or a wait in the machine.
//
// How it is stopped: the thread blocks every signal, except that the kick signal is let in while it is inside
// KVM_RUN. A kick therefore ends a KVM_RUN that runs and makes the next one return at once; none gets lost
// between two.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>

#include "vmm/kvm.h"

namespace patchbay::vmm {

/// Why the guest left guest mode, as counted.
enum class ExitKind : unsigned { port_read, port_write, memory_read, memory_write, wait, interrupted, other };
inline constexpr std::size_t kExitKinds = 7;
using ExitCounts = std::array<std::uint64_t, kExitKinds>;

/// What the machine does for its vCPUs; called on their threads.
class VcpuOwner {
 public:
  virtual ~VcpuOwner() = default;
  /// Port access; `data` holds elements of `size` bytes. False if the access has to be repeated after
  /// `interrupted` (a wait that was broken off); `kind` may be changed to count it elsewhere.
  virtual bool port(std::uint16_t port, bool write, std::size_t size, std::span<std::byte> data,
                    const std::atomic<bool>& interrupted, ExitKind& kind) noexcept = 0;
  virtual void memory_read(std::uint64_t address, std::span<std::byte> data) noexcept = 0;
  virtual void memory_write(std::uint64_t address, std::span<const std::byte> data) noexcept = 0;
  /// The guest asked to be switched off by a means of the processor (KVM_EXIT_SYSTEM_EVENT).
  virtual void guest_shutdown() noexcept = 0;
  /// The same for a reset.
  virtual void guest_reset() noexcept = 0;
  /// The vCPU cannot go on; `text` says why and holds its registers.
  virtual void vcpu_failed(std::string text) noexcept = 0;
  /// The vCPU's thread is about to end, for whatever reason.
  virtual void vcpu_ended() noexcept = 0;
};

class Vcpu {
 public:
  Vcpu(KvmVcpu kvm, unsigned id, VcpuOwner& owner) : kvm_(std::move(kvm)), id_(id), owner_(owner) {}
  ~Vcpu();  // stops and joins
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;

  /// For setting registers before start().
  [[nodiscard]] KvmVcpu& kvm() noexcept { return kvm_; }
  /// Starts the thread; `name` shows in ps and gdb.
  void start(const std::string& name);

  /// Any thread. request_* return at once; wait_until_paused() returns when the guest executes nothing any
  /// more (also when the vCPU ended instead).
  void request_stop() noexcept;
  void request_pause() noexcept;
  void resume() noexcept;
  void wait_until_paused();
  /// Waits for the thread's end. Not from the vCPU's own thread.
  void join();

  /// Any thread; monotonic.
  [[nodiscard]] ExitCounts exits() const noexcept;
  /// True while a request waits to be seen; blocking device calls poll it.
  [[nodiscard]] const std::atomic<bool>& interrupted() const noexcept { return interrupted_; }

 private:
  enum class Request { run, pause, stop };

  void thread_main() noexcept;
  void request(Request request) noexcept;
  /// Blocks while paused; false if the vCPU is to stop.
  [[nodiscard]] bool may_run();
  /// Deals with the exit in the shared page; false if it has to be repeated after may_run().
  [[nodiscard]] bool handle_exit();
  [[nodiscard]] bool handle_io();
  void fail(const std::string& reason);
  void count(ExitKind kind) noexcept;

  KvmVcpu kvm_;
  unsigned id_;
  VcpuOwner& owner_;
  std::thread thread_;
  std::atomic<bool> interrupted_{false};
  std::array<std::atomic<std::uint64_t>, kExitKinds> exits_{};

  std::mutex mutex_;
  std::condition_variable changed_;
  Request request_ = Request::run;
  bool running_ = false;  // the thread exists and has not ended
  bool paused_ = false;
};

}  // namespace patchbay::vmm
