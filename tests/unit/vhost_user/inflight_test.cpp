// The inflight area: rings that go on where they were after a crash or a lost connection, and areas that no
// front end should offer.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/vhost_user/protocol.h"
#include "devices/virtio/packed_used_record.h"
#include "tests/unit/vhost_user/packed_connection.h"

namespace patchbay::devices::testing {
namespace {

using vhost_user::Inflight;
using vhost_user::Request;
using virtio::PackedUsedRecord;

// Places in a region (vhost-user specification, "Inflight I/O tracking").
constexpr std::size_t kVersion = 8;
constexpr std::size_t kRecord = 16;       // packed
constexpr std::size_t kSplitStates = 16;  // the first byte of each tells of a chain in flight
constexpr std::size_t kPackedStates = 32;
constexpr std::uint16_t kRings = 2;

/// What a front end keeps over the connections.
struct Area {
  explicit Area(FrontEnd& peer, std::uint16_t queue_size = FrontEnd::kRingSize) {
    peer.send(Request::get_inflight_fd, Inflight{0, 0, kRings, queue_size});
    auto answer = peer.reply_with_fd<Inflight>();
    if (!answer) throw std::runtime_error("no area");
    description = answer->first;
    fd = std::move(answer->second);
    memory = MemoryMapping(fd.get(), description.mmap_size, PROT_READ | PROT_WRITE, "an inflight area");
  }
  std::uint64_t offer(FrontEnd& peer) const {
    return peer.acknowledged(Request::set_inflight_fd, description, {fd.get()}).value_or(~0ULL);
  }
  template <typename T>
  T& at(std::size_t place) {
    return *reinterpret_cast<T*>(memory.data() + place);
  }

  Inflight description;
  FileDescriptor fd;
  MemoryMapping memory;
};

/// Bytes between the regions of packed rings.
constexpr std::size_t packed_region(std::size_t queue_size) {
  return (32 + 32 * queue_size + 63) / 64 * 64;
}
constexpr std::size_t kTransmitRegion = packed_region(PackedConnection::kSize);

/// A front end with packed rings that keeps an area.
struct TrackedConnection : PackedConnection {
  TrackedConnection() { EXPECT_EQ(area.offer(peer), 0U); }

  /// With positions that were true at the very beginning, as QEMU has them.
  void come_back() {
    reconnect();
    peer.negotiate();
    EXPECT_EQ(area.offer(peer), 0U);
    peer.share_memory();
    start(0, kStart);
    start(1, kStart);
  }

  Area area{peer, kSize};
};

TEST(VhostUserInflight, AnAreaIsMadeOnRequest) {
  Connection connection;
  connection.peer.negotiate();
  const Area area(connection.peer, 256);
  struct stat file {};
  ASSERT_EQ(::fstat(area.fd.get(), &file), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(file.st_size), area.description.mmap_size);
  EXPECT_GE(area.description.mmap_size, kRings * packed_region(256));
  EXPECT_EQ(area.description.queues, kRings);
  EXPECT_EQ(area.description.queue_size, 256);
  const auto bytes = area.memory.bytes();
  EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST(VhostUserInflight, PayloadsMayLackTheirPadding) {
  Connection connection;
  connection.peer.negotiate();
  const Inflight wanted{0, 0, kRings, 64};
  connection.peer.send_bytes(Request::get_inflight_fd,
                             std::as_bytes(std::span(&wanted, 1)).first(vhost_user::kUnpaddedInflight), {},
                             0);
  using Unpadded = std::array<std::byte, vhost_user::kUnpaddedInflight>;
  EXPECT_TRUE(connection.peer.reply_with_fd<Unpadded>());
}

TEST(VhostUserInflight, PackedRingsGoOnAfterALostConnectionInAnyLap) {
  TrackedConnection connection;
  for (unsigned i = 0; i < 4 * PackedConnection::kSize; ++i) {
    connection.transmit(make_frame(60, 2 * i));
    connection.transmit(make_frame(60, 2 * i + 1));
    ASSERT_EQ(connection.take(1).size(), 1U);  // the second waits
    EXPECT_TRUE(connection.rings[1].poll());
    const std::uint64_t buffer = connection.post();

    connection.come_back();
    const auto taken = connection.take();
    ASSERT_EQ(taken.size(), 1U) << i;
    EXPECT_EQ(taken[0], make_frame(60, 2 * i + 1));
    EXPECT_TRUE(connection.rings[1].poll());
    EXPECT_EQ(push_one(connection.port, make_frame(60, i)), 1U);
    ASSERT_TRUE(connection.rings[0].poll());
    EXPECT_EQ(
        std::memcmp(connection.peer.ram().at(buffer) + sizeof(net::NetHeader), make_frame(60, i).data(), 60),
        0);
  }
  EXPECT_EQ(connection.ended, "");
}

TEST(VhostUserInflight, ACrashBeforeUsedDescriptorsWerePublishedTakesTheChainsAgain) {
  TrackedConnection connection;
  connection.transmit(make_frame(60));
  connection.session.reset();
  // The position was written ahead; the descriptor is still available.
  virtio::store_record(PackedUsedRecord::moving(0x8000, 0x8001),
                       &connection.area.at<std::byte>(kTransmitRegion + kRecord));
  connection.come_back();
  EXPECT_EQ(connection.take().size(), 1U);
  EXPECT_TRUE(connection.rings[1].poll());
}

TEST(VhostUserInflight, ACrashAfterUsedDescriptorsWerePublishedGoesOnBehindThem) {
  TrackedConnection connection;
  connection.transmit(make_frame(60, 1));
  ASSERT_EQ(connection.take().size(), 1U);
  connection.transmit(make_frame(60, 2));
  connection.session.reset();
  auto* const record = &connection.area.at<std::byte>(kTransmitRegion + kRecord);
  EXPECT_EQ(virtio::load_record(record).position(), 0x8001);
  EXPECT_EQ(virtio::load_record(record).old_position(), 0x8001);
  virtio::store_record(PackedUsedRecord::moving(0x8000, 0x8001), record);  // not yet confirmed
  connection.come_back();
  const auto taken = connection.take();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0], make_frame(60, 2));
}

TEST(VhostUserInflight, AWholeLapAtOnceIsTold) {
  TrackedConnection connection;
  for (unsigned i = 0; i < PackedConnection::kSize; ++i)
    connection.transmit(make_frame(60, i));
  ASSERT_EQ(connection.take().size(), PackedConnection::kSize);
  connection.session.reset();
  auto* const record = &connection.area.at<std::byte>(kTransmitRegion + kRecord);
  EXPECT_EQ(virtio::load_record(record).position(), 0) << "the other wrap counter";
  virtio::store_record(PackedUsedRecord::moving(0x8000, 0), record);
  connection.come_back();
  EXPECT_TRUE(connection.take().empty()) << "all was published";
}

TEST(VhostUserInflight, SplitRingsGoOnAtTheUsedIndexWhateverTheFrontEndRemembers) {
  Connection connection;
  connection.peer.negotiate();
  Area area(connection.peer);
  EXPECT_EQ(area.offer(connection.peer), 0U);
  connection.peer.start_rings();
  const auto burst = std::make_unique<vswitch::Burst>();
  for (unsigned i = 0; i < 3; ++i)
    connection.peer.transmit(make_frame(60, i));
  connection.port.pull(*burst);
  connection.port.release(2);
  EXPECT_EQ(area.at<std::uint16_t>(kVersion), 1) << "in use";

  connection.reconnect();
  connection.peer.negotiate();
  EXPECT_EQ(area.offer(connection.peer), 0U);
  connection.peer.start_rings();  // with a base of 0
  burst->clear();
  connection.port.pull(*burst);
  ASSERT_EQ(burst->size(), 1U);
  EXPECT_EQ(contents((*burst)[0]), make_frame(60, 2));
  connection.port.release(1);
  EXPECT_EQ(connection.peer.ring(1).driver.used_index(), 3U);
}

TEST(VhostUserInflight, AfterAnOrderlyStopTheFrontEndDecides) {
  TrackedConnection connection;
  connection.transmit(make_frame(60, 1));
  ASSERT_EQ(connection.take().size(), 1U);
  EXPECT_TRUE(connection.rings[1].poll());
  EXPECT_EQ(connection.area.at<std::uint16_t>(kTransmitRegion + kVersion), 1);
  ASSERT_EQ(connection.peer.stop_ring(1), 0x8001'8001U);
  EXPECT_EQ(connection.area.at<std::uint16_t>(kTransmitRegion + kVersion), 0) << "no more in use";
  // The guest's driver starts afresh.
  connection.rings[1] = PackedDriverRing(connection.peer.ram(), PackedConnection::kSize);
  connection.start(1, PackedConnection::kStart);
  connection.transmit(make_frame(60, 2));
  EXPECT_EQ(connection.take().size(), 1U);
  EXPECT_EQ(connection.area.at<std::uint16_t>(kTransmitRegion + kVersion), 1);
}

TEST(VhostUserInflight, ANewAreaForRunningRingsIsKeptFromThere) {
  TrackedConnection connection;
  connection.transmit(make_frame(60, 1));
  ASSERT_EQ(connection.take().size(), 1U);
  Area other(connection.peer, PackedConnection::kSize);
  EXPECT_EQ(other.offer(connection.peer), 0U);
  EXPECT_EQ(virtio::load_record(&other.at<std::byte>(kTransmitRegion + kRecord)).position(), 0x8001);
  connection.transmit(make_frame(60, 2));
  EXPECT_EQ(connection.take().size(), 1U);
  EXPECT_EQ(virtio::load_record(&other.at<std::byte>(kTransmitRegion + kRecord)).position(), 0x8002);
}

TEST(HostileInflight, ImpossibleAreasAreRefused) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.negotiate();
  for (const Inflight& wanted : {Inflight{0, 0, 0, 64}, Inflight{0, 0, 3, 64}, Inflight{0, 0, 0xffff, 64},
                                 Inflight{0, 0, kRings, 0}, Inflight{0, 0, kRings, 0x8001}}) {
    EXPECT_EQ(peer.acknowledged(Request::get_inflight_fd, wanted), FrontEnd::kRefused);
    EXPECT_EQ(peer.acknowledged(Request::set_inflight_fd, wanted, {peer.ram().fd()}), FrontEnd::kRefused);
  }
  const Area area(peer);
  const auto refused = [&](Inflight offered, int fd) {
    return peer.acknowledged(Request::set_inflight_fd, offered, {fd}) == FrontEnd::kRefused;
  };
  Inflight bad = area.description;
  bad.mmap_size = 2 * 64 * 16;
  EXPECT_TRUE(refused(bad, area.fd.get())) << "no room for headers";
  bad.mmap_size = ~std::uint64_t{0};
  EXPECT_FALSE(refused(bad, area.fd.get())) << "only what is of use is mapped";
  bad.mmap_offset = 8;
  EXPECT_TRUE(refused(bad, area.fd.get())) << "wraps";
  bad = area.description;
  bad.mmap_offset = 4096;
  EXPECT_TRUE(refused(bad, area.fd.get())) << "beyond the file";
  bad = area.description;
  bad.mmap_size -= 64;
  bad.mmap_offset = 4;
  EXPECT_TRUE(refused(bad, area.fd.get())) << "misaligned";
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const FileDescriptor reading(pipe[0]);
  const FileDescriptor writing(pipe[1]);
  EXPECT_TRUE(refused(area.description, reading.get())) << "no file";
  EXPECT_EQ(peer.acknowledged(Request::set_inflight_fd, area.description), FrontEnd::kRefused)
      << "no descriptor";
  EXPECT_EQ(peer.acknowledged(Request::set_inflight_fd, std::uint64_t{0}, {area.fd.get()}),
            FrontEnd::kRefused);
  EXPECT_EQ(connection.ended, "");
}

TEST(HostileInflight, RegionsThatMakeNoSenseKeepTheirRingsFromStarting) {
  const auto spoiled = [](auto spoil) {
    TrackedConnection connection;
    connection.session.reset();
    spoil(connection.area);
    connection.come_back();
    const bool runs = connection.port.ring_state(1).size != 0;
    EXPECT_TRUE(connection.port.ring_state(0).size != 0 || !connection.ended.empty());
    return connection.ended + (runs ? "runs" : "");
  };
  EXPECT_EQ(spoiled([](Area&) {}), "runs");
  EXPECT_NE(
      spoiled([](Area& area) { area.at<std::uint16_t>(kTransmitRegion + kVersion) = 2; }).find("version 2"),
      std::string::npos);
  EXPECT_NE(spoiled([](Area& area) {
              area.at<std::uint8_t>(kTransmitRegion + kPackedStates + 32) = 1;
            }).find("another back end"),
            std::string::npos);
  for (const PackedUsedRecord& record :
       {PackedUsedRecord{8, 0, 1, 1, 0}, PackedUsedRecord{0, 0xffff, 1, 1, 0},
        PackedUsedRecord{0, 0, 2, 1, 0}, PackedUsedRecord{0, 0, 0, 0xff, 0}}) {
    EXPECT_NE(spoiled([&](Area& area) {
                virtio::store_record(record, &area.at<std::byte>(kTransmitRegion + kRecord));
              }).find("outside the ring"),
              std::string::npos);
  }
}

TEST(HostileInflight, SplitRegionsAreCheckedToo) {
  Connection connection;
  connection.peer.negotiate();
  Area area(connection.peer);
  area.at<std::uint16_t>(kVersion) = 1;
  area.at<std::uint8_t>(kSplitStates + 16 * (FrontEnd::kRingSize - 1)) = 1;
  EXPECT_EQ(area.offer(connection.peer), 0U);
  connection.peer.share_memory();
  connection.peer.set_up_ring(0);
  EXPECT_NE(connection.ended.find("another back end"), std::string::npos) << connection.ended;
}

TEST(HostileInflight, ARingLargerThanItsRegionDoesNotStart) {
  Connection connection;
  connection.peer.negotiate();
  const Area area(connection.peer, FrontEnd::kRingSize / 2);
  EXPECT_EQ(area.offer(connection.peer), 0U);
  connection.peer.share_memory();
  connection.peer.set_up_ring(0);
  EXPECT_NE(connection.ended.find("too small"), std::string::npos) << connection.ended;
}

TEST(HostileInflight, AnAreaThatIsTakenAwayHarmsNobody) {
  TrackedConnection connection;
  connection.transmit(make_frame(60, 1));
  ASSERT_EQ(::ftruncate(connection.area.fd.get(), 0), 0);
  EXPECT_EQ(connection.take().size(), 1U);
  connection.transmit(make_frame(60, 2));
  EXPECT_EQ(connection.take().size(), 1U);
  connection.peer.share_memory();  // the rings are started again
  EXPECT_EQ(connection.port.ring_state(1).size, 0U);
  EXPECT_NE(connection.session->complaint().find("took its inflight area away"), std::string::npos);
}

}  // namespace
}  // namespace patchbay::devices::testing
