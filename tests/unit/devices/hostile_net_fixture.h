// A card whose driver lies, for the suites about it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <vector>

#include "tests/unit/devices/net_fixture.h"

namespace patchbay::devices::net {

inline constexpr virtio::Status kUp =
    virtio::kAcknowledge | virtio::kDriver | virtio::kFeaturesOk | virtio::kDriverOk;

class HostileNet : public ::testing::Test {
 protected:
  std::size_t pull(testing::Guest& guest) {
    burst->clear();
    guest.card.pull(*burst);
    return burst->size();
  }
  static std::size_t push(testing::Guest& guest, std::uint32_t bytes) {
    vswitch::FrameView frame;
    frame.length = bytes;
    frame.header.fill(std::byte{0x55});
    static const std::vector<std::byte> filler(vswitch::kMaxFrameBytes);
    const vswitch::Piece tail(filler.data(),
                              bytes > vswitch::kHeaderBytes ? bytes - vswitch::kHeaderBytes : 0);
    if (!tail.empty()) frame.tail = std::span(&tail, 1);
    const vswitch::FrameView* frames[] = {&frame};
    return guest.card.push(frames);
  }
  static void expect_needs_reset(testing::Guest& guest, std::string_view error) {
    EXPECT_EQ(guest.card.status(), kUp | virtio::kNeedsReset);
    EXPECT_EQ(guest.card.error(), error);
    EXPECT_EQ(guest.driver.config_interrupts(), 1U);
    // Stopped, not stuck: frames towards it are dropped, and a reset brings it back.
    EXPECT_EQ(push(guest, 60), 1U);
    EXPECT_EQ(guest.drops_out(vswitch::DropReason::not_ready), 1U);
    guest.card.write_status(0);
    EXPECT_EQ(guest.card.status(), 0);
    EXPECT_EQ(guest.card.error(), "no error");
  }
  /// A transmit chain is refused for `reason`, handed back, and the next frame goes through.
  void expect_refused(testing::Guest& guest, vswitch::DropReason reason) {
    guest.driver.tx().publish();
    EXPECT_EQ(pull(guest), 0U);
    EXPECT_EQ(guest.drops_in(reason), 1U);
    EXPECT_EQ(guest.card.counters.in.frames.value(), 1U);
    EXPECT_EQ(guest.driver.reclaim(), 1U);
    guest.driver.send(testing::make_frame(60));
    guest.driver.kick();
    EXPECT_EQ(pull(guest), 1U);
    guest.card.release(1);
    EXPECT_EQ(guest.card.status(), kUp);
  }

  std::unique_ptr<vswitch::Burst> burst = std::make_unique<vswitch::Burst>();
};

}  // namespace patchbay::devices::net
