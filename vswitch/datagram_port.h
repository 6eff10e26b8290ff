// A port whose other side is a program that exchanges frames over a pair of connected Unix datagram sockets, one frame
// a datagram and nothing else in it: QEMU's netdev `dgram` (type=fd), or anything that can read and write a socket.
//
// The peer may come, go and be replaced at any time; while there is none, frames for it are dropped as not_ready. It
// sees complete frames only, and is free to send anything: empty datagrams and those longer than a frame are dropped
// and counted. A peer that does not read fills its socket's buffer, and then its segment decides who waits.
//
// Threads: as Port says; connect() and disconnect() from one other thread. Both sides meet on a mutex, once per burst.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <mutex>
#include <span>
#include <string>

#include "vswitch/anonymous_memory.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/port.h"

namespace patchbay::vswitch {

class DatagramPort final : public Port {
 public:
  /// Without a peer yet. Throws std::system_error with the cause and the way out.
  explicit DatagramPort(std::string name);

  /// A fresh pair of sockets: ours is used from now on, the other is the peer's (close-on-exec, blocking). A former
  /// peer is cut off, and what it sent and nobody has pulled yet is lost. Throws std::system_error.
  [[nodiscard]] FileDescriptor connect();
  void disconnect() noexcept;

  void pull(Burst& burst) override;
  void release(std::size_t consumed) override;
  [[nodiscard]] std::size_t push(std::span<const FrameView* const> frames) override;
  [[nodiscard]] int wake_fd() const noexcept override { return epoll_.get(); }
  /// Nothing can be missed: the descriptor is readable as long as frames wait.
  [[nodiscard]] bool arm() override { return held_ != 0; }
  void disarm() override {}
  /// A socket has no carrier: whoever runs the peer tells it.
  void set_link(bool /*up*/) override {}

 private:
  // As in TapPort: an odd number of cache lines, so that the starts of the slots spread over the cache.
  static constexpr std::size_t kSlotBytes = 1025 * std::size_t{64};
  static_assert(kSlotBytes > kMaxFrameBytes);

  struct Slot {
    std::byte* bytes;
    std::size_t length;
  };
  static void show(const Slot& slot, Burst& burst) noexcept;
  /// Reads datagrams into the free slots; returns how many there were, long and empty ones included.
  [[nodiscard]] std::size_t receive(std::size_t wanted) noexcept;
  /// Describes frames from the front to the kernel; returns how many, at least one.
  [[nodiscard]] unsigned gather(std::span<const FrameView* const> frames) noexcept;

  FileDescriptor epoll_;  // holds socket_, which is not the same for ever
  std::mutex mutex_;      // the next
  FileDescriptor socket_;

  // Of the worker:
  AnonymousMemory buffers_;  // kBurstFrames slots
  std::array<Slot, kBurstFrames> slots_{};
  std::size_t held_ = 0;  // frames that the switch has not consumed, in slots_[0, held_)
  std::array<mmsghdr, kBurstFrames> messages_{};
  std::array<iovec, 16 * kMaxPieces> parts_{};  // as many pieces as a burst has
};

}  // namespace patchbay::vswitch
