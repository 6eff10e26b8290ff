// What a well-behaved front end gets: negotiation, frames both ways, stop and resume, changes of memory.
#include <poll.h>
#include <sys/mman.h>

#include "devices/vhost_user/protocol.h"
#include "tests/unit/vhost_user/session_fixture.h"

namespace patchbay::devices::testing {
namespace {

using vhost_user::Request;

TEST(VhostUserSession, OffersWhatItServes) {
  Connection connection({.queue_pairs = 4});
  connection.peer.send(Request::get_features);
  const auto features = connection.peer.reply<std::uint64_t>();
  ASSERT_TRUE(features);
  for (const auto feature :
       {virtio::kFeatureVersion1, virtio::kFeatureEventIndex, virtio::kFeatureIndirectDescriptors,
        net::kFeatureMergeableRx, net::kFeatureMultiqueue, vhost_user::kFeatureProtocol}) {
    EXPECT_EQ(*features & feature, feature);
  }
  EXPECT_EQ(*features & net::kOffloadFeatures, 0U) << "offloads are off in this configuration";
  connection.peer.send(Request::get_protocol_features);
  const auto protocol = connection.peer.reply<std::uint64_t>();
  ASSERT_TRUE(protocol);
  EXPECT_NE(*protocol & vhost_user::kProtocolMq, 0U);
  EXPECT_NE(*protocol & vhost_user::kProtocolReplyAck, 0U);
  connection.peer.send(Request::get_queue_num);
  EXPECT_EQ(connection.peer.reply<std::uint64_t>(), 4U);
  connection.peer.send(Request::get_max_mem_slots);
  EXPECT_EQ(connection.peer.reply<std::uint64_t>(), vhost_user::kMemorySlots);
  EXPECT_EQ(connection.ended, "");
}

TEST(VhostUserSession, CarriesFramesBothWays) {
  for (const std::size_t bytes : {std::size_t{60}, std::size_t{128}, std::size_t{129}, std::size_t{1514}}) {
    Connection a;
    Connection b;
    a.peer.start();
    b.peer.start();
    b.peer.post(4);
    const auto frame = make_frame(bytes);
    a.peer.transmit(frame);
    const auto burst = std::make_unique<vswitch::Burst>();
    a.port.pull(*burst);
    ASSERT_EQ(burst->size(), 1U);
    const vswitch::FrameView* const frames[] = {&(*burst)[0]};
    EXPECT_EQ(b.port.push(frames), 1U);
    a.port.release(1);
    EXPECT_EQ(b.peer.receive(), frame);
    EXPECT_TRUE(a.peer.ring(1).driver.poll()) << "the buffer comes back";
    EXPECT_EQ(a.ended + b.ended, "");
  }
}

TEST(VhostUserSession, SignalsTheCallDescriptorOnlyOnRequest) {
  Connection connection;
  connection.peer.start();
  connection.peer.post(2);
  FrontEnd::Ring& ring = connection.peer.ring(0);
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_TRUE(is_readable(ring.call.get()));
  eventfd_t ignored = 0;
  ::eventfd_read(ring.call.get(), &ignored);
  ring.driver.disable_interrupts();
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_FALSE(is_readable(ring.call.get()));
}

TEST(VhostUserSession, WakesTheWorkerWhenArmed) {
  Connection connection({}, FrontEnd::kFeatures | virtio::kFeatureEventIndex);
  connection.peer.start();
  connection.port.disarm();
  EXPECT_FALSE(is_readable(connection.port.wake_fd()));
  EXPECT_FALSE(connection.port.arm());
  connection.peer.transmit(make_frame(60));
  EXPECT_TRUE(is_readable(connection.port.wake_fd()));
  connection.port.disarm();
  EXPECT_FALSE(is_readable(connection.port.wake_fd()));
  EXPECT_TRUE(connection.port.arm()) << "a frame waits already";
}

TEST(VhostUserSession, WakesTheWorkerWhenRingsStartOrAreEnabled) {
  Connection connection;
  EXPECT_FALSE(connection.port.arm());
  connection.port.disarm();
  connection.peer.start();
  EXPECT_TRUE(is_readable(connection.port.wake_fd()));
}

TEST(VhostUserSession, ADisabledRingMovesNothing) {
  Connection connection;
  connection.peer.start();
  connection.peer.post(1);
  connection.peer.enable_ring(0, false);
  connection.peer.enable_ring(1, false);
  connection.peer.transmit(make_frame(60));
  const auto burst = std::make_unique<vswitch::Burst>();
  connection.port.pull(*burst);
  EXPECT_TRUE(burst->empty());
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_EQ(connection.drops_out(vswitch::DropReason::not_ready), 1U);
  connection.peer.enable_ring(1);
  connection.port.pull(*burst);
  EXPECT_EQ(burst->size(), 1U);
  connection.port.release(1);
}

TEST(VhostUserSession, RingsStartEnabledWithoutProtocolFeatures) {
  Connection connection({}, virtio::kFeatureVersion1);
  connection.peer.send(Request::set_features, std::uint64_t{virtio::kFeatureVersion1});
  connection.peer.share_memory();
  connection.peer.set_up_ring(0);
  connection.peer.set_up_ring(1);
  connection.peer.post(1);
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_TRUE(connection.peer.receive());
}

TEST(VhostUserSession, ResumesWhereItStopped) {
  Connection connection;
  connection.peer.start();
  const auto burst = std::make_unique<vswitch::Burst>();
  for (unsigned i = 0; i < 3; ++i)
    connection.peer.transmit(make_frame(60, i));
  connection.port.pull(*burst);
  ASSERT_EQ(burst->size(), 3U);
  connection.port.release(2);
  EXPECT_EQ(connection.peer.stop_ring(1), 2U);
  burst->clear();
  connection.port.pull(*burst);
  EXPECT_TRUE(burst->empty()) << "stopped";

  connection.peer.set_up_ring(1, 2);
  connection.port.pull(*burst);
  ASSERT_EQ(burst->size(), 1U);
  EXPECT_EQ(contents((*burst)[0]), make_frame(60, 2));
  connection.port.release(1);
  EXPECT_EQ(connection.peer.ring(1).driver.used_index(), 3U);
}

TEST(VhostUserSession, SplitRingsGoOnAtTheUsedIndexWhateverTheBase) {
  Connection connection;
  connection.peer.start();
  connection.peer.post(2);
  EXPECT_EQ(push_one(connection.port, make_frame(60, 1)), 1U);
  for (unsigned i = 0; i < 3; ++i)
    connection.peer.transmit(make_frame(60, i));
  const auto burst = std::make_unique<vswitch::Burst>();
  connection.port.pull(*burst);
  connection.port.release(2);

  connection.reconnect();
  connection.peer.start();  // with a base of 0
  burst->clear();
  connection.port.pull(*burst);
  ASSERT_EQ(burst->size(), 1U);
  EXPECT_EQ(contents((*burst)[0]), make_frame(60, 2));
  connection.port.release(1);
  EXPECT_EQ(connection.peer.ring(1).driver.used_index(), 3U);
  EXPECT_EQ(push_one(connection.port, make_frame(60, 2)), 1U);
  EXPECT_EQ(connection.peer.receive(), make_frame(60, 1));
  EXPECT_EQ(connection.peer.receive(), make_frame(60, 2));
}

TEST(VhostUserSession, RingsGoOnInNewMemory) {
  Connection connection;
  connection.peer.start();
  connection.peer.post(2);
  EXPECT_EQ(push_one(connection.port, make_frame(60, 1)), 1U);
  connection.peer.share_memory();  // the same table again, as QEMU sends it when another region changes
  EXPECT_EQ(push_one(connection.port, make_frame(60, 2)), 1U);
  EXPECT_EQ(connection.peer.receive(), make_frame(60, 1));
  EXPECT_EQ(connection.peer.receive(), make_frame(60, 2));
  EXPECT_EQ(connection.ended, "");
}

TEST(VhostUserSession, RegionsComeAndGo) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.negotiate();
  const vhost_user::SingleMemoryRegion region{0, peer.region()};
  EXPECT_EQ(peer.acknowledged(Request::add_mem_reg, region, {peer.ram().fd()}), 0U);
  EXPECT_EQ(connection.port.memory_bytes(), peer.ram().bytes().size());
  vhost_user::SingleMemoryRegion beside = region;
  beside.region.user_address += 4096;
  EXPECT_EQ(peer.acknowledged(Request::add_mem_reg, beside, {peer.ram().fd()}), 1U) << "overlaps";
  for (unsigned i = 0; i < 2; ++i) {
    peer.set_up_ring(i);
    peer.enable_ring(i);
  }
  peer.post(1);
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_TRUE(peer.receive());
  EXPECT_EQ(peer.acknowledged(Request::rem_mem_reg, region), 0U);
  EXPECT_EQ(connection.port.memory_bytes(), 0U);
  EXPECT_EQ(connection.port.ring_state(0).size, 0U) << "a ring without memory cannot run";
  EXPECT_EQ(peer.acknowledged(Request::rem_mem_reg, region), 1U) << "there is none";
}

// QEMU 7.2 adds and removes all memory once for each queue pair.
TEST(VhostUserSession, ARegionAddedTwiceIsRemovedTwice) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.negotiate();
  const vhost_user::SingleMemoryRegion region{0, peer.region()};
  EXPECT_EQ(peer.acknowledged(Request::add_mem_reg, region, {peer.ram().fd()}), 0U);
  EXPECT_EQ(peer.acknowledged(Request::add_mem_reg, region, {peer.ram().fd()}), 0U);
  const GuestRam other(peer.ram().bytes().size());
  EXPECT_EQ(peer.acknowledged(Request::add_mem_reg, region, {other.fd()}), 1U) << "other memory in its place";
  EXPECT_EQ(connection.port.memory_bytes(), peer.ram().bytes().size()) << "mapped once";
  EXPECT_EQ(peer.acknowledged(Request::rem_mem_reg, region), 0U);
  EXPECT_EQ(connection.port.memory_bytes(), peer.ram().bytes().size());
  EXPECT_EQ(peer.acknowledged(Request::rem_mem_reg, region), 0U);
  EXPECT_EQ(connection.port.memory_bytes(), 0U);
}

TEST(VhostUserSession, SteersFlowsOverQueues) {
  Connection connection({.queue_pairs = 2});
  connection.peer.start();
  connection.peer.post(FrontEnd::kRingSize, 0);
  connection.peer.post(FrontEnd::kRingSize, 2);
  auto frame = make_frame(60);
  frame[12] = std::byte{8};  // IPv4, UDP
  frame[13] = std::byte{0};
  frame[14] = std::byte{0x45};
  frame[20] = frame[21] = std::byte{0};
  frame[23] = std::byte{17};
  for (unsigned flow = 0; flow < 32; ++flow) {
    frame[35] = static_cast<std::byte>(flow);
    EXPECT_EQ(push_one(connection.port, frame), 1U);
    EXPECT_EQ(push_one(connection.port, frame), 1U);
  }
  const std::uint16_t first = connection.peer.ring(0).driver.used_index();
  const std::uint16_t second = connection.peer.ring(2).driver.used_index();
  EXPECT_EQ(first + second, 64);
  EXPECT_GT(first, 0U);
  EXPECT_GT(second, 0U);
  EXPECT_EQ(first % 2, 0U) << "both frames of a flow go to one queue";
  EXPECT_EQ(second % 2, 0U);
}

TEST(VhostUserSession, TakesSeveralQueuesFromAFrontEndThatKeepsTheControlQueueToItself) {
  Connection connection({.queue_pairs = 2}, FrontEnd::kFeatures | net::kFeatureMultiqueue);
  connection.peer.start();
  EXPECT_EQ(connection.ended, "");
  EXPECT_EQ(connection.session->features(), virtio::kFeatureVersion1 | net::kFeatureMultiqueue);
  connection.peer.post(1, 2);
  connection.peer.enable_ring(0, false);
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_EQ(connection.peer.receive(2), make_frame(60));
}

TEST(VhostUserSession, AnswersConfigurationAndStatus) {
  Connection connection({.mtu = 2000});
  connection.peer.negotiate(vhost_user::kProtocolConfig | vhost_user::kProtocolStatus |
                            vhost_user::kProtocolReplyAck | vhost_user::kProtocolMtu);
  struct Config {
    vhost_user::ConfigHeader header{6, 6, 0};
    std::array<std::uint16_t, 3> status_pairs_mtu{};
  };
  static_assert(sizeof(Config) == 20);
  struct Padded {
    Config config;
  } request;
  connection.peer.send_bytes(Request::get_config, std::as_bytes(std::span(&request, 1)).first(18), {}, 0);
  std::array<std::byte, 30> raw{};
  ASSERT_EQ(::recv(connection.peer.fd(), raw.data(), raw.size(), MSG_DONTWAIT), 30);
  std::array<std::uint16_t, 3> values{};
  std::memcpy(values.data(), &raw[24], sizeof values);
  EXPECT_EQ(values, (std::array<std::uint16_t, 3>{1, 1, 2000}));

  connection.peer.send(Request::set_status, std::uint64_t{virtio::kAcknowledge});
  connection.peer.send(Request::get_status);
  EXPECT_EQ(connection.peer.reply<std::uint64_t>(), virtio::kAcknowledge);
  EXPECT_EQ(connection.peer.acknowledged(Request::net_set_mtu, std::uint64_t{1500}), 0U);
  EXPECT_EQ(connection.peer.acknowledged(Request::net_set_mtu, std::uint64_t{9000}), 1U);
}

TEST(VhostUserSession, DropsFramesWhileNobodyIsThere) {
  Connection connection;
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  connection.peer.start();
  connection.peer.post(1);
  connection.peer.close();
  Connection::pump(&connection);
  EXPECT_EQ(connection.ended, "the peer closed the connection");
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_EQ(connection.drops_out(vswitch::DropReason::not_ready), 2U);
  EXPECT_EQ(connection.port.memory_bytes(), 0U) << "unmapped";
}

TEST(VhostUserSession, DropsFramesWhileTheLinkIsDown) {
  Connection connection;
  connection.peer.start();
  connection.peer.post(1);
  connection.port.set_link(false);
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_EQ(connection.drops_out(vswitch::DropReason::link_down), 1U);
  connection.port.set_link(true);
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_EQ(connection.port.counters.out.delivered.value(), 1U);
}

}  // namespace
}  // namespace patchbay::devices::testing
