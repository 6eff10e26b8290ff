// A front end that sends whatever it likes, with descriptors of every kind, and whose memory and inflight
// area hold whatever it likes, while the worker moves frames.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "tests/fuzz/devices/fuzz_input.h"
#include "tests/unit/vhost_user/session_fixture.h"

using namespace patchbay;
using namespace patchbay::devices;
using devices::testing::Connection;
using devices::testing::FrontEnd;

namespace {

constexpr std::size_t kMostMessages = 64;
constexpr std::size_t kAreaBytes = 16384;  // of the inflight area: some rings fit, others do not

/// A new descriptor of a kind that the input chooses.
FileDescriptor make_descriptor(unsigned kind, int memory) {
  std::array<int, 2> pipe{-1, -1};
  switch (kind % 5) {
    case 0:
      return devices::testing::make_eventfd();
    case 1:
      return FileDescriptor(::dup(memory));
    case 2: {
      FileDescriptor file(::memfd_create("small", MFD_CLOEXEC));
      static_cast<void>(!::ftruncate(file.get(), 4096));
      return file;
    }
    case 3:
      if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return {};
      ::close(pipe[1]);
      return FileDescriptor(pipe[0]);
    default:
      return FileDescriptor(::open("/dev/null", O_RDWR | O_CLOEXEC));
  }
}

/// The payload of SET_INFLIGHT_FD: half of the time one that makes sense.
vhost_user::Inflight describe_area(fuzz::Input& input) {
  vhost_user::Inflight area{kAreaBytes, 0, static_cast<std::uint16_t>(1 + input.take<std::uint8_t>() % 4),
                            FrontEnd::kRingSize};
  if ((input.take<std::uint8_t>() & 1) == 0) return area;
  area.mmap_size = input.take<std::uint16_t>();
  area.mmap_offset = input.take<std::uint16_t>();
  area.queue_size = input.take<std::uint16_t>();
  return area;
}

void write(std::span<std::byte> memory, fuzz::Input& input) {
  const std::size_t at = input.take<std::uint16_t>() % (memory.size() - 256);
  for (std::size_t i = 0, length = input.take<std::uint8_t>(); i < length; ++i)
    memory[at + i] = static_cast<std::byte>(input.take<std::uint8_t>());
}

void move_frames(Connection& connection, vswitch::Burst& burst, std::size_t consumed) {
  burst.clear();
  connection.port.pull(burst);
  if (!burst.empty()) connection.port.release(std::min(consumed, burst.size()));
  std::array<std::byte, 1514> frame{};
  static_cast<void>(devices::testing::push_one(connection.port, std::span(frame).first(14 + consumed)));
  static_cast<void>(connection.port.arm());
  connection.port.disarm();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned pairs = 1 + input.take<std::uint8_t>() % 2;
  const unsigned kind = input.take<std::uint8_t>();
  // The front end's rings are split: as packed ones they are what a confused guest might have.
  Connection connection(
      {.queue_pairs = pairs, .offloads = (kind & 1) != 0},
      FrontEnd::kFeatures | virtio::kFeatureEventIndex | ((kind & 2) != 0 ? virtio::kFeaturePackedRing : 0));
  const FileDescriptor area(::memfd_create("area", MFD_CLOEXEC));
  static_cast<void>(!::ftruncate(area.get(), kAreaBytes));
  const MemoryMapping area_memory(area.get(), kAreaBytes, PROT_READ | PROT_WRITE, "an inflight area");
  FrontEnd& peer = connection.peer;
  const auto burst = std::make_unique<vswitch::Burst>();
  // Half of the inputs begin where a real front end has come far.
  if ((input.take<std::uint8_t>() & 1) != 0) peer.start();

  for (std::size_t n = 0; n < kMostMessages && !input.empty() && connection.session != nullptr; ++n) {
    const unsigned action = input.take<std::uint8_t>();
    if (action % 4 == 0) {  // the guest writes into its memory
      write((action & 4) != 0 ? area_memory.bytes() : peer.ram().bytes(), input);
      move_frames(connection, *burst, input.take<std::uint8_t>());
      continue;
    }
    if (action % 16 == 3) {
      const vhost_user::Inflight offered = describe_area(input);
      peer.send(vhost_user::Request::set_inflight_fd, offered, {area.get()},
                input.take<std::uint8_t>() & 0x8U);
      move_frames(connection, *burst, input.take<std::uint8_t>());
      continue;
    }
    std::vector<FileDescriptor> owned;
    std::array<int, 16> fds{};
    const std::size_t count = std::min<std::size_t>(input.take<std::uint8_t>() % 12, fds.size());
    for (std::size_t i = 0; i < count; ++i) {
      owned.push_back(make_descriptor(input.take<std::uint8_t>(), peer.ram().fd()));
      fds[i] = owned.back().get();
    }
    std::array<std::byte, 320> payload{};
    const std::size_t length = std::min<std::size_t>(input.take<std::uint16_t>() % 321, payload.size());
    for (std::size_t i = 0; i < length && !input.empty(); ++i)
      payload[i] = static_cast<std::byte>(input.take<std::uint8_t>());
    if (action % 4 == 1 && length >= 40) {  // addresses that hit
      const vhost_user::MemoryRegion region = peer.region();
      std::memcpy(payload.data() + 8, &region, sizeof region);
    }
    const vhost_user::MessageHeader header{input.take<std::uint8_t>() % 42U,
                                           1U | (input.take<std::uint8_t>() & 0x8U),
                                           static_cast<std::uint32_t>(length)};
    devices::testing::send_message(peer.fd(), header, std::span(payload).first(length),
                                   std::span(fds).first(count));
    Connection::pump(&connection);
    std::array<std::byte, 512> replies;
    static_cast<void>(!::recv(peer.fd(), replies.data(), replies.size(), MSG_DONTWAIT));
    move_frames(connection, *burst, input.take<std::uint8_t>());
  }
  if (connection.session != nullptr && devices::testing::is_readable(connection.port.attention_fd())) {
    try {
      connection.session->on_attention();
    } catch (const std::runtime_error&) {
    }
  }
  return 0;
}
