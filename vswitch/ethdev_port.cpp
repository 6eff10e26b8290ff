#include "vswitch/ethdev_port.h"

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace patchbay::vswitch {
namespace {

using std::chrono::nanoseconds;

constexpr std::uint16_t kDescriptors = 512;
// Enough for both queues and what the switch holds: 2.5 MiB a port, 10 with a large MTU.
constexpr unsigned kBuffers = 1023;
constexpr unsigned kCachedBuffers = 64;  // by a thread that is registered with the EAL
constexpr std::size_t kFrameOverhead = kEthernetHeader + 2 * kVlanTag;
constexpr nanoseconds kShortestNap = std::chrono::microseconds(100);

[[noreturn]] void fail(const std::string& what, int error, const std::string& way_out) {
  throw std::runtime_error(
      fmt::format("{}: {}; {}", what, rte_strerror(error < 0 ? -error : error), way_out));
}

/// Of a buffer's data. The usual ones take frames of 1,500 bytes; some drivers take no other.
constexpr std::uint16_t buffer_bytes(std::size_t longest_frame) noexcept {
  constexpr std::size_t kUsual = RTE_MBUF_DEFAULT_DATAROOM;
  return static_cast<std::uint16_t>(RTE_PKTMBUF_HEADROOM + std::max(kUsual, longest_frame));
}

FileDescriptor checked(int descriptor, const std::string& port) {
  if (descriptor < 0)
    fail("no descriptor for '" + port + "'", errno, "raise the limit of open files (ulimit -n)");
  return FileDescriptor(descriptor);
}

}  // namespace

EthdevPort::EthdevPort(const EthdevConfig& config)
    : Port(config.port_name),
      devargs_(config.devargs),
      device_(config.devargs.substr(0, config.devargs.find(','))),
      longest_frame_(config.mtu + kFrameOverhead),
      timer_(checked(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), config.port_name)) {
  try {
    set_up(config);
  } catch (...) {
    tear_down();
    throw;
  }
}

EthdevPort::~EthdevPort() {
  tear_down();
}

std::string EthdevPort::subject() const {
  return fmt::format("'{}' cannot have the DPDK device '{}'", name(), devargs_);
}

void EthdevPort::set_up(const EthdevConfig& config) {
  std::uint16_t known = 0;
  if (rte_eth_dev_get_port_by_name(device_.c_str(), &known) == 0)
    fail(subject(), EEXIST,
         fmt::format("give every device a name of its own: '{}' is taken, append a number", device_));
  const std::string arguments = config.devargs.substr(std::min(device_.size() + 1, config.devargs.size()));
  if (rte_eal_hotplug_add("vdev", device_.c_str(), arguments.c_str()) != 0) {
    throw std::runtime_error(
        subject() +
        ": there is no such driver, or it refuses (its own words stand above); write a driver of DPDK "
        "with its arguments, as in net_af_packet0,iface=eth1, and see that what they name exists");
  }
  probed_ = true;
  if (const int error = rte_eth_dev_get_port_by_name(device_.c_str(), &id_); error != 0)
    fail(subject(), error, "name an Ethernet device (net_...)");

  rte_eth_dev_info info{};
  if (const int error = rte_eth_dev_info_get(id_, &info); error != 0)
    fail(subject(), error, "its driver is of no use");
  driver_ = info.driver_name;
  pool_ = rte_pktmbuf_pool_create(fmt::format("patchbay-{}", id_).c_str(), kBuffers, kCachedBuffers, 0,
                                  buffer_bytes(longest_frame_), static_cast<int>(SOCKET_ID_ANY));
  if (pool_ == nullptr) {
    fail(subject(), rte_errno,
         "there is no memory for its buffers: reserve hugepages (sysctl vm.nr_hugepages=512; mount -t "
         "hugetlbfs hugetlbfs "
         "/dev/hugepages), or use fewer devices");
  }

  const rte_eth_conf settings{};
  std::uint16_t receive = kDescriptors, transmit = kDescriptors;
  const int socket = rte_eth_dev_socket_id(id_);
  const auto step = [&](int error) {
    if (error != 0) fail(subject(), error, "see its driver's documentation for what it needs");
  };
  step(rte_eth_dev_configure(id_, 1, 1, &settings));
  step(rte_eth_dev_adjust_nb_rx_tx_desc(id_, &receive, &transmit));
  step(rte_eth_rx_queue_setup(id_, 0, receive, static_cast<unsigned>(socket), nullptr, pool_));
  step(rte_eth_tx_queue_setup(id_, 0, transmit, static_cast<unsigned>(socket), nullptr));
  std::uint16_t mtu = 0;
  if (rte_eth_dev_get_mtu(id_, &mtu) == 0 && mtu < config.mtu) {
    const int error = rte_eth_dev_set_mtu(id_, static_cast<std::uint16_t>(config.mtu));
    if (error != 0 && error != -ENOTSUP) {  // without the notion of one, a driver takes all lengths
      fail(fmt::format("{} with an MTU of {}", subject(), config.mtu), error,
           "write a smaller mtu at the link, no mtu for 1500: the driver takes no longer frames");
    }
  }
}

void EthdevPort::start() {
  if (const int error = rte_eth_dev_start(id_); error != 0)
    fail(subject(), error, "see its driver's documentation for what it needs");
  (void)rte_eth_promiscuous_enable(id_);  // some have no such mode: they take all frames as it is
  started_.store(true, std::memory_order_release);
}

void EthdevPort::tear_down() noexcept {
  if (held_count_ != 0) rte_pktmbuf_free_bulk(held_.data(), static_cast<unsigned>(held_count_));
  held_count_ = 0;
  if (started_) {
    // A driver leaves the host's interface as it set it.
    (void)rte_eth_promiscuous_disable(id_);
    (void)rte_eth_dev_stop(id_);
  }
  if (probed_) {
    (void)rte_eth_dev_close(id_);
    (void)rte_eal_hotplug_remove("vdev", device_.c_str());
  }
  rte_mempool_free(pool_);
  started_ = false;
  probed_ = false;
  pool_ = nullptr;
}

bool EthdevPort::has_carrier() const noexcept {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

void EthdevPort::receive() noexcept {
  const std::size_t before = held_count_;
  const std::uint16_t got =
      rte_eth_rx_burst(id_, 0, held_.data() + before, static_cast<std::uint16_t>(held_.size() - before));
  if (got != 0) slept_in_vain_ = false;
  for (rte_mbuf* frame : std::span(held_).subspan(before, got)) {
    // The host's kernel takes a VLAN tag out of the frame and tells it on the side.
    const bool tagged = (frame->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) == 0 || rte_vlan_insert(&frame) == 0;
    const std::uint32_t length = rte_pktmbuf_pkt_len(frame);
    if (tagged && length != 0 && length <= kMaxFrameBytes && frame->nb_segs <= kMaxPieces) {
      held_[held_count_++] = frame;
      continue;
    }
    counters.in.frames.add();
    counters.in.bytes.add(length);
    counters.in.drop(DropReason::malformed);
    rte_pktmbuf_free(frame);
  }
}

void EthdevPort::show(const rte_mbuf& frame, Burst& burst) noexcept {
  FrameView& view = burst.next();
  view.length = rte_pktmbuf_pkt_len(&frame);
  view.offload = {};
  std::size_t copied = 0;
  std::size_t pieces = 0;
  for (const rte_mbuf* part = &frame; part != nullptr; part = part->next) {
    const auto* const bytes = rte_pktmbuf_mtod(part, const std::byte*);
    const std::size_t length = rte_pktmbuf_data_len(part);
    const std::size_t in_header = std::min(length, kHeaderBytes - copied);
    std::memcpy(view.header.data() + copied, bytes, in_header);
    copied += in_header;
    if (in_header != length) burst.next_pieces()[pieces++] = {bytes + in_header, length - in_header};
  }
  burst.commit(pieces);
}

void EthdevPort::pull(Burst& burst) {
  if (!started_.load(std::memory_order_acquire)) return;
  if (held_count_ < held_.size()) receive();
  // Frames that a full destination left over come first.
  for (std::size_t i = 0; i < held_count_ && burst.has_room(); ++i)
    show(*held_[i], burst);
}

void EthdevPort::release(std::size_t consumed) {
  rte_pktmbuf_free_bulk(held_.data(), static_cast<unsigned>(consumed));
  std::copy(held_.begin() + static_cast<std::ptrdiff_t>(consumed),
            held_.begin() + static_cast<std::ptrdiff_t>(held_count_), held_.begin());
  held_count_ -= consumed;
}

rte_mbuf* EthdevPort::copy(const FrameView& frame) noexcept {
  rte_mbuf* const buffer = rte_pktmbuf_alloc(pool_);
  if (buffer == nullptr) return nullptr;
  auto* to =
      reinterpret_cast<std::byte*>(rte_pktmbuf_append(buffer, static_cast<std::uint16_t>(frame.length)));
  const auto header = frame.header_bytes();
  std::memcpy(to, header.data(), header.size());
  to += header.size();
  for (const Piece& piece : frame.tail) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  return buffer;
}

std::size_t EthdevPort::push(std::span<const FrameView* const> frames) {
  if (!started_.load(std::memory_order_acquire)) {
    counters.out.drop(DropReason::not_ready, frames.size());
    return frames.size();
  }
  const std::lock_guard lock(mutex_);
  std::array<rte_mbuf*, kBurstFrames> buffers;
  std::array<std::size_t, kBurstFrames> origin;  // of each buffer: the frame's index
  std::size_t count = 0;
  std::size_t at = 0;
  for (; at < frames.size() && count < buffers.size(); ++at) {
    if (frames[at]->length > longest_frame_) {
      counters.out.drop(DropReason::too_long);
      continue;
    }
    buffers[count] = copy(*frames[at]);
    if (buffers[count] == nullptr) break;  // all are on their way: no room
    origin[count++] = at;
  }
  const std::size_t sent = rte_eth_tx_burst(id_, 0, buffers.data(), static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < sent; ++i)
    counters.out.bytes.add(frames[origin[i]]->length);
  counters.out.delivered.add(sent);
  if (sent == count) return at;
  rte_pktmbuf_free_bulk(buffers.data() + sent, static_cast<unsigned>(count - sent));
  return origin[sent];
}

void EthdevPort::set_timer(nanoseconds after) noexcept {
  itimerspec when{};
  when.it_value.tv_nsec = after.count();
  (void)::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

bool EthdevPort::arm() {
  if (held_count_ != 0) return true;
  nap_ = slept_in_vain_ ? std::min<nanoseconds>(2 * nap_, kLongestNap) : kShortestNap;
  slept_in_vain_ = true;  // until a frame comes
  set_timer(nap_);
  return false;
}

void EthdevPort::disarm() {
  set_timer(nanoseconds(0));  // which also makes it unreadable
}

}  // namespace patchbay::vswitch
