#include "devices/vhost_user/session.h"

#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "devices/net/net_header.h"
#include "devices/virtio/features.h"
#include "devices/virtio/packed_layout.h"
#include "devices/virtio/split_layout.h"
#include "devices/virtio/status.h"

namespace patchbay::devices::vhost_user {
namespace {

using virtio::RingError;

constexpr std::uint64_t kProtocolOffered = kProtocolMq | kProtocolReplyAck | kProtocolMtu | kProtocolConfig |
                                           kProtocolInflight | kProtocolResetDevice | kProtocolMemSlots |
                                           kProtocolStatus;
constexpr std::uint32_t kLargestRing = 32768;  // 2.7
// A peer that floods the socket lets the control thread go on with others after so many.
constexpr int kMessagesAtOnce = 256;

/// The payload as a T; longer ones are refused too.
template <typename T>
T payload_as(const Message& message) {
  if (message.payload.size() != sizeof(T)) throw std::runtime_error("a payload of the wrong size");
  T value;
  std::memcpy(&value, message.payload.data(), sizeof value);
  return value;
}

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

/// Of a split ring; nothing if it lies in no memory, which keeps the ring from starting.
std::optional<std::uint16_t> used_index(const GuestMemory& memory, std::uint64_t used_ring) {
  const std::byte* const at = memory.translate(used_ring, virtio::kUsedRing);
  if (at == nullptr) return std::nullopt;
  std::uint16_t index = 0;
  std::memcpy(&index, at + virtio::kUsedIndex, sizeof index);
  return index;
}

FileDescriptor only_fd(Message& message) {
  if (message.fds.size() != 1) throw std::runtime_error("one descriptor was expected");
  return std::move(message.fds.front());
}

}  // namespace

Session::Session(FileDescriptor socket, VhostUserPort& port)
    : channel_(std::move(socket)), port_(port), rings_(port.ring_count()) {}

Session::~Session() {
  port_.disconnect();
}

void Session::on_readable() {
  for (int i = 0; i < kMessagesAtOnce; ++i) {
    std::optional<Message> message = channel_.receive();
    if (!message) return;
    handle(*message);
  }
}

void Session::handle(Message& message) {
  const bool acknowledge =
      (protocol_ & kProtocolReplyAck) != 0 && (message.header.flags & MessageHeader::kNeedReply) != 0;
  std::uint64_t failed = 0;
  try {
    if (const auto answer = serve(message)) {
      channel_.reply(message.header, answer->payload, answer->fd.get());
      return;
    }
  } catch (const std::runtime_error& error) {
    complaint_ = std::string(to_string(static_cast<Request>(message.header.request))) + " (" +
                 std::to_string(message.header.request) + "): " + error.what();
    if (!acknowledge) throw std::runtime_error(complaint_);
    failed = 1;
  }
  if (acknowledge) channel_.reply(message.header, bytes_of(failed));
}

std::optional<Session::Answer> Session::serve(Message& message) {
  switch (static_cast<Request>(message.header.request)) {
    case Request::get_features:
      return Answer{bytes_of(port_.offered_features() | kFeatureProtocol), {}};
    case Request::set_features:
      set_features(payload_as<std::uint64_t>(message));
      break;
    case Request::get_protocol_features:
      return Answer{bytes_of(kProtocolOffered), {}};
    case Request::set_protocol_features: {
      const auto wanted = payload_as<std::uint64_t>(message);
      if ((wanted & ~kProtocolOffered) != 0) throw std::runtime_error("features that were not offered");
      protocol_ = wanted;
      break;
    }
    case Request::set_owner:
      break;
    case Request::reset_owner:
    case Request::reset_device:
      reset();
      break;
    case Request::get_queue_num:
      return Answer{bytes_of(std::uint64_t{port_.ring_count() / 2}), {}};
    case Request::get_max_mem_slots:
      return Answer{bytes_of(std::uint64_t{kMemorySlots}), {}};

    case Request::set_mem_table:
      set_memory_table(message);
      break;
    case Request::add_mem_reg: {
      const auto region = payload_as<SingleMemoryRegion>(message).region;
      const FileDescriptor fd = only_fd(message);
      const auto memory = memory_->with(region, fd.get());
      with_rings_stopped([&] { port_.set_memory(memory_ = memory); });
      break;
    }
    case Request::rem_mem_reg: {
      const auto memory = memory_->without(payload_as<SingleMemoryRegion>(message).region);
      with_rings_stopped([&] { port_.set_memory(memory_ = memory); });
      break;
    }

    case Request::set_vring_num: {
      const auto state = payload_as<VringState>(message);
      if (state.value == 0 || state.value > kLargestRing) throw std::runtime_error("an impossible ring size");
      Ring& changed = ring(state.index);
      with_rings_stopped([&] { changed.size = static_cast<std::uint16_t>(state.value); });
      break;
    }
    case Request::set_vring_addr: {
      const auto address = payload_as<VringAddress>(message);
      Ring& changed = ring(address.index);
      with_rings_stopped([&] { changed.address = address; });
      break;
    }
    case Request::set_vring_base: {
      const auto state = payload_as<VringState>(message);
      Ring& changed = ring(state.index);
      // Of a packed ring the upper half tells where used descriptors go on. That is where the available ones
      // do: a ring is stopped with nothing in hand. DPDK leaves it zero.
      if (state.value > 0xffff && !packed()) {
        throw std::runtime_error("an index that a split ring cannot have");
      }
      if (changed.started) {
        stop(state.index);
        forget_inflight(state.index);
      }
      changed.base = static_cast<std::uint16_t>(state.value);
      start_if_ready(state.index);
      break;
    }
    case Request::get_vring_base: {
      const auto state = payload_as<VringState>(message);
      Ring& stopped = ring(state.index);
      stop(state.index);
      forget_inflight(state.index);
      stopped.kicked = false;
      port_.set_kick(state.index, {});
      const std::uint32_t base = position(stopped);
      return Answer{bytes_of(VringState{state.index, packed() ? base | base << 16 : base}), {}};
    }
    case Request::set_vring_kick:
    case Request::set_vring_call:
    case Request::set_vring_err:
      set_vring_fd(message);
      break;
    case Request::set_vring_enable: {
      const auto state = payload_as<VringState>(message);
      static_cast<void>(ring(state.index));
      port_.set_enabled(state.index, state.value != 0);
      break;
    }

    case Request::get_inflight_fd:
      return make_inflight_area(message);
    case Request::set_inflight_fd:
      set_inflight_area(message);
      break;

    case Request::net_set_mtu: {
      // The MTU of the link rules; a peer with a larger one has its long frames dropped, and counted.
      if (payload_as<std::uint64_t>(message) > port_.mtu())
        throw std::runtime_error("the link has a smaller MTU");
      break;
    }
    case Request::get_config:
      return config(message);
    case Request::set_config:
      throw std::runtime_error("the configuration is read-only");
    case Request::set_status: {
      status_ = static_cast<std::uint8_t>(payload_as<std::uint64_t>(message));
      if (status_ == 0) reset();
      break;
    }
    case Request::get_status:
      return Answer{bytes_of(std::uint64_t{status_}), {}};
    default:
      throw std::runtime_error("a request that was not offered");
  }
  return std::nullopt;
}

Session::Ring& Session::ring(std::uint64_t index) {
  if (index >= rings_.size()) {
    throw std::runtime_error("ring " + std::to_string(index) + " where there are " +
                             std::to_string(rings_.size()));
  }
  return rings_[index];
}

void Session::set_features(FeatureSet features) {
  const FeatureSet unknown = features & ~(port_.offered_features() | kFeatureProtocol);
  if (unknown != 0) throw std::runtime_error("features that were not offered");
  const bool protocol = (features & kFeatureProtocol) != 0;
  features &= ~kFeatureProtocol;
  // The control queue never comes here: it is the front end's own, which may keep its bit to itself and leave
  // us those that depend on it (5.1.3.1).
  if (!net::dependencies_met(features | net::kFeatureControlQueue)) {
    throw std::runtime_error("features that depend on missing ones");
  }
  with_rings_stopped([&] {
    if (((features ^ features_) & virtio::kFeaturePackedRing) != 0) {
      for (unsigned i = 0; i < rings_.size(); ++i) {
        forget_inflight(i);
        rings_[i].base.reset();
      }
    }
    features_ = features;
    port_.set_features(features);
  });
  // Without the protocol features there is no SET_VRING_ENABLE: rings start enabled.
  if (!protocol) {
    for (unsigned i = 0; i < port_.ring_count(); ++i)
      port_.set_enabled(i, true);
  }
}

void Session::set_memory_table(Message& message) {
  MemoryTableHeader header;
  if (message.payload.size() < sizeof header) throw std::runtime_error("a payload of the wrong size");
  std::memcpy(&header, message.payload.data(), sizeof header);
  if (header.regions > kTableRegions || header.regions != message.fds.size() ||
      message.payload.size() < sizeof header + header.regions * sizeof(MemoryRegion)) {
    throw std::runtime_error("numbers of regions and descriptors that do not fit");
  }
  auto memory = std::make_shared<const PeerMemory>();
  for (std::uint32_t i = 0; i < header.regions; ++i) {
    MemoryRegion region;
    std::memcpy(&region, message.payload.data() + sizeof header + i * sizeof region, sizeof region);
    memory = memory->with(region, message.fds[i].get());
    if (memory->size() != i + 1) throw std::runtime_error("a memory region twice in a table");
  }
  with_rings_stopped([&] { port_.set_memory(memory_ = memory); });
}

void Session::set_vring_fd(Message& message) {
  const auto payload = payload_as<std::uint64_t>(message);
  if ((payload & ~(kVringIndexMask | kVringNoFd)) != 0) throw std::runtime_error("unknown bits");
  const auto index = static_cast<unsigned>(payload & kVringIndexMask);
  Ring& changed = ring(index);
  FileDescriptor fd = (payload & kVringNoFd) != 0 ? FileDescriptor() : only_fd(message);
  switch (static_cast<Request>(message.header.request)) {
    case Request::set_vring_kick:
      port_.set_kick(index, std::move(fd));
      changed.kicked = true;
      start_if_ready(index);
      break;
    case Request::set_vring_call:
      port_.set_call(index, std::move(fd));
      break;
    default:
      require_eventfd(fd);
      changed.error = std::move(fd);
  }
}

Inflight Session::inflight_payload(const Message& message) const {
  Inflight wanted;
  if (message.payload.size() != sizeof wanted && message.payload.size() != kUnpaddedInflight) {
    throw std::runtime_error("a payload of the wrong size");
  }
  std::memcpy(&wanted, message.payload.data(), message.payload.size());
  if (wanted.queues == 0 || wanted.queues > rings_.size() || wanted.queue_size == 0 ||
      wanted.queue_size > kLargestRing) {
    throw std::runtime_error("an inflight area for " + std::to_string(wanted.queues) + " rings of " +
                             std::to_string(wanted.queue_size) + " where there are " +
                             std::to_string(rings_.size()));
  }
  return wanted;
}

Session::Answer Session::make_inflight_area(const Message& message) const {
  Inflight area = inflight_payload(message);
  area.mmap_size = InflightArea::bytes(area.queues, area.queue_size);
  area.mmap_offset = 0;
  Answer answer{bytes_of(area), InflightArea::create(area.mmap_size)};
  answer.payload.resize(message.payload.size());
  return answer;
}

void Session::set_inflight_area(Message& message) {
  const Inflight offered = inflight_payload(message);
  const FileDescriptor fd = only_fd(message);
  auto area = std::make_unique<InflightArea>(offered, fd.get());
  with_rings_stopped([&] { inflight_ = std::move(area); });
}

void Session::start_if_ready(unsigned index) {
  Ring& ready = rings_[index];
  if (ready.started || !ready.kicked || ready.size == 0 || !ready.address || memory_->size() == 0) return;
  if ((features_ & virtio::kFeatureVersion1) == 0) {
    throw std::runtime_error("a guest without VIRTIO_F_VERSION_1 (legacy drivers are not served)");
  }
  const auto descriptors = memory_->to_guest(ready.address->descriptors);
  const auto available = memory_->to_guest(ready.address->available);
  const auto used = memory_->to_guest(ready.address->used);
  if (!descriptors || !available || !used) {
    throw std::runtime_error(std::string(to_string(RingError::unmapped_ring)));
  }
  virtio::RingSetup setup;
  setup.size = ready.size;
  setup.descriptors = *descriptors;
  setup.driver_area = *available;
  setup.device_area = *used;
  setup.event_index = (features_ & virtio::kFeatureEventIndex) != 0;
  setup.indirect = (features_ & virtio::kFeatureIndirectDescriptors) != 0;
  setup.in_order = (features_ & virtio::kFeatureInOrder) != 0;
  setup.packed = packed();
  setup.resume = true;
  setup.next_avail = position(ready);
  // Whatever the base: nobody holds chains between the two, and DPDK's virtio-user comes back with a base of
  // 0.
  if (!packed()) setup.next_avail = used_index(memory_->guest(), *used).value_or(setup.next_avail);
  if (inflight_ != nullptr) inflight_->start(index, setup, memory_->guest());
  const RingError error = port_.start(index, setup);
  if (error != RingError::none) throw std::runtime_error(std::string(to_string(error)));
  ready.started = true;
}

std::uint16_t Session::position(const Ring& ring) const noexcept {
  return ring.base.value_or(packed() ? virtio::kPackedWrap : std::uint16_t{0});
}

void Session::stop(unsigned index) {
  Ring& stopped = rings_[index];
  if (!std::exchange(stopped.started, false)) return;
  stopped.base = port_.stop(index);
}

void Session::forget_inflight(unsigned index) noexcept {
  if (inflight_ != nullptr) inflight_->finish(index, packed());
}

template <typename Change>
void Session::with_rings_stopped(Change change) {
  for (unsigned i = 0; i < rings_.size(); ++i)
    stop(i);
  change();
  // What is missing may still come: a table without the rings' regions is followed by others.
  for (unsigned i = 0; i < rings_.size(); ++i) {
    try {
      start_if_ready(i);
    } catch (const std::runtime_error& error) {
      complaint_ = "ring " + std::to_string(i) + ": " + error.what();
    }
  }
}

void Session::reset() {
  for (unsigned i = 0; i < rings_.size(); ++i) {
    stop(i);
    forget_inflight(i);
    port_.set_enabled(i, false);
    port_.set_kick(i, {});
    rings_[i].kicked = false;
    rings_[i].base.reset();
  }
  status_ = 0;
}

Session::Answer Session::config(const Message& message) const {
  ConfigHeader header;
  if (message.payload.size() < sizeof header) throw std::runtime_error("a payload of the wrong size");
  std::memcpy(&header, message.payload.data(), sizeof header);
  if (header.size > kMaxConfig || message.payload.size() != sizeof header + header.size) {
    throw std::runtime_error("a payload of the wrong size");
  }
  // struct virtio_net_config (5.1.4): mac, status, max_virtqueue_pairs, mtu. The front end knows the MAC.
  std::array<std::byte, 12> space{};
  const auto pairs = static_cast<std::uint16_t>(port_.ring_count() / 2);
  const std::uint16_t mtu = port_.mtu();
  space[6] = std::byte{1};  // VIRTIO_NET_S_LINK_UP
  std::memcpy(&space[8], &pairs, sizeof pairs);
  std::memcpy(&space[10], &mtu, sizeof mtu);
  std::vector<std::byte> answer(message.payload.size());
  std::memcpy(answer.data(), &header, sizeof header);
  for (std::size_t i = 0; i < header.size; ++i) {
    const std::uint64_t at = std::uint64_t{header.offset} + i;
    if (at < space.size()) answer[sizeof header + i] = space[at];
  }
  return {std::move(answer), {}};
}

void Session::on_attention() {
  const VhostUserPort::Error error = port_.take_error();
  if (error.memory_lost) throw std::runtime_error("the peer took its shared memory away");
  if (error.reason == RingError::none) return;
  complaint_ = "ring " + std::to_string(error.ring) + " stopped: " + std::string(to_string(error.reason));
  status_ |= virtio::kNeedsReset;
  const std::uint64_t one = 1;
  if (const FileDescriptor& fd = rings_[error.ring].error; fd) {
    static_cast<void>(!::write(fd.get(), &one, sizeof one));
  }
}

}  // namespace patchbay::devices::vhost_user
