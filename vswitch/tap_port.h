// A TAP interface in a network namespace as a port: what the kernel sends on it comes into the switch, and
// the other way round. The interface disappears with this object.
//
// Offloads are on in both directions: the kernel hands over TCP frames of up to 64 KiB with their checksum to
// be filled in and takes such frames, so two namespaces exchange them whole; for other destinations the
// segment completes them. `ethtool -K` in the namespace turns each of them off.
//
// Threads: as Port says. Construction visits the namespace on a thread of its own.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "vswitch/anonymous_memory.h"
#include "vswitch/file_descriptor.h"
#include "vswitch/port.h"

namespace patchbay::vswitch {

struct TapConfig {
  std::string port_name;       // link end, such as "h1:eth1"
  std::string interface_name;  // at most 15 bytes
  int network_namespace =
      -1;  // where the interface appears; negative: the caller's. Used during construction only
};

class TapPort final : public Port {
 public:
  /// Creates the interface, down and without addresses. Throws std::system_error with the cause and the way
  /// out.
  explicit TapPort(const TapConfig& config);

  void pull(Burst& burst) override;
  void release(std::size_t consumed) override;
  [[nodiscard]] std::size_t push(std::span<const FrameView* const> frames) override;
  [[nodiscard]] int wake_fd() const noexcept override { return tap_.get(); }
  [[nodiscard]] bool arm() override { return held_ != 0; }
  void disarm() override {}
  [[nodiscard]] OffloadSet accepts() const noexcept override { return accepted_; }
  void set_link(bool up) override;

 private:
  // What stands in front of each frame, both ways: struct virtio_net_hdr_v1, all zero for a complete frame.
  static constexpr std::size_t kNetHeader = 12;
  // An odd number of cache lines, so that the starts of the slots spread over the cache.
  static constexpr std::size_t kSlotBytes = 1025 * std::size_t{64};
  static_assert(kSlotBytes > kNetHeader + kMaxFrameBytes);
  // A pull ends behind so many bytes: large frames are handed on while they are in the second-level cache.
  static constexpr std::size_t kBytesPerPull = 256 * 1024;

  struct Slot {
    std::byte* bytes;    // net header, frame
    std::size_t length;  // of the frame
  };
  void show(const Slot& slot, Burst& burst) noexcept;
  [[nodiscard]] bool write_frame(const FrameView& frame) noexcept;

  FileDescriptor tap_;
  OffloadSet accepted_;
  AnonymousMemory buffers_;  // kBurstFrames slots
  std::array<Slot, kBurstFrames> slots_{};
  std::size_t held_ = 0;  // frames read from the kernel that the switch has not consumed, in slots_[0, held_)
};

}  // namespace patchbay::vswitch
