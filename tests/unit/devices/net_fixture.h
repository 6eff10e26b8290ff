// What the virtio-net tests share: a guest with its driver, and frames.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "devices/net/virtio_net.h"
#include "tests/unit/devices/net_driver.h"
#include "vswitch/frame.h"

namespace patchbay::devices::testing {

/// A frame whose bytes tell their place.
inline std::vector<std::byte> make_frame(std::size_t bytes, unsigned seed = 1) {
  std::vector<std::byte> frame(bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    frame[i] = static_cast<std::byte>(i * 7 + (i >> 8) + seed);
  return frame;
}

/// All bytes of a frame view: the header copy and the pieces.
inline std::vector<std::byte> contents(const vswitch::FrameView& frame) {
  const auto head = frame.header_bytes();
  std::vector<std::byte> bytes(head.begin(), head.end());
  for (const vswitch::Piece& piece : frame.tail)
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

inline bool is_readable(int fd) {
  pollfd request{fd, POLLIN, 0};
  return ::poll(&request, 1, 0) == 1;
}

inline constexpr virtio::FeatureSet kPlain =
    virtio::kFeatureVersion1 | net::kFeatureMac | net::kFeatureStatus;

/// One card and the guest it sits in.
struct Guest {
  explicit Guest(const NetDriver::Options& options = {},
                 const net::VirtioNetConfig& config = default_config(), const char* name = "r1:eth0")
      : card(name, config), driver(ram, card, options) {}

  static net::VirtioNetConfig default_config() {
    net::VirtioNetConfig config;
    config.mac = {0x02, 0, 0, 0, 0, 1};
    return config;
  }

  std::uint64_t drops_in(vswitch::DropReason reason) const {
    return card.counters.in.dropped[static_cast<std::size_t>(reason)].value();
  }
  std::uint64_t drops_out(vswitch::DropReason reason) const {
    return card.counters.out.dropped[static_cast<std::size_t>(reason)].value();
  }

  GuestRam ram{4 << 20};
  net::VirtioNet card;
  NetDriver driver;
};

/// Moves what waits at `from` to `to` as a wire does: frames that find no room stay. Returns frames moved.
inline std::size_t forward(net::VirtioNet& from, net::VirtioNet& to, vswitch::Burst& burst) {
  burst.clear();
  from.pull(burst);
  if (burst.empty()) return 0;
  const vswitch::FrameView* frames[vswitch::kBurstFrames];
  for (std::size_t i = 0; i < burst.size(); ++i)
    frames[i] = &burst[i];
  const std::size_t moved = to.push(std::span(frames, burst.size()));
  from.release(moved);
  return moved;
}

}  // namespace patchbay::devices::testing
