#include "tests/integration/router/host_port.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace patchbay::tests {

HostPort::HostPort(std::string name)
    : Port(std::move(name)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

void HostPort::send(std::span<const Frame> frames) {
  {
    const std::lock_guard lock(mutex_);
    to_send_.insert(to_send_.end(), frames.begin(), frames.end());
  }
  static_cast<void>(::eventfd_write(wake_.get(), 1));
}

std::vector<Frame> HostPort::receive(std::size_t count, std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, limit, [&] { return received_.size() >= count; });
  return std::exchange(received_, {});
}

void HostPort::set_busy(bool busy) {
  const std::lock_guard lock(mutex_);
  busy_ = busy;
}

void HostPort::pull(vswitch::Burst& burst) {
  const std::lock_guard lock(mutex_);
  for (const Frame& frame : to_send_) {  // a deque's elements stay where they are while others are appended
    if (!burst.has_room()) break;
    const auto bytes = std::as_bytes(std::span(frame));
    const std::size_t head = std::min(bytes.size(), vswitch::kHeaderBytes);
    vswitch::FrameView& view = burst.next();
    view.length = static_cast<std::uint32_t>(bytes.size());
    view.offload = {};
    std::copy_n(bytes.begin(), head, view.header.begin());
    if (head < bytes.size()) burst.next_pieces()[0] = bytes.subspan(head);
    burst.commit(head < bytes.size() ? 1 : 0);
  }
}

void HostPort::release(std::size_t consumed) {
  const std::lock_guard lock(mutex_);
  to_send_.erase(to_send_.begin(), to_send_.begin() + static_cast<std::ptrdiff_t>(consumed));
}

std::size_t HostPort::push(std::span<const vswitch::FrameView* const> frames) {
  {
    const std::lock_guard lock(mutex_);
    if (busy_) return 0;
    for (const vswitch::FrameView* view : frames) {
      Frame frame;
      frame.reserve(view->length);
      const auto append = [&frame](std::span<const std::byte> bytes) {
        for (const std::byte byte : bytes)
          frame.push_back(static_cast<std::uint8_t>(byte));
      };
      append(view->header_bytes());
      for (const vswitch::Piece& piece : view->tail)
        append(piece);
      counters.out.delivered.add();
      counters.out.bytes.add(frame.size());
      received_.push_back(std::move(frame));
    }
  }
  arrived_.notify_all();
  return frames.size();
}

bool HostPort::arm() {
  const std::lock_guard lock(mutex_);
  return !to_send_.empty();
}

void HostPort::disarm() {
  eventfd_t ignored = 0;
  static_cast<void>(::eventfd_read(wake_.get(), &ignored));
}

}  // namespace patchbay::tests
