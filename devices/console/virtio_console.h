// A virtio serial device (Virtio 1.2, 5.3) with named ports (VIRTIO_CONSOLE_F_MULTIPORT): byte streams
// between programs of the guest and this process that need no network and no address. Port i of the device is
// `ports[i]`.
//
//   queue 0, 1           receive and transmit of port 0         queue 2, 3   control receive and transmit
//   queue 2n+2, 2n+3     receive and transmit of port n > 0
//
// Threads: everything on the doorbell thread; the ports are the meeting point with the host's side.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "devices/console/serial_port.h"
#include "devices/virtio/served_device.h"

namespace patchbay::devices::console {

inline constexpr virtio::FeatureSet kFeatureMultiport = 1ULL << 1;  // VIRTIO_CONSOLE_F_MULTIPORT

class VirtioConsole final : public virtio::ServedDevice {
 public:
  static constexpr std::uint16_t kDeviceType = 3;
  static constexpr std::uint32_t kPciClass = 0x078000;  // simple communication controller, other
  static constexpr std::uint16_t kQueueSize = 64;
  static constexpr unsigned kControlReceive = 2;
  static constexpr unsigned kControlTransmit = 3;

  /// struct virtio_console_control (5.3.6.2)
  struct Control {
    std::uint32_t port;
    std::uint16_t event;
    std::uint16_t value;
  };
  static_assert(sizeof(Control) == 8);
  enum Event : std::uint16_t {
    kDeviceReady = 0,
    kPortAdd = 1,
    kPortRemove = 2,
    kPortReady = 3,
    kConsolePort = 4,
    kResize = 5,
    kPortOpen = 6,
    kPortName = 7,
  };

  /// Thread and ports outlive the device; at least one port. Throws std::system_error.
  VirtioConsole(std::vector<SerialPort*> ports, virtio::DoorbellThread& thread);
  ~VirtioConsole() override;

 private:
  void serve() noexcept override;
  void on_reset() noexcept override;
  [[nodiscard]] std::span<const std::byte> config_bytes() const noexcept override {
    return std::as_bytes(std::span(&config_, 1));
  }

  [[nodiscard]] static unsigned receive_queue(std::size_t port) noexcept {
    return static_cast<unsigned>(port == 0 ? 0 : 2 * port + 2);
  }
  void take_control() noexcept;
  void handle_control(const Control& message) noexcept;
  void send_control() noexcept;
  void queue_control(std::size_t port, Event event, std::uint16_t value) noexcept;
  void take_output(std::size_t port) noexcept;
  void give_input(std::size_t port) noexcept;

  /// struct virtio_console_config (5.3.4)
  struct Config {
    std::uint16_t columns = 0;
    std::uint16_t rows = 0;
    std::uint32_t max_ports = 0;
    std::uint32_t emergency_write = 0;
  };
  static_assert(sizeof(Config) == 12);

  std::vector<SerialPort*> ports_;
  Config config_;
  // Under the device's mutex:
  static constexpr std::size_t kMaxPending = 64;  // a driver that asks and never listens gets no more
  std::deque<Control> pending_control_;           // kPortName is sent with the port's name behind it
  std::vector<std::uint64_t> partly_taken_;  // by port: bytes of the next transmit chain that the host has
};

}  // namespace patchbay::devices::console
