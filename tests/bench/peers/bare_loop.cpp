#include "tests/bench/peers/bare_loop.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "devices/net/net_header.h"
#include "devices/net/segment_cursor.h"
#include "devices/vhost_user/channel.h"
#include "devices/vhost_user/peer_memory.h"
#include "devices/virtio/address_cache.h"
#include "devices/virtio/split_layout.h"

namespace patchbay::bench {
namespace {

using namespace devices;
using namespace devices::vhost_user;
using virtio::SplitDescriptor;
using virtio::SplitUsedElement;

constexpr std::uint16_t kBurst = 64;

struct Ring {
  std::uint16_t size = 0;
  std::optional<VringAddress> address;
  bool kicked = false;
  SplitDescriptor* descriptors = nullptr;
  std::byte* avail = nullptr;
  std::byte* used = nullptr;
  std::uint16_t next = 0;

  [[nodiscard]] std::uint16_t waiting() const noexcept {
    auto& index = *reinterpret_cast<std::uint16_t*>(avail + virtio::kAvailIndex);
    return static_cast<std::uint16_t>(std::atomic_ref(index).load(std::memory_order_acquire) - next);
  }
  [[nodiscard]] std::uint16_t head(unsigned i) const noexcept {
    std::uint16_t head = 0;
    std::memcpy(&head, avail + virtio::kAvailRing + 2U * ((next + i) & (size - 1U)), sizeof head);
    return head;
  }
  void use(unsigned i, std::uint16_t id, std::uint32_t bytes) const noexcept {
    const SplitUsedElement element{id, bytes};
    std::memcpy(used + virtio::kUsedRing + sizeof element * ((next + i) & (size - 1U)), &element,
                sizeof element);
  }
  void publish(std::uint16_t count) noexcept {
    next = static_cast<std::uint16_t>(next + count);
    auto& index = *reinterpret_cast<std::uint16_t*>(used + virtio::kUsedIndex);
    std::atomic_ref(index).store(next, std::memory_order_release);
  }
};

struct Peer {
  explicit Peer(FileDescriptor socket) : channel(std::move(socket)) {}

  Channel channel;
  std::shared_ptr<const PeerMemory> memory = std::make_shared<PeerMemory>();
  virtio::AddressCache addresses;
  std::array<Ring, 2> rings;
  std::vector<FileDescriptor> fds;
  std::uint32_t started = 0;

  [[nodiscard]] bool ready() const noexcept { return started == 3; }
  void serve();
  void handle(Message& message);
  void start(unsigned index);
};

template <typename T>
T payload(const Message& message) {
  T value{};
  std::memcpy(&value, message.payload.data(), std::min(sizeof value, message.payload.size()));
  return value;
}

void Peer::serve() {
  while (auto message = channel.receive())
    handle(*message);
}

void Peer::handle(Message& message) {
  const auto reply = [&](const auto& value) {
    channel.reply(message.header, std::as_bytes(std::span(&value, 1)));
  };
  switch (static_cast<Request>(message.header.request)) {
    case Request::get_features:
      return reply(std::uint64_t{virtio::kFeatureVersion1 | kFeatureProtocol});
    case Request::get_protocol_features:
      return reply(std::uint64_t{0});
    case Request::set_mem_table: {
      const auto header = payload<MemoryTableHeader>(message);
      memory = std::make_shared<PeerMemory>();
      for (std::uint32_t i = 0; i < header.regions; ++i) {
        MemoryRegion region;
        std::memcpy(&region, message.payload.data() + sizeof header + i * sizeof region, sizeof region);
        memory = memory->with(region, message.fds.at(i).get());
      }
      addresses.bind(memory->guest());
      break;
    }
    case Request::set_vring_num: {
      const auto state = payload<VringState>(message);
      rings.at(state.index).size = static_cast<std::uint16_t>(state.value);
      break;
    }
    case Request::set_vring_addr: {
      const auto address = payload<VringAddress>(message);
      rings.at(address.index).address = address;
      break;
    }
    case Request::set_vring_kick: {
      const auto index = static_cast<unsigned>(payload<std::uint64_t>(message) & kVringIndexMask);
      start(index);
      break;
    }
    case Request::get_vring_base: {
      const auto state = payload<VringState>(message);
      started = 0;
      return reply(VringState{state.index, rings.at(state.index).next});
    }
    default:
      break;
  }
}

void Peer::start(unsigned index) {
  Ring& ring = rings.at(index);
  const auto host = [&](std::uint64_t user, std::size_t bytes) {
    const auto guest = memory->to_guest(user);
    std::byte* const at = guest ? memory->guest().translate(*guest, bytes) : nullptr;
    if (at == nullptr) throw std::runtime_error("a ring outside the shared memory");
    return at;
  };
  ring.descriptors = reinterpret_cast<SplitDescriptor*>(
      host(ring.address.value().descriptors, virtio::descriptor_table_bytes(ring.size)));
  ring.avail = host(ring.address->available, virtio::avail_bytes(ring.size));
  ring.used = host(ring.address->used, virtio::used_bytes(ring.size));
  const std::uint16_t polled = virtio::kUsedNoNotify;
  std::memcpy(ring.used + virtio::kUsedFlags, &polled, sizeof polled);
  ring.next = 0;
  started |= 1U << index;
}

void move(Peer& from, Peer& to) noexcept {
  Ring& source = from.rings[1];
  Ring& destination = to.rings[0];
  const auto count = std::min({source.waiting(), destination.waiting(), kBurst});
  if (count == 0) return;
  std::array<std::byte*, kBurst> data;
  std::array<std::byte*, kBurst> buffer;
  std::array<std::uint32_t, kBurst> length;
  for (unsigned i = 0; i < count; ++i) {
    const std::uint16_t head = source.head(i);
    const SplitDescriptor descriptor = source.descriptors[head];
    data[i] = from.addresses.translate(descriptor.address, descriptor.length);
    length[i] = descriptor.length;
    __builtin_prefetch(data[i]);
    __builtin_prefetch(data[i] + 64);
    source.use(i, head, 0);
  }
  for (unsigned i = 0; i < count; ++i) {
    const std::uint16_t head = destination.head(i);
    const SplitDescriptor descriptor = destination.descriptors[head];
    buffer[i] = to.addresses.translate(descriptor.address, descriptor.length);
    net::prefetch_for_write(buffer[i]);
    net::prefetch_for_write(buffer[i] + 64);
    destination.use(i, head, length[i]);
  }
  for (unsigned i = 0; i < count; ++i) {
    std::memcpy(buffer[i], data[i], length[i]);
    net::write_plain_header(buffer[i], 1);
  }
  source.publish(count);
  destination.publish(count);
}

FileDescriptor listen_at(const std::string& path) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 1) != 0) {
    throw std::runtime_error("cannot listen on " + path);
  }
  return socket;
}

void copy_loop(std::vector<std::unique_ptr<Peer>>& peers, int cpu, const std::atomic<bool>& stop) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  ::sched_setaffinity(0, sizeof set, &set);
  while (!stop.load(std::memory_order_relaxed)) {
    move(*peers[0], *peers[1]);
    move(*peers[1], *peers[0]);
  }
}

/// The peers' messages until all rings run; false when told to stop.
bool set_up(std::vector<std::unique_ptr<Peer>>& peers, const std::vector<FileDescriptor>& listeners,
            int stop_fd) {
  while (!std::all_of(peers.begin(), peers.end(), [](const auto& p) { return p != nullptr && p->ready(); })) {
    std::vector<pollfd> watched{{stop_fd, POLLIN, 0}};
    for (std::size_t i = 0; i < peers.size(); ++i)
      watched.push_back({peers[i] ? peers[i]->channel.fd() : listeners[i].get(), POLLIN, 0});
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched[0].revents != 0) return false;
    for (std::size_t i = 0; i < peers.size(); ++i) {
      if (watched[i + 1].revents == 0) continue;
      if (peers[i] == nullptr) {
        peers[i] = std::make_unique<Peer>(
            FileDescriptor(::accept4(listeners[i].get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
      } else {
        try {
          peers[i]->serve();
        } catch (const std::runtime_error&) {
          peers[i].reset();
        }
      }
    }
  }
  return true;
}

}  // namespace

void run_bare_loop(const std::vector<std::string>& sockets, int cpu, int stop_fd) {
  std::vector<FileDescriptor> listeners;
  for (const std::string& path : sockets)
    listeners.push_back(listen_at(path));
  std::vector<std::unique_ptr<Peer>> peers(sockets.size());
  while (set_up(peers, listeners, stop_fd)) {
    std::atomic<bool> stop{false};
    std::thread copier([&] { copy_loop(peers, cpu, stop); });
    // The first word of a peer, most likely its last, ends the copying.
    std::vector<pollfd> watched{{stop_fd, POLLIN, 0}};
    for (const auto& peer : peers)
      watched.push_back({peer->channel.fd(), POLLIN, 0});
    bool quit = false;
    for (bool over = false; !over;) {
      if (::poll(watched.data(), watched.size(), -1) < 0) continue;
      quit = watched[0].revents != 0;
      over = quit ||
             std::any_of(watched.begin() + 1, watched.end(), [](const pollfd& p) { return p.revents != 0; });
    }
    stop.store(true);
    copier.join();
    if (quit) break;
    for (auto& peer : peers) {
      try {
        peer->serve();
      } catch (const std::runtime_error&) {
        peer.reset();
      }
    }
  }
  for (const std::string& path : sockets)
    ::unlink(path.c_str());
}

}  // namespace patchbay::bench
