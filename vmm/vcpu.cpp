#include "vmm/vcpu.h"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace patchbay::vmm {
namespace {

constexpr std::uint64_t kResetVector = 0xFFF0;  // RIP after a processor reset

int kick_signal() {
  return SIGRTMIN + 1;
}

/// All signals but those that report a fault of this very thread.
sigset_t blockable_signals() {
  sigset_t set;
  sigfillset(&set);
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT})
    sigdelset(&set, fault);
  return set;
}

void swallow_kicks() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kick_signal());
  const timespec no_wait{};
  while (sigtimedwait(&set, nullptr, &no_wait) > 0) {
  }
}

std::string hexadecimal(std::uint64_t value) {
  std::array<char, 20> text;
  std::snprintf(text.data(), text.size(), "0x%" PRIx64, value);
  return text.data();
}

}  // namespace

Vcpu::~Vcpu() {
  request_stop();
  join();
}

void Vcpu::start(const std::string& name) {
  const std::lock_guard lock(mutex_);
  // The thread inherits the mask: there is no moment at which it could take somebody else's signal.
  const sigset_t blocked = blockable_signals();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  try {
    running_ = true;
    thread_ = std::thread([this] { thread_main(); });
  } catch (...) {
    running_ = false;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

void Vcpu::request(Request request) noexcept {
  const std::lock_guard lock(mutex_);
  if (request_ == Request::stop) return;
  request_ = request;
  interrupted_.store(request != Request::run, std::memory_order_seq_cst);
  // Under the lock the thread cannot end between the question and the signal.
  if (running_ && request != Request::run) pthread_kill(thread_.native_handle(), kick_signal());
  changed_.notify_all();
}

void Vcpu::request_stop() noexcept {
  request(Request::stop);
}
void Vcpu::request_pause() noexcept {
  request(Request::pause);
}
void Vcpu::resume() noexcept {
  request(Request::run);
}

void Vcpu::wait_until_paused() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return paused_ || !running_; });
}

void Vcpu::join() {
  if (thread_.joinable()) thread_.join();
}

bool Vcpu::may_run() {
  std::unique_lock lock(mutex_);
  if (request_ == Request::pause) {
    paused_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return request_ != Request::pause; });
    paused_ = false;
  }
  return request_ == Request::run;
}

void Vcpu::thread_main() noexcept {
  try {
    // A kernel signal set: everything blocked in KVM_RUN but the kick (and faults, which cannot be).
    kvm_.set_signal_mask(~(std::uint64_t{1} << (kick_signal() - 1)));
    bool exit_done = true;
    for (;;) {
      if (interrupted_.load(std::memory_order_seq_cst) && !may_run()) break;
      if (exit_done) {
        const int error = kvm_.run();
        if (error == EINTR || error == EAGAIN) {
          count(ExitKind::interrupted);
          swallow_kicks();
          continue;
        }
        if (error != 0) {
          fail(error == EFAULT ? "the guest used memory that the host could not provide"
                               : std::string("KVM_RUN: ") + std::strerror(error));
          continue;
        }
      }
      exit_done = handle_exit();
    }
  } catch (const std::exception& error) {
    owner_.vcpu_failed(error.what());
  }
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    changed_.notify_all();
  }
  owner_.vcpu_ended();
}

bool Vcpu::handle_exit() {
  kvm_run& run = kvm_.shared();
  switch (run.exit_reason) {
    case KVM_EXIT_IO:
      return handle_io();
    case KVM_EXIT_MMIO: {
      const auto bytes =
          std::as_writable_bytes(std::span(run.mmio.data)).first(std::min<std::size_t>(run.mmio.len, 8));
      if (run.mmio.is_write != 0) {
        count(ExitKind::memory_write);
        owner_.memory_write(run.mmio.phys_addr, bytes);
      } else {
        count(ExitKind::memory_read);
        owner_.memory_read(run.mmio.phys_addr, bytes);
      }
      return true;
    }
    case KVM_EXIT_INTR:
      count(ExitKind::interrupted);
      return true;
    case KVM_EXIT_HLT:
      count(ExitKind::other);
      fail("the guest halted on a machine without interrupt controller: nothing can ever wake it");
      return true;
    case KVM_EXIT_SHUTDOWN:
      count(ExitKind::other);
      fail("triple fault: the guest took an exception that it could not handle");
      return true;
    case KVM_EXIT_SYSTEM_EVENT:
      count(ExitKind::other);
      if (run.system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN) {
        owner_.guest_shutdown();
      } else if (run.system_event.type == KVM_SYSTEM_EVENT_RESET) {
        owner_.guest_reset();
      } else {
        fail("the guest reported a crash (system event " +
             std::to_string(run.system_event.type) + ")");
      }
      return true;
    case KVM_EXIT_FAIL_ENTRY:
      count(ExitKind::other);
      fail("the processor refused to enter the guest, hardware reason " +
           hexadecimal(run.fail_entry.hardware_entry_failure_reason));
      return true;
    case KVM_EXIT_INTERNAL_ERROR:
      count(ExitKind::other);
      fail("KVM could not emulate the guest, suberror " + std::to_string(run.internal.suberror));
      return true;
    default:
      count(ExitKind::other);
      fail("KVM exit reason " + std::to_string(run.exit_reason) + " that this machine does not know");
      return true;
  }
}

bool Vcpu::handle_io() {
  kvm_run& run = kvm_.shared();
  const bool write = run.io.direction == KVM_EXIT_IO_OUT;
  auto* const data = reinterpret_cast<std::byte*>(&run) + run.io.data_offset;
  const std::size_t bytes = std::size_t{run.io.size} * run.io.count;
  ExitKind kind = write ? ExitKind::port_write : ExitKind::port_read;
  const bool done = owner_.port(run.io.port, write, run.io.size, std::span(data, bytes), interrupted_, kind);
  if (done) count(kind);
  return done;
}

void Vcpu::fail(const std::string& reason) {
  std::string text = "vCPU " + std::to_string(id_) + ": " + reason;
  const kvm_regs r = kvm_.regs();
  const kvm_sregs s = kvm_.sregs();
  if (r.rip == kResetVector) {
    // SVM leaves no state behind after a shutdown, and KVM resets the processor before it reports one.
    return owner_.vcpu_failed(text + "; its registers are lost, the processor was reset");
  }
  const struct {
    const char* name;
    std::uint64_t value;
  } registers[] = {
      {"rip", r.rip}, {"rflags", r.rflags}, {"rax", r.rax}, {"rbx", r.rbx},        {"rcx", r.rcx},
      {"rdx", r.rdx}, {"rsi", r.rsi},       {"rdi", r.rdi}, {"rbp", r.rbp},        {"rsp", r.rsp},
      {"r8", r.r8},   {"r9", r.r9},         {"r10", r.r10}, {"r11", r.r11},        {"r12", r.r12},
      {"r13", r.r13}, {"r14", r.r14},       {"r15", r.r15}, {"cs", s.cs.selector}, {"ss", s.ss.selector},
      {"cr0", s.cr0}, {"cr2", s.cr2},       {"cr3", s.cr3}, {"cr4", s.cr4},        {"efer", s.efer}};
  for (const auto& [name, value] : registers)
    text += std::string(" ") + name + "=" + hexadecimal(value);
  owner_.vcpu_failed(std::move(text));
}

void Vcpu::count(ExitKind kind) noexcept {
  exits_[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
}

ExitCounts Vcpu::exits() const noexcept {
  ExitCounts counts{};
  for (std::size_t i = 0; i < kExitKinds; ++i)
    counts[i] = exits_[i].load(std::memory_order_relaxed);
  return counts;
}

}  // namespace patchbay::vmm
