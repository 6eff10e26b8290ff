#include "vmm/platform/wait_device.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <x86intrin.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <system_error>

namespace patchbay::vmm {
namespace {

constexpr std::uint64_t kLongestSleepNs = 3600ULL * 1'000'000'000;  // then the deadline is looked at again

}  // namespace

WaitDevice::WaitDevice(const devices::GuestMemory& memory)
    : memory_(memory), wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_fd_) {
    throw std::system_error(
        errno, std::generic_category(),
        "cannot create an eventfd for the wait device; raise the limit of open files (ulimit -n)");
  }
  block_.store(&before_block_);
}

void WaitDevice::signal(Wake bit) noexcept {
  // Sequentially consistent on both sides: either this sees waiting_, or wait() sees the bit. Likewise either
  // this sees that the guest changed the control block, or write() carries the bit over.
  ControlBlock* block = block_.load(std::memory_order_seq_cst);
  for (;;) {
    std::atomic_ref(block->pending).fetch_or(static_cast<std::uint32_t>(bit), std::memory_order_seq_cst);
    ControlBlock* const now = block_.load(std::memory_order_seq_cst);
    if (now == block) break;
    block = now;
  }
  if (waiting_.load(std::memory_order_seq_cst)) interrupt();
}

void WaitDevice::interrupt() noexcept {
  ::eventfd_write(wake_fd_.get(), 1);
}

std::optional<std::uint32_t> WaitDevice::ready() const noexcept {
  ControlBlock& block = *block_.load(std::memory_order_acquire);
  const std::uint32_t bits = std::atomic_ref(block.pending).load(std::memory_order_seq_cst);
  if (bits != 0) return bits;
  const std::uint64_t deadline = std::atomic_ref(block.deadline_tsc).load(std::memory_order_relaxed);
  if (deadline != 0 && __rdtsc() >= deadline) return 0;
  return std::nullopt;
}

void WaitDevice::sleep() noexcept {
  timespec timeout{};
  timespec* limit = nullptr;
  const std::uint64_t deadline =
      std::atomic_ref(block_.load(std::memory_order_acquire)->deadline_tsc).load(std::memory_order_relaxed);
  if (deadline != 0) {
    const std::uint64_t now = __rdtsc();
    __extension__ using Wide = unsigned __int128;
    const Wide exact = deadline > now ? Wide{deadline - now} * 1'000'000 / tsc_khz_ + 1 : 0;
    const auto ns = exact > kLongestSleepNs ? kLongestSleepNs : static_cast<std::uint64_t>(exact);
    timeout.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
    timeout.tv_nsec = static_cast<long>(ns % 1'000'000'000);
    limit = &timeout;
  }
  pollfd poll{wake_fd_.get(), POLLIN, 0};
  if (::ppoll(&poll, 1, limit, nullptr) > 0) {
    eventfd_t count;
    ::eventfd_read(wake_fd_.get(), &count);
  }
}

void WaitDevice::reset() noexcept {
  before_block_ = {};
  block_.store(&before_block_, std::memory_order_release);
  eventfd_t count;
  ::eventfd_read(wake_fd_.get(), &count);
}

void WaitDevice::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  std::fill(data.begin(), data.end(), std::byte{0xFF});
  if (offset != kWaitOffset || data.size() != sizeof(std::uint32_t)) return;
  const std::uint32_t bits = ready().value_or(0);
  std::memcpy(data.data(), &bits, sizeof bits);
}

void WaitDevice::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  if (offset != kControlBlockOffset || data.size() != sizeof(std::uint32_t)) return;
  std::uint32_t address;
  std::memcpy(&address, data.data(), sizeof address);
  if (address % kControlBlockBytes != 0) return;
  std::byte* host = memory_.translate(address, kControlBlockBytes);
  if (host == nullptr) return;
  auto* const block = reinterpret_cast<ControlBlock*>(host);
  ControlBlock* const before = block_.exchange(block, std::memory_order_seq_cst);
  if (before == block) return;
  const std::uint32_t early = std::atomic_ref(before->pending).exchange(0, std::memory_order_seq_cst);
  std::atomic_ref(block->pending).fetch_or(early, std::memory_order_seq_cst);
}

}  // namespace patchbay::vmm
