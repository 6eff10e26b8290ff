// A hostile guest for devices that a DoorbellThread serves: arbitrary bytes where rings and buffers are, and
// a driver that brings the device up properly, so that the bytes are looked at.
#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "devices/virtio/device.h"
#include "devices/virtio/features.h"
#include "devices/virtio/split_layout.h"
#include "devices/virtio/status.h"
#include "tests/fuzz/devices/fuzz_input.h"

namespace patchbay::devices::fuzz {

class ServedGuest final : public virtio::Transport {
 public:
  static constexpr std::uint64_t kBase = 0x10'0000;
  static constexpr std::size_t kBytes = 0x8000;
  static constexpr std::uint16_t kRingSize = 16;
  static constexpr std::uint64_t kRingStride = 0x400;  // queue q: descriptors, then avail and used
  static constexpr std::uint64_t kAvail = 0x100;
  static constexpr std::uint64_t kUsed = 0x200;

  explicit ServedGuest(virtio::Device& device) : device_(device) { device_.connect(*this); }
  ~ServedGuest() override { device_.disconnect(); }

  void bring_up(Input& input) {
    using namespace virtio;
    device_.write_status(0);
    const unsigned queues = device_.queue_count();
    std::fill_n(ram_.begin(), queues * kRingStride, std::byte{0});
    device_.write_status(kAcknowledge | kDriver);
    const FeatureSet features =
        device_.offered_features() & ~FeatureSet{input.take<std::uint32_t>() & 0xF0FF'0000U};
    device_.write_driver_features(0, static_cast<std::uint32_t>(features));
    device_.write_driver_features(1, static_cast<std::uint32_t>(features >> 32));
    device_.write_status(kAcknowledge | kDriver | kFeaturesOk);
    for (unsigned queue = 0; queue < queues; ++queue) {
      const std::uint64_t ring = kBase + queue * kRingStride;
      device_.configure_queue(queue, [&](RingSetup& setup) {
        setup.size = kRingSize;
        setup.descriptors = ring;
        setup.driver_area = ring + kAvail;
        setup.device_area = ring + kUsed;
      });
      device_.enable_queue(queue);
    }
    device_.write_status(kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
  }

  /// Offers a chain of up to four descriptors; its first buffer begins with `prefix`.
  void offer(Input& input, unsigned queue, std::span<const std::byte> prefix) {
    const std::uint64_t ring = queue * kRingStride;
    const auto head = static_cast<std::uint16_t>(input.below(kRingSize));
    const unsigned length = 1 + input.below(4);
    for (unsigned i = 0; i < length; ++i) {
      virtio::SplitDescriptor descriptor;
      descriptor.address = kBase + 0x2000 + input.take<std::uint16_t>() % (kBytes - 0x2000 + 64);
      descriptor.length = i == 0 && !prefix.empty() ? static_cast<std::uint32_t>(prefix.size())
                                                    : input.take<std::uint16_t>() % 0x1400;
      descriptor.flags = static_cast<std::uint16_t>((i + 1 < length ? virtio::SplitDescriptor::kNext : 0) |
                                                    (i + 1 == length ? virtio::SplitDescriptor::kWrite : 0));
      if (input.below(8) == 0) descriptor.flags = static_cast<std::uint16_t>(input.below(8));
      descriptor.next = static_cast<std::uint16_t>((head + i + 1) % kRingSize);
      store(ring + 16U * ((head + i) % kRingSize), descriptor);
      if (i == 0) {
        const std::uint64_t at = descriptor.address - kBase;
        if (at + prefix.size() <= kBytes)
          std::copy(prefix.begin(), prefix.end(), ram_.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    std::uint16_t index;
    std::memcpy(&index, ram_.data() + ring + kAvail + 2, 2);
    store<std::uint16_t>(ring + kAvail + 4 + 2U * (index % kRingSize), head);
    store<std::uint16_t>(ring + kAvail + 2, static_cast<std::uint16_t>(index + 1));
  }
  template <typename T>
  void store(std::uint64_t offset, T value) {
    std::memcpy(ram_.data() + offset % (kBytes - sizeof value), &value, sizeof value);
  }
  void kick() {
    for (unsigned queue = 0; queue < device_.queue_count(); ++queue)
      device_.notify(queue);
    // Until the doorbell thread has taken it and let go of the device.
    pollfd doorbell{device_.doorbell(0), POLLIN, 0};
    while (::poll(&doorbell, 1, 0) == 1)
      std::this_thread::yield();
    static_cast<void>(device_.status());
  }

  // virtio::Transport
  void raise_queue_interrupt(unsigned queue) noexcept override { require(queue < device_.queue_count()); }
  void raise_config_interrupt() noexcept override {}
  [[nodiscard]] bool memory_access_allowed() const noexcept override { return true; }
  [[nodiscard]] const GuestMemory& guest_memory() const noexcept override { return memory_; }

 private:
  virtio::Device& device_;
  alignas(4096) std::array<std::byte, kBytes> ram_{};
  GuestMemory memory_{{{kBase, ram_}}};
};

}  // namespace patchbay::devices::fuzz
