// Packed rings over vhost-user: frames both ways, and positions with their wrap counters.
#include "devices/vhost_user/protocol.h"
#include "tests/unit/vhost_user/packed_connection.h"

namespace patchbay::devices::testing {
namespace {

using vhost_user::Request;

TEST(VhostUserPackedRings, AreOfferedUnlessTheConfigurationSaysNo) {
  Connection with;
  EXPECT_NE(with.port.offered_features() & virtio::kFeaturePackedRing, 0U);
  Connection without({.packed = false});
  EXPECT_EQ(without.port.offered_features() & virtio::kFeaturePackedRing, 0U);
}

TEST(VhostUserPackedRings, CarryFramesBothWaysForManyLaps) {
  PackedConnection connection;
  for (unsigned i = 0; i < 5 * PackedConnection::kSize; ++i) {
    const auto frame = make_frame(60 + i, i);
    const std::uint64_t at = connection.post();
    EXPECT_EQ(push_one(connection.port, frame), 1U);
    const auto received = connection.rings[0].poll();
    ASSERT_TRUE(received);
    ASSERT_EQ(received->length, sizeof(net::NetHeader) + frame.size());
    EXPECT_EQ(std::memcmp(connection.peer.ram().at(at) + sizeof(net::NetHeader), frame.data(), frame.size()),
              0);

    connection.transmit(frame);
    const auto taken = connection.take();
    ASSERT_EQ(taken.size(), 1U);
    EXPECT_EQ(taken[0], frame);
    EXPECT_TRUE(connection.rings[1].poll()) << "the buffer comes back";
  }
  EXPECT_EQ(connection.ended, "");
}

TEST(VhostUserPackedRings, ResumeWhereTheyStoppedInAnyLap) {
  PackedConnection connection;
  std::uint32_t base = PackedConnection::kStart;
  for (unsigned i = 0; i < 4 * PackedConnection::kSize; ++i) {
    connection.transmit(make_frame(60, 2 * i));
    connection.transmit(make_frame(60, 2 * i + 1));
    ASSERT_EQ(connection.take(1).size(), 1U);  // the second waits
    EXPECT_TRUE(connection.rings[1].poll());
    const auto position = connection.peer.stop_ring(1);
    ASSERT_TRUE(position);
    EXPECT_EQ(*position >> 16, *position & 0xFFFF) << "used descriptors go on where available ones do";
    EXPECT_NE(*position, base);
    base = *position;
    connection.start(1, base & 0xFFFF);
    const auto taken = connection.take();
    ASSERT_EQ(taken.size(), 1U);
    EXPECT_EQ(taken[0], make_frame(60, 2 * i + 1));
    EXPECT_TRUE(connection.rings[1].poll());
  }
}

TEST(VhostUserPackedRings, RefuseAPositionOutsideTheRing) {
  PackedConnection connection;
  ASSERT_TRUE(connection.peer.stop_ring(1));
  connection.start(1, PackedConnection::kStart | PackedConnection::kSize);
  EXPECT_NE(connection.ended, "");
}

TEST(VhostUserPackedRings, StartAfreshWhenTheFormatChanges) {
  PackedConnection connection;
  connection.transmit(make_frame(60));
  ASSERT_EQ(connection.take().size(), 1U);
  ASSERT_TRUE(connection.peer.stop_ring(0));
  ASSERT_TRUE(connection.peer.stop_ring(1));
  connection.peer.send(Request::set_features, FrontEnd::kFeatures);
  for (unsigned i = 0; i < 2; ++i) {
    connection.peer.set_up_ring(i);
    connection.peer.enable_ring(i);
  }
  connection.peer.post(1);
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_EQ(connection.peer.receive(), make_frame(60));
  EXPECT_EQ(connection.ended, "");
}

}  // namespace
}  // namespace patchbay::devices::testing
