#include "devices/vhost_user/fault_guard.h"

#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <stdexcept>
#include <system_error>

namespace patchbay::devices::vhost_user {
namespace {

constexpr std::size_t kSlots = 4096;
std::array<FaultGuard::Slot, kSlots> slots;
std::mutex registration;  // of slots; the handler only reads them
struct sigaction previous;

/// Async-signal-safe: atomics and one system call.
bool replace(const void* address) noexcept {
  const auto* const at = static_cast<const std::byte*>(address);
  for (FaultGuard::Slot& slot : slots) {
    std::byte* const start = slot.start.load(std::memory_order_acquire);
    const std::size_t bytes = slot.bytes.load(std::memory_order_relaxed);
    if (start == nullptr || at < start || at >= start + bytes) continue;
    slot.lost.store(true, std::memory_order_release);
    // The whole mapping: parts of one with huge pages could not be replaced.
    return ::mmap(start, bytes, PROT_READ | PROT_WRITE,
                  MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
  }
  return false;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const bool handled = replace(info->si_addr);
  errno = error;
  if (handled) return;
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    ::signal(SIGBUS, SIG_DFL);  // the access is repeated and kills the process, with a core as usual
  }
}

void install_handler() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (::sigaction(SIGBUS, &action, &previous) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot handle SIGBUS");
  }
}

}  // namespace

FaultGuard::FaultGuard(std::span<std::byte> mapping) : slot_(nullptr) {
  static std::once_flag installed;
  std::call_once(installed, install_handler);
  const std::lock_guard lock(registration);
  for (Slot& slot : slots) {
    if (slot.start.load(std::memory_order_relaxed) != nullptr) continue;
    slot.lost.store(false, std::memory_order_relaxed);
    slot.bytes.store(mapping.size(), std::memory_order_relaxed);
    slot.start.store(mapping.data(), std::memory_order_release);
    slot_ = &slot;
    return;
  }
  throw std::runtime_error("more than 4096 memory regions of external peers");
}

FaultGuard::~FaultGuard() {
  slot_->start.store(nullptr, std::memory_order_release);
}

bool FaultGuard::lost() const noexcept {
  return slot_->lost.load(std::memory_order_acquire);
}

}  // namespace patchbay::devices::vhost_user
