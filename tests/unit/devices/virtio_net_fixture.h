// A virtio-net card with a driver and a worker that do what they should.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/unit/devices/net_fixture.h"

namespace patchbay::devices::net {

class VirtioNetTest : public ::testing::Test {
 protected:
  vswitch::Burst& pull(testing::Guest& guest) {
    burst->clear();
    guest.card.pull(*burst);
    return *burst;
  }
  /// Pushes one frame of these bytes. True if the port dealt with it.
  bool push(testing::Guest& guest, const std::vector<std::byte>& bytes,
            const vswitch::Offload& offload = {}) {
    vswitch::FrameView frame;
    frame.length = static_cast<std::uint32_t>(bytes.size());
    frame.offload = offload;
    const std::size_t head = std::min(bytes.size(), vswitch::kHeaderBytes);
    std::copy_n(bytes.begin(), head, frame.header.begin());
    const vswitch::Piece tail = std::span(bytes).subspan(head);
    if (!tail.empty()) frame.tail = std::span(&tail, 1);
    const vswitch::FrameView* frames[] = {&frame};
    return guest.card.push(frames) == 1;
  }

  std::unique_ptr<vswitch::Burst> burst = std::make_unique<vswitch::Burst>();
};

}  // namespace patchbay::devices::net
