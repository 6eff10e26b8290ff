// The host's end of one port of a virtio serial device: a byte stream in each direction and whether each end
// is open. Both directions are bounded; a side that does not read stops the other and costs no memory.
//
// Threads: the host calls from any one thread at a time; the device from the doorbell thread. event_fd()
// wakes the host when there is something to read, room to write again, or the guest's end was opened or
// closed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>

#include "devices/bus.h"
#include "devices/console/byte_fifo.h"

namespace patchbay::devices::console {

class SerialPort {
 public:
  static constexpr std::size_t kBufferBytes = 64 * 1024;  // in each direction

  /// `name` is what the guest finds in /sys/class/virtio-ports/*/name. Throws std::system_error.
  explicit SerialPort(std::string name);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  // --- host's side
  /// An eventfd: read it, then look at all below.
  [[nodiscard]] int event_fd() const noexcept { return event_.get(); }
  /// A program in the guest has the port open.
  [[nodiscard]] bool guest_open() const;
  /// Counts the times it was opened: a change means that a new program is there, and nothing of the old
  /// stream is left in either direction.
  [[nodiscard]] std::uint64_t openings() const;
  std::size_t read(std::span<std::byte> data);
  /// Returns how many bytes were taken; 0 while the guest's end is closed.
  std::size_t write(std::span<const std::byte> data);

 private:
  friend class VirtioConsole;

  // --- device's side
  void set_guest_open(bool open);
  [[nodiscard]] std::size_t room_from_guest() const;
  void from_guest(std::span<const std::byte> data);
  std::size_t to_guest(std::span<std::byte> data);
  void notify_host() noexcept;

  const std::string name_;
  FileDescriptor event_;
  /// Asks the device to look again; set while it is attached.
  std::function<void()> wake_device_;
  mutable std::mutex mutex_;  // the rest
  ByteFifo from_guest_{kBufferBytes};
  ByteFifo to_guest_{kBufferBytes};
  bool guest_open_ = false;
  std::uint64_t openings_ = 0;
};

}  // namespace patchbay::devices::console
