// The other side of a vhost-user socket, as a hypervisor plays it, with the guest's driver behind it: for
// unit tests and the fuzz target. The well-behaved calls come first; send() sends anything.
#pragma once

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "devices/bus.h"
#include "devices/net/net_header.h"
#include "devices/vhost_user/protocol.h"
#include "tests/unit/devices/driver_ring.h"
#include "tests/unit/devices/guest_ram.h"

namespace patchbay::devices::testing {

inline FileDescriptor make_eventfd() {
  return FileDescriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

/// Sends one message; false if the socket is closed.
inline bool send_message(int socket, vhost_user::MessageHeader header, std::span<const std::byte> payload,
                         std::span<const int> fds) {
  std::array<iovec, 2> parts{
      {{&header, sizeof header}, {const_cast<std::byte*>(payload.data()), payload.size()}}};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(16 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(sizeof header + payload.size());
}

class FrontEnd {
 public:
  using Request = vhost_user::Request;

  static constexpr std::uint64_t kUserBase = 0x7f00'0000'0000;  // where the front end says it maps the memory
  static constexpr std::uint16_t kRingSize = 64;
  static constexpr std::uint32_t kBufferBytes = 2048;
  static constexpr virtio::FeatureSet kFeatures = virtio::kFeatureVersion1 | vhost_user::kFeatureProtocol;

  struct Ring {
    explicit Ring(GuestRam& ram, bool event_index)
        : driver(ram, kRingSize, event_index), kick(make_eventfd()), call(make_eventfd()) {}
    DriverRing driver;
    FileDescriptor kick;
    FileDescriptor call;
  };

  /// `socket` is our end. `pump` is called after each message, for the other end to handle it.
  FrontEnd(FileDescriptor socket, void (*pump)(void*), void* context, unsigned pairs = 1,
           virtio::FeatureSet features = kFeatures)
      : socket_(std::move(socket)), pump_(pump), context_(context), features_(features) {
    for (unsigned i = 0; i < 2 * pairs; ++i)
      rings_.emplace_back(ram_, (features & virtio::kFeatureEventIndex) != 0);
  }

  [[nodiscard]] GuestRam& ram() noexcept { return ram_; }
  [[nodiscard]] Ring& ring(unsigned i) noexcept { return rings_[i]; }
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  void close() noexcept { socket_.reset(); }
  /// Goes on with another connection.
  void use(FileDescriptor socket) noexcept { socket_ = std::move(socket); }

  template <typename T>
  void send(Request request, const T& payload, std::initializer_list<int> fds = {}, std::uint32_t flags = 0) {
    send_bytes(request, std::as_bytes(std::span(&payload, 1)), fds, flags);
  }
  void send(Request request) { send_bytes(request, {}, {}, 0); }
  void send_bytes(Request request, std::span<const std::byte> payload, std::initializer_list<int> fds,
                  std::uint32_t flags) {
    const vhost_user::MessageHeader header{static_cast<std::uint32_t>(request),
                                           vhost_user::MessageHeader::kVersion | flags,
                                           static_cast<std::uint32_t>(payload.size())};
    send_message(socket_.get(), header, payload, std::span(fds.begin(), fds.size()));
    pump_(context_);
  }

  /// The reply that waits; nothing if none does or its size is another.
  template <typename T>
  std::optional<T> reply() {
    vhost_user::MessageHeader header;
    T value;
    if (::recv(socket_.get(), &header, sizeof header, MSG_DONTWAIT) != sizeof header) return std::nullopt;
    if (header.size != sizeof value || (header.flags & vhost_user::MessageHeader::kReply) == 0)
      return std::nullopt;
    if (::recv(socket_.get(), &value, sizeof value, MSG_DONTWAIT) != sizeof value) return std::nullopt;
    return value;
  }
  /// A reply that comes with a descriptor.
  template <typename T>
  std::optional<std::pair<T, FileDescriptor>> reply_with_fd() {
    struct {
      vhost_user::MessageHeader header;
      std::array<std::byte, sizeof(T)> payload;
    } received;
    iovec part{&received, sizeof received};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof received)
      return std::nullopt;
    const cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    if (rights == nullptr || received.header.size != sizeof(T)) return std::nullopt;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    T value;
    std::memcpy(&value, received.payload.data(), sizeof value);
    return std::pair(value, FileDescriptor(fd));
  }
  /// Sends a request that asks for an acknowledgement, and returns it: 0 is success, kRefused is not.
  static constexpr std::uint64_t kRefused = 1;
  template <typename T>
  std::optional<std::uint64_t> acknowledged(Request request, const T& payload,
                                            std::initializer_list<int> fds = {}) {
    send(request, payload, fds, vhost_user::MessageHeader::kNeedReply);
    return reply<std::uint64_t>();
  }

  [[nodiscard]] vhost_user::MemoryRegion region() const {
    return {GuestRam::kBase, ram_.bytes().size(), kUserBase, 0};
  }
  void share_memory() {
    struct {
      vhost_user::MemoryTableHeader header{1, 0};
      vhost_user::MemoryRegion region;
    } table{{1, 0}, region()};
    send(Request::set_mem_table, table, {ram_.fd()});
  }
  void negotiate(std::uint64_t protocol = vhost_user::kProtocolReplyAck | vhost_user::kProtocolMq |
                                          vhost_user::kProtocolMemSlots) {
    send(Request::set_owner);
    send(Request::set_protocol_features, protocol);
    send(Request::set_features, features_);
  }
  void set_up_ring(unsigned i, std::uint32_t base = 0) { set_up_ring(i, rings_[i].driver.setup(), base); }
  /// A ring of the caller's in ram().
  void set_up_ring(unsigned i, const virtio::RingSetup& setup, std::uint32_t base) {
    const auto user = [](std::uint64_t guest) { return kUserBase + guest - GuestRam::kBase; };
    send(Request::set_vring_num, vhost_user::VringState{i, setup.size});
    send(Request::set_vring_base, vhost_user::VringState{i, base});
    send(Request::set_vring_addr,
         vhost_user::VringAddress{i, 0, user(setup.descriptors), user(setup.device_area),
                                  user(setup.driver_area), 0});
    send(Request::set_vring_call, std::uint64_t{i}, {rings_[i].call.get()});
    send(Request::set_vring_kick, std::uint64_t{i}, {rings_[i].kick.get()});
  }
  void enable_ring(unsigned i, bool enabled = true) {
    send(Request::set_vring_enable, vhost_user::VringState{i, enabled ? 1U : 0U});
  }
  /// What follows the negotiation.
  void start_rings() {
    share_memory();
    for (unsigned i = 0; i < rings_.size(); ++i) {
      set_up_ring(i);
      enable_ring(i);
    }
  }
  /// All of the above.
  void start() {
    negotiate();
    start_rings();
  }
  /// GET_VRING_BASE: stops a ring.
  std::optional<std::uint32_t> stop_ring(unsigned i) {
    send(Request::get_vring_base, vhost_user::VringState{i, 0});
    const auto state = reply<vhost_user::VringState>();
    return state ? std::optional(state->value) : std::nullopt;
  }

  // --- the guest's driver
  // ------------------------------------------------------------------------------------
  void post(std::size_t count, unsigned i = 0) {
    for (std::size_t n = 0; n < count; ++n) {
      const std::uint64_t at = ram_.allocate(kBufferBytes);
      rings_[i].driver.add({{at, kBufferBytes, true}});
      posted_.push_back(at);
    }
    rings_[i].driver.publish();
  }
  /// Queues a frame and publishes it; kicks if the device asks for it.
  void transmit(std::span<const std::byte> frame, unsigned i = 1) {
    const std::uint64_t at = ram_.allocate(kBufferBytes);
    ram_.store(at, net::NetHeader{});
    std::memcpy(ram_.at(at) + sizeof(net::NetHeader), frame.data(), frame.size());
    rings_[i].driver.add({{at, static_cast<std::uint32_t>(sizeof(net::NetHeader) + frame.size())}});
    if (rings_[i].driver.publish()) ::eventfd_write(rings_[i].kick.get(), 1);
  }
  /// The next received frame of a guest that posted its buffers on one ring, in order.
  std::optional<std::vector<std::byte>> receive(unsigned i = 0) {
    const auto used = rings_[i].driver.poll();
    if (!used) return std::nullopt;
    const std::byte* const at = ram_.at(posted_[received_++]) + sizeof(net::NetHeader);
    return std::vector<std::byte>(at, at + used->length - sizeof(net::NetHeader));
  }

 private:
  FileDescriptor socket_;
  void (*pump_)(void*);
  void* context_;
  virtio::FeatureSet features_;
  GuestRam ram_{4 << 20};
  std::vector<Ring> rings_;
  std::vector<std::uint64_t> posted_;
  std::size_t received_ = 0;
};

}  // namespace patchbay::devices::testing
