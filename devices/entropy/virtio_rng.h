// A virtio entropy device (Virtio 1.2, 5.4): fills the driver's buffers from the host's generator. Without it
// a guest that has just booted may wait long for its first key.
#pragma once

#include <cstdint>

#include "devices/virtio/served_device.h"

namespace patchbay::devices::entropy {

class VirtioRng final : public virtio::ServedDevice {
 public:
  static constexpr std::uint16_t kDeviceType = 4;
  static constexpr std::uint32_t kPciClass = 0xFF0000;  // none fits
  static constexpr std::uint16_t kQueueSize = 64;
  /// Most bytes a request is given; drivers ask again (5.4.6.2: "one or more").
  static constexpr std::uint32_t kMaxBytes = 4096;

  /// The thread outlives the device. Throws std::system_error.
  explicit VirtioRng(virtio::DoorbellThread& thread);
  ~VirtioRng() override { stop_serving(); }

 private:
  void serve() noexcept override;
  [[nodiscard]] std::span<const std::byte> config_bytes() const noexcept override { return {}; }
};

}  // namespace patchbay::devices::entropy
