#include "devices/console/virtio_console.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace patchbay::devices::console {

VirtioConsole::VirtioConsole(std::vector<SerialPort*> ports, virtio::DoorbellThread& thread)
    : ServedDevice(kDeviceType,
                   virtio::kFeatureVersion1 | virtio::kFeatureEventIndex |
                       virtio::kFeatureIndirectDescriptors | kFeatureMultiport,
                   static_cast<unsigned>(2 * ports.size() + 2), kQueueSize, thread),
      ports_(std::move(ports)),
      partly_taken_(ports_.size()) {
  config_.max_ports = static_cast<std::uint32_t>(ports_.size());
  for (SerialPort* port : ports_)
    port->wake_device_ = [this] { wake(); };
  start_serving();
}

VirtioConsole::~VirtioConsole() {
  stop_serving();
  for (SerialPort* port : ports_)
    port->wake_device_ = nullptr;
}

void VirtioConsole::serve() noexcept {
  take_control();
  send_control();
  for (std::size_t port = 0; port < ports_.size(); ++port) {
    take_output(port);
    give_input(port);
  }
}

void VirtioConsole::take_control() noexcept {
  if (!ring(kControlTransmit).enabled()) return;
  each_chain(kControlTransmit, [this](const virtio::Chain& chain) {
    if (chain.readable_bytes >= sizeof(Control)) {
      std::array<std::byte, sizeof(Control)> bytes;
      std::size_t copied = 0;
      for (const virtio::Segment& segment : segments().segments().first(chain.readable)) {
        const std::size_t portion = std::min<std::size_t>(segment.length, bytes.size() - copied);
        std::memcpy(bytes.data() + copied, segment.data, portion);
        copied += portion;
      }
      Control message;
      std::memcpy(&message, bytes.data(), sizeof message);
      handle_control(message);
    }
    ring(kControlTransmit).complete(chain.id, 0);
    return true;
  });
}

void VirtioConsole::handle_control(const Control& message) noexcept {
  if (message.event == kDeviceReady) {
    // 5.3.6.2: the driver is ready; now the ports may be added.
    if (message.value != 1) return;
    for (std::size_t port = 0; port < ports_.size(); ++port)
      queue_control(port, kPortAdd, 1);
    return;
  }
  if (message.port >= ports_.size()) return;
  switch (message.event) {
    case kPortReady:
      if (message.value != 1) return;
      queue_control(message.port, kPortName, 1);
      queue_control(message.port, kPortOpen, 1);  // our end always is
      return;
    case kPortOpen:
      partly_taken_[message.port] = 0;
      ports_[message.port]->set_guest_open(message.value != 0);
      return;
    default:
      return;
  }
}

void VirtioConsole::queue_control(std::size_t port, Event event, std::uint16_t value) noexcept {
  if (pending_control_.size() >= kMaxPending) return;
  pending_control_.push_back({static_cast<std::uint32_t>(port), event, value});
}

void VirtioConsole::send_control() noexcept {
  if (pending_control_.empty() || !ring(kControlReceive).enabled()) return;
  each_chain(kControlReceive, [this](const virtio::Chain& chain) {
    if (pending_control_.empty()) return false;
    const Control message = pending_control_.front();
    pending_control_.pop_front();
    std::array<std::byte, sizeof(Control) + 64> bytes;
    std::memcpy(bytes.data(), &message, sizeof message);
    std::size_t length = sizeof message;
    if (message.event == kPortName) {
      const std::string& name = ports_[message.port]->name();
      const std::size_t portion = std::min<std::size_t>(name.size(), 64);
      std::memcpy(bytes.data() + length, name.data(), portion);
      length += portion;
    }
    std::size_t written = 0;
    for (const virtio::Segment& segment : segments().segments().subspan(chain.readable)) {
      const std::size_t portion = std::min<std::size_t>(segment.length, length - written);
      std::memcpy(segment.data, bytes.data() + written, portion);
      written += portion;
    }
    ring(kControlReceive).complete(chain.id, static_cast<std::uint32_t>(written));
    return true;
  });
}

void VirtioConsole::take_output(std::size_t port) noexcept {
  const unsigned queue = receive_queue(port) + 1;
  if (!ring(queue).enabled()) return;
  each_chain(queue, [this, port, queue](const virtio::Chain& chain) {
    SerialPort& to = *ports_[port];
    std::uint64_t skip = partly_taken_[port];
    std::uint64_t taken = skip;
    for (const virtio::Segment& segment : segments().segments().first(chain.readable)) {
      if (skip >= segment.length) {
        skip -= segment.length;
        continue;
      }
      const auto left = static_cast<std::size_t>(segment.length - skip);
      const std::size_t portion = std::min(left, to.room_from_guest());
      if (portion != 0) to.from_guest({segment.data + skip, portion});
      taken += portion;
      skip = 0;
      if (portion < left) {
        partly_taken_[port] = taken;  // the host's side calls wake() once it has read
        return false;
      }
    }
    partly_taken_[port] = 0;
    ring(queue).complete(chain.id, 0);
    return true;
  });
}

void VirtioConsole::give_input(std::size_t port) noexcept {
  const unsigned queue = receive_queue(port);
  if (!ring(queue).enabled()) return;
  each_chain(queue, [this, port, queue](const virtio::Chain& chain) {
    std::uint32_t written = 0;
    for (const virtio::Segment& segment : segments().segments().subspan(chain.readable)) {
      const std::size_t count = ports_[port]->to_guest({segment.data, segment.length});
      written += static_cast<std::uint32_t>(count);
      if (count < segment.length) break;
    }
    if (written == 0) return false;  // the buffer waits for the next write
    ring(queue).complete(chain.id, written);
    return true;
  });
}

void VirtioConsole::on_reset() noexcept {
  ServedDevice::on_reset();
  pending_control_.clear();
  std::fill(partly_taken_.begin(), partly_taken_.end(), 0);
  for (SerialPort* port : ports_)
    port->set_guest_open(false);
}

}  // namespace patchbay::devices::console
