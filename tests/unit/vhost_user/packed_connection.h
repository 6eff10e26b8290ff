// A connection of a front end whose driver uses packed rings.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/unit/devices/packed_driver_ring.h"
#include "tests/unit/vhost_user/session_fixture.h"

namespace patchbay::devices::testing {

/// A front end whose driver uses packed rings.
struct PackedConnection : Connection {
  static constexpr virtio::FeatureSet kFeatures = FrontEnd::kFeatures | virtio::kFeaturePackedRing;
  static constexpr std::uint32_t kStart =
      0x8000;  // position 0, wrap counter 1, as DPDK's virtio-user sends it
  static constexpr std::uint16_t kSize = 8;

  explicit PackedConnection(const vhost_user::VhostUserConfig& config = {}) : Connection(config, kFeatures) {
    peer.negotiate();
    peer.share_memory();
    start(0, kStart);
    start(1, kStart);
  }

  void start(unsigned ring, std::uint32_t base) {
    peer.set_up_ring(ring, rings[ring].setup(), base);
    peer.enable_ring(ring);
  }
  std::uint64_t post() {
    const std::uint64_t at = peer.ram().allocate(FrontEnd::kBufferBytes);
    EXPECT_TRUE(rings[0].add({{at, FrontEnd::kBufferBytes, true}}));
    return at;
  }
  void transmit(std::span<const std::byte> frame) {
    const std::uint64_t at = peer.ram().allocate(FrontEnd::kBufferBytes);
    peer.ram().store(at, net::NetHeader{});
    std::memcpy(peer.ram().at(at) + sizeof(net::NetHeader), frame.data(), frame.size());
    EXPECT_TRUE(rings[1].add({{at, static_cast<std::uint32_t>(sizeof(net::NetHeader) + frame.size())}}));
  }
  /// Frames pulled and released: their contents.
  std::vector<std::vector<std::byte>> take(std::size_t most = SIZE_MAX) {
    const auto burst = std::make_unique<vswitch::Burst>();
    std::vector<std::vector<std::byte>> frames;
    port.pull(*burst);
    if (burst->empty()) return frames;
    for (std::size_t i = 0; i < std::min(most, burst->size()); ++i)
      frames.push_back(contents((*burst)[i]));
    port.release(frames.size());
    return frames;
  }

  std::array<PackedDriverRing, 2> rings{PackedDriverRing(peer.ram(), kSize),
                                        PackedDriverRing(peer.ram(), kSize)};
};

}  // namespace patchbay::devices::testing
