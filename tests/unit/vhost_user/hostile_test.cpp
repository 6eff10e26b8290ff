// Messages and memory that no front end should send: the session is refused or ends, the port goes on.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "tests/unit/vhost_user/session_fixture.h"

namespace patchbay::devices::testing {
namespace {

using vhost_user::MemoryRegion;
using vhost_user::MessageHeader;
using vhost_user::Request;
using vhost_user::SingleMemoryRegion;
using vhost_user::VringState;

TEST(HostileFrontEnd, FramingThatMakesNoSenseEndsTheSession) {
  const std::array<MessageHeader, 3> headers{
      {{1, 2, 0}, {1, 0, 0}, {1, MessageHeader::kVersion, 0x7fff'ffff}}};
  for (const MessageHeader& header : headers) {
    Connection connection;
    send_message(connection.peer.fd(), header, {}, {});
    Connection::pump(&connection);
    EXPECT_NE(connection.ended, "");
  }
}

TEST(HostileFrontEnd, AMessageInPiecesIsWaitedFor) {
  Connection connection;
  const MessageHeader header{static_cast<std::uint32_t>(Request::get_features), MessageHeader::kVersion, 0};
  const auto bytes = std::as_bytes(std::span(&header, 1));
  ASSERT_EQ(::send(connection.peer.fd(), bytes.data(), 5, 0), 5);
  Connection::pump(&connection);
  EXPECT_FALSE(connection.peer.reply<std::uint64_t>());
  ASSERT_EQ(::send(connection.peer.fd(), bytes.data() + 5, bytes.size() - 5, 0), 7);
  Connection::pump(&connection);
  EXPECT_TRUE(connection.peer.reply<std::uint64_t>());
}

TEST(HostileFrontEnd, UnknownRequestsAndWrongSizesAreRefused) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.negotiate();
  EXPECT_EQ(peer.acknowledged(static_cast<Request>(6), std::uint64_t{0}), FrontEnd::kRefused)
      << "SET_LOG_BASE";
  EXPECT_EQ(peer.acknowledged(static_cast<Request>(999), std::uint64_t{0}), FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_features, std::uint32_t{0}), FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_features, ~std::uint64_t{0}), FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_features, FrontEnd::kFeatures | net::kFeatureHostTso4),
            FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_vring_num, VringState{2, 64}), FrontEnd::kRefused)
      << "there are two rings";
  EXPECT_EQ(peer.acknowledged(Request::set_vring_num, VringState{0xffff'ffff, 64}), FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_vring_num, VringState{0, 0}), FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_vring_num, VringState{0, 65536}), FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_vring_base, VringState{0, 0x1'0000}), FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_vring_enable, VringState{7, 1}), FrontEnd::kRefused);
  EXPECT_EQ(connection.ended, "");
  EXPECT_NE(connection.session->complaint(), "");
  peer.send(Request::set_vring_num, VringState{2, 64});
  EXPECT_NE(connection.ended, "") << "nothing to refuse with: the connection ends";
}

TEST(HostileFrontEnd, RegionsAreChecked) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.negotiate();
  const MemoryRegion good = peer.region();
  const auto refused = [&](const MemoryRegion& region, int fd) {
    return peer.acknowledged(Request::add_mem_reg, SingleMemoryRegion{0, region}, {fd}) == FrontEnd::kRefused;
  };
  MemoryRegion bad = good;
  bad.size = 0;
  EXPECT_TRUE(refused(bad, peer.ram().fd())) << "empty";
  bad = good;
  bad.size += 1;
  EXPECT_TRUE(refused(bad, peer.ram().fd())) << "longer than its file";
  bad = good;
  bad.mmap_offset = 4096;
  EXPECT_TRUE(refused(bad, peer.ram().fd())) << "longer than the rest of its file";
  bad.mmap_offset = ~std::uint64_t{0} - 4095;
  EXPECT_TRUE(refused(bad, peer.ram().fd())) << "wraps";
  bad = good;
  bad.guest_address = ~std::uint64_t{0} - 4095;
  EXPECT_TRUE(refused(bad, peer.ram().fd())) << "wraps";
  bad = good;
  bad.user_address = ~std::uint64_t{0} - 4095;
  EXPECT_TRUE(refused(bad, peer.ram().fd())) << "wraps";

  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const FileDescriptor reading(pipe[0]);
  const FileDescriptor writing(pipe[1]);
  EXPECT_TRUE(refused(good, reading.get())) << "no file";
  const FileDescriptor program(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  MemoryRegion small = good;
  small.size = 4096;
  EXPECT_TRUE(refused(small, program.get())) << "a file on a disk";
  const FileDescriptor read_only(
      ::open(("/proc/self/fd/" + std::to_string(peer.ram().fd())).c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(refused(good, read_only.get()));
  EXPECT_EQ(connection.ended, "");
}

TEST(HostileFrontEnd, TablesThatDoNotFitTheirDescriptorsAreRefused) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.negotiate();
  struct Table {
    vhost_user::MemoryTableHeader header;
    std::array<MemoryRegion, 2> regions;
  } table{{2, 0}, {peer.region(), peer.region()}};
  const int fd = peer.ram().fd();
  EXPECT_EQ(peer.acknowledged(Request::set_mem_table, table, {fd}), FrontEnd::kRefused) << "one descriptor";
  EXPECT_EQ(peer.acknowledged(Request::set_mem_table, table, {fd, fd}), FrontEnd::kRefused)
      << "overlapping regions";
  table.header.regions = 9;
  EXPECT_EQ(peer.acknowledged(Request::set_mem_table, table, {fd, fd, fd, fd, fd, fd, fd, fd}),
            FrontEnd::kRefused);
  table.header.regions = 8;
  EXPECT_EQ(peer.acknowledged(Request::set_mem_table, table, {fd, fd, fd, fd, fd, fd, fd, fd}),
            FrontEnd::kRefused)
      << "a payload of two regions";
  EXPECT_EQ(connection.ended, "");
  peer.send(Request::set_mem_table, table, {fd, fd, fd, fd, fd, fd, fd, fd, fd});
  EXPECT_NE(connection.ended, "") << "nine descriptors";
}

TEST(HostileFrontEnd, OnlyEventfdsAreSignalled) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.negotiate();
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const FileDescriptor reading(pipe[0]);
  const FileDescriptor writing(pipe[1]);
  EXPECT_EQ(peer.acknowledged(Request::set_vring_call, std::uint64_t{0}, {writing.get()}),
            FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_vring_kick, std::uint64_t{1}, {reading.get()}),
            FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_vring_err, std::uint64_t{1}, {writing.get()}), FrontEnd::kRefused);
  EXPECT_EQ(peer.acknowledged(Request::set_vring_call, std::uint64_t{0}), FrontEnd::kRefused)
      << "no descriptor";
  EXPECT_EQ(peer.acknowledged(Request::set_vring_call, std::uint64_t{vhost_user::kVringNoFd}), 0U);
  EXPECT_EQ(connection.ended, "");
}

TEST(HostileFrontEnd, RingsOutsideTheMemoryDoNotStart) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.negotiate();
  peer.share_memory();
  peer.send(Request::set_vring_num, VringState{0, 64});
  const std::uint64_t end = FrontEnd::kUserBase + peer.ram().bytes().size();
  peer.send(Request::set_vring_addr,
            vhost_user::VringAddress{0, 0, end - 16, FrontEnd::kUserBase, FrontEnd::kUserBase, 0});
  EXPECT_EQ(peer.acknowledged(Request::set_vring_kick, std::uint64_t{0}, {peer.ring(0).kick.get()}),
            FrontEnd::kRefused);
  EXPECT_EQ(connection.port.ring_state(0).size, 0U);
  peer.send(Request::set_vring_addr, vhost_user::VringAddress{0, 0, 0, 0, 0, 0});
  EXPECT_EQ(peer.acknowledged(Request::set_vring_kick, std::uint64_t{0}, {peer.ring(0).kick.get()}),
            FrontEnd::kRefused);
}

TEST(HostileFrontEnd, LegacyDriversAreRefused) {
  Connection connection({}, vhost_user::kFeatureProtocol);
  FrontEnd& peer = connection.peer;
  peer.negotiate();
  peer.share_memory();
  peer.set_up_ring(0);
  EXPECT_NE(connection.ended.find("VERSION_1"), std::string::npos) << connection.ended;
}

TEST(HostileFrontEnd, ABrokenRingIsReportedAndTheOthersGoOn) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.start();
  const FileDescriptor error = make_eventfd();
  peer.send(Request::set_vring_err, std::uint64_t{1}, {error.get()});
  peer.ring(1).driver.offer(0x7777);
  const auto burst = std::make_unique<vswitch::Burst>();
  connection.port.pull(*burst);
  EXPECT_TRUE(burst->empty());
  EXPECT_TRUE(is_readable(connection.port.attention_fd()));
  connection.session->on_attention();
  EXPECT_FALSE(is_readable(connection.port.attention_fd()));
  EXPECT_NE(connection.session->complaint().find("head index"), std::string::npos);
  EXPECT_TRUE(is_readable(error.get()));
  peer.post(1);
  EXPECT_EQ(push_one(connection.port, make_frame(60)), 1U);
  EXPECT_TRUE(peer.receive());
}

// Two workers that have each pulled from one of these peers and push to the other must not wait for each
// other.
TEST(HostileFrontEnd, ABrokenRingHoldsNobodyUpWhoComesFromAnotherPort) {
  Connection a({.queue_pairs = 2}, FrontEnd::kFeatures | net::kFeatureMultiqueue | net::kFeatureControlQueue);
  a.peer.start();
  a.peer.transmit(make_frame(60));
  const auto burst = std::make_unique<vswitch::Burst>();
  a.port.pull(*burst);
  ASSERT_EQ(burst->size(), 1U) << "another worker has this frame in hand";
  a.peer.ring(0).driver.offer(0x7777);
  a.peer.ring(2).driver.offer(0x7777);
  for (std::uint8_t flow = 0; flow < 16; ++flow) {
    auto frame = make_frame(60, flow);
    EXPECT_EQ(push_one(a.port, frame), 1U) << "dropped, and at once";
  }
  EXPECT_EQ(a.drops_out(vswitch::DropReason::not_ready), 16U);
  EXPECT_TRUE(is_readable(a.port.attention_fd()));
  a.port.release(1);
  EXPECT_NE(a.port.take_error().reason, virtio::RingError::none);
  EXPECT_EQ(push_one(a.port, make_frame(60)), 1U) << "with no ring left to receive";
  EXPECT_EQ(a.drops_out(vswitch::DropReason::not_ready), 17U);
}

// The peer truncates the file behind its memory while we use it: every access would raise SIGBUS.
TEST(HostileFrontEnd, TruncatedMemoryEndsTheSessionOnly) {
  Connection connection;
  FrontEnd& peer = connection.peer;
  peer.start();
  peer.post(4);
  peer.transmit(make_frame(1514));
  const auto burst = std::make_unique<vswitch::Burst>();
  connection.port.pull(*burst);
  ASSERT_EQ(burst->size(), 1U);
  ASSERT_EQ(::ftruncate(peer.ram().fd(), 0), 0);
  // The tail of the frame, and the rings, are gone.
  const auto bytes = contents((*burst)[0]);
  EXPECT_EQ(bytes.size(), 1514U);
  EXPECT_EQ(bytes.back(), std::byte{0});
  connection.port.release(1);
  static_cast<void>(push_one(connection.port, make_frame(60)));
  burst->clear();
  connection.port.pull(*burst);
  static_cast<void>(connection.port.arm());
  ASSERT_TRUE(is_readable(connection.port.attention_fd()));
  EXPECT_THROW(connection.session->on_attention(), std::runtime_error);
}

// Outside guarded memory a bus error is what it always was.
TEST(HostileFrontEndDeathTest, OtherBusErrorsStillKill) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  Connection connection;
  connection.peer.start();
  EXPECT_DEATH(
      {
        const FileDescriptor file(::memfd_create("empty", MFD_CLOEXEC));
        static_cast<void>(::ftruncate(file.get(), 4096));
        auto* const page = static_cast<volatile char*>(
            ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
        static_cast<void>(::ftruncate(file.get(), 0));
        *page = 1;
      },
      "");
}

}  // namespace
}  // namespace patchbay::devices::testing
