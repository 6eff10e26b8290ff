#include "devices/console/serial_port.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace patchbay::devices::console {

SerialPort::SerialPort(std::string name)
    : name_(std::move(name)), event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!event_) {
    throw std::system_error(
        errno, std::generic_category(),
        "cannot create an eventfd for a serial port; raise the limit of open files (ulimit -n)");
  }
}

bool SerialPort::guest_open() const {
  const std::lock_guard lock(mutex_);
  return guest_open_;
}

std::uint64_t SerialPort::openings() const {
  const std::lock_guard lock(mutex_);
  return openings_;
}

std::size_t SerialPort::read(std::span<std::byte> data) {
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = from_guest_.pop(data);
  }
  if (count != 0 && wake_device_) wake_device_();  // there is room again
  return count;
}

std::size_t SerialPort::write(std::span<const std::byte> data) {
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    if (guest_open_) count = to_guest_.push(data);
  }
  if (count != 0 && wake_device_) wake_device_();
  return count;
}

void SerialPort::set_guest_open(bool open) {
  {
    const std::lock_guard lock(mutex_);
    if (guest_open_ == open) return;
    guest_open_ = open;
    // Each stream begins empty, and what nobody will read is not kept.
    to_guest_.clear();
    if (open) {
      from_guest_.clear();
      ++openings_;
    }
  }
  notify_host();
}

std::size_t SerialPort::room_from_guest() const {
  const std::lock_guard lock(mutex_);
  return from_guest_.room();
}

void SerialPort::from_guest(std::span<const std::byte> data) {
  {
    const std::lock_guard lock(mutex_);
    from_guest_.push(data);
  }
  notify_host();
}

std::size_t SerialPort::to_guest(std::span<std::byte> data) {
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = to_guest_.pop(data);
  }
  if (count != 0) notify_host();
  return count;
}

void SerialPort::notify_host() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(event_.get(), &one, sizeof one));
}

}  // namespace patchbay::devices::console
