#include "devices/net/virtio_net.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "devices/net/flow_hash.h"

namespace patchbay::devices::net {
namespace {

constexpr std::uint16_t kLinkUp = 1;        // VIRTIO_NET_S_LINK_UP
constexpr std::uint16_t kAnnounce = 2;      // VIRTIO_NET_S_ANNOUNCE
constexpr std::uint16_t kSmallestMtu = 68;  // 5.1.4.1
constexpr std::uint32_t kEthernetHeader = 14;
constexpr std::uint32_t kVlanTag = 4;
constexpr std::uint16_t kLargestQueue = 1024;  // what drivers and other VMMs are used to
static_assert(kLargestQueue <= virtio::PackedRing::kMaxSize);
constexpr std::uint32_t kSpeed = 10'000;  // Mbit/s; a number to show, nothing is limited to it
constexpr std::uint8_t kFullDuplex = 1;

FeatureSet offered(const VirtioNetConfig& config) {
  return virtio::kFeatureVersion1 | virtio::kFeatureEventIndex | virtio::kFeatureIndirectDescriptors |
         virtio::kFeatureInOrder | (config.packed ? virtio::kFeaturePackedRing : 0) | kFeatureMac |
         kFeatureStatus | kFeatureMtu | kFeatureMergeableRx | kFeatureSpeedDuplex | kControlFeatures |
         (config.queue_pairs > 1 ? kFeatureMultiqueue : 0) |
         (config.offloads ? kOffloadFeatures | kFeatureControlOffloads : 0);
}

/// The arguments of the base classes depend on these being right.
const VirtioNetConfig& checked(const std::string& name, const VirtioNetConfig& config) {
  if ((config.mac[0] & 1) != 0) {
    throw std::runtime_error(name +
                             ": the MAC address is a group address; clear the lowest bit of its first byte");
  }
  if (config.mtu < kSmallestMtu) {
    throw std::runtime_error(name + ": MTU " + std::to_string(config.mtu) + " is too small; use 68 to 65535");
  }
  if (!std::has_single_bit(config.queue_size) || config.queue_size > kLargestQueue) {
    throw std::runtime_error(name + ": queue size " + std::to_string(config.queue_size) +
                             " is not possible; use a power of two up to 1024");
  }
  if (config.queue_pairs == 0 || config.queue_pairs > VirtioNet::kMaxQueuePairs) {
    throw std::runtime_error(name + ": " + std::to_string(config.queue_pairs) +
                             " queue pairs are not possible; use 1 to " +
                             std::to_string(VirtioNet::kMaxQueuePairs));
  }
  return config;
}

}  // namespace

VirtioNet::VirtioNet(std::string name, const VirtioNetConfig& config)
    : Device(kDeviceType, offered(checked(name, config)), 2U * config.queue_pairs + 1, config.queue_size),
      Port(std::move(name)),
      mac_(config.mac),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      config_{config.mac,
              config.link_up ? kLinkUp : std::uint16_t{0},
              config.queue_pairs,
              config.mtu,
              kSpeed,
              kFullDuplex,
              {}},
      pair_count_(config.queue_pairs),
      pairs_(std::make_unique<QueuePair[]>(config.queue_pairs)) {
  if (!wake_) {
    throw std::system_error(
        errno, std::generic_category(),
        "cannot create an eventfd for " + this->name() + "; raise the limit of open files (ulimit -n)");
  }
  filter_.reset(mac_);
  rules_.longest_frame = config.mtu + kEthernetHeader + kVlanTag;
  rules_.link_up = config.link_up;
}

// --- data path
// -----------------------------------------------------------------------------------------------

void VirtioNet::pull(vswitch::Burst& burst) {
  const std::lock_guard lock(mutex());
  if (!live()) return;
  for (unsigned i = 0; i < active_pairs_ && burst.empty(); ++i) {
    const unsigned index = next_pair_;
    next_pair_ = index + 1 < active_pairs_ ? index + 1 : 0;
    QueuePair& pair = pairs_[index];
    const bool interrupt =
        pair.visit([&](auto& queues) { return queues.transmit.pull(burst, rules_, counters.in, copied_); });
    if (interrupt) raise_queue_interrupt(2 * index + kTransmitQueue);
    pulled_pair_ = index;
    stop_if_broken(pair);
  }
  pull_outstanding_ = !burst.empty();
}

void VirtioNet::release(std::size_t consumed) {
  const std::lock_guard lock(mutex());
  // A burst in flight is completed even if the driver has just cleared bus mastering: its buffers would be
  // lost.
  if (!std::exchange(pull_outstanding_, false) || !running()) return;
  if (pairs_[pulled_pair_].visit([&](auto& queues) { return queues.transmit.release(consumed); }))
    raise_queue_interrupt(2 * pulled_pair_ + kTransmitQueue);
}

void VirtioNet::stop_if_broken(QueuePair& pair) noexcept {
  if (const virtio::RingError error = pair.error(); error != virtio::RingError::none) [[unlikely]]
    stop(error);
}

std::size_t VirtioNet::push(Frames frames) {
  const std::lock_guard lock(mutex());
  if (!rules_.link_up) {
    counters.out.drop(vswitch::DropReason::link_down, frames.size());
    return frames.size();
  }
  if (!live() || !pairs_[0].visit([](auto& queues) { return queues.receive.ring().enabled(); })) {
    counters.out.drop(vswitch::DropReason::not_ready, frames.size());
    return frames.size();
  }
  if (active_pairs_ == 1 && filter_.passes_all()) return push_to(0, frames);
  return push_sorted(frames);
}

std::size_t VirtioNet::push_to(unsigned index, Frames frames) noexcept {
  QueuePair& pair = pairs_[index];
  const auto pushed = pair.visit([&](auto& queues) {
    const auto result = queues.receive.push(frames, rules_, counters.out, copied_);
    return std::pair(result.frames, result.interrupt);
  });
  if (pushed.second) raise_queue_interrupt(2 * index + kReceiveQueue);
  const virtio::RingError error = pair.error();
  if (error != virtio::RingError::none) [[unlikely]] {
    stop(error);
    counters.out.drop(vswitch::DropReason::not_ready, frames.size() - pushed.first);
    return frames.size();
  }
  return pushed.first;
}

std::size_t VirtioNet::push_sorted(Frames frames) noexcept {
  constexpr std::uint8_t kFiltered = 0xFF;
  static_assert(kMaxQueuePairs < kFiltered);
  frames = frames.first(std::min(frames.size(), vswitch::kBurstFrames));
  std::array<std::uint8_t, vswitch::kBurstFrames> queue;
  std::size_t filtered = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    queue[i] = !filter_.passes(*frames[i]) ? kFiltered
               : active_pairs_ == 1        ? std::uint8_t{0}
                                           : static_cast<std::uint8_t>(flow_hash(*frames[i]) % active_pairs_);
    if (queue[i] == kFiltered) ++filtered;
  }
  std::size_t handled = frames.size();
  std::size_t left_over = 0;  // found no room in their queue
  for (unsigned index = 0; index < active_pairs_; ++index) {
    std::array<const vswitch::FrameView*, vswitch::kBurstFrames> group;
    std::array<std::uint8_t, vswitch::kBurstFrames> place;
    std::size_t count = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      if (queue[i] != index) continue;
      place[count] = static_cast<std::uint8_t>(i);
      group[count++] = frames[i];
    }
    if (count == 0) continue;
    const std::size_t taken = push_to(index, Frames(group).first(count));
    left_over += count - taken;
    // With one queue, what follows a frame that found no room waits with it.
    if (active_pairs_ == 1 && taken < count) {
      handled = place[taken];
      filtered =
          static_cast<std::size_t>(std::count_if(queue.begin(), queue.end(), [&](const std::uint8_t& q) {
            return q == kFiltered && &q < &queue[place[taken]];
          }));
    }
  }
  counters.out.drop(vswitch::DropReason::filtered, filtered);
  // With several, frames behind it may have been delivered already: a queue that is full loses frames.
  if (active_pairs_ > 1) counters.out.drop(vswitch::DropReason::no_room, left_over);
  return handled;
}

bool VirtioNet::arm() {
  const std::lock_guard lock(mutex());
  armed_ = true;
  if (!live()) return false;  // DRIVER_OK will wake the worker
  bool waiting = false;
  for (unsigned index = 0; index < active_pairs_; ++index) {
    waiting |=
        pairs_[index].visit([](auto& queues) { return queues.transmit.ring().enable_notifications(); });
    stop_if_broken(pairs_[index]);
  }
  return waiting;
}

void VirtioNet::disarm() {
  {
    const std::lock_guard lock(mutex());
    armed_ = false;
    if (live()) want_notifications(false);
  }
  std::uint64_t count = 0;
  while (::read(wake_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

void VirtioNet::wake() noexcept {
  // Fails only when the counter is full, and then the descriptor is readable anyway.
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void VirtioNet::want_notifications(bool wanted) noexcept {
  for (unsigned index = 0; index < active_pairs_; ++index) {
    pairs_[index].visit([wanted](auto& queues) {
      if (wanted) {
        static_cast<void>(queues.transmit.ring().enable_notifications());
      } else {
        queues.transmit.ring().disable_notifications();
      }
    });
  }
}

// --- control
// -------------------------------------------------------------------------------------------------

void VirtioNet::set_link(bool up) {
  const std::lock_guard lock(mutex());
  if (rules_.link_up == up) return;
  rules_.link_up = up;
  // 5.1.6.5.4: a driver that can is asked to announce itself, since the bridge forgot its address with the
  // link.
  config_.status = !up ? std::uint16_t{0} : has_feature(kFeatureAnnounce) ? kLinkUp | kAnnounce : kLinkUp;
  if (has_feature(kFeatureStatus)) config_changed();
}

void VirtioNet::notify(unsigned queue) noexcept {
  if (queue >= queue_count()) return;
  {
    const std::lock_guard lock(mutex());
    if (has_feature(kFeatureControlQueue) && queue == control_queue()) return serve_control();
  }
  wake();
}

virtio::RingError VirtioNet::start_queue(unsigned index, const GuestMemory& memory,
                                         const virtio::RingSetup& setup) noexcept {
  if (has_feature(kFeatureControlQueue) && index == control_queue()) {
    if (setup.packed) {
      return control_.emplace<virtio::PackedRing>().enable(memory, setup);
    }
    return control_.emplace<virtio::SplitRing>().enable(memory, setup);
  }
  if (index / 2 >= (has_feature(kFeatureMultiqueue) ? pair_count_ : 1)) return virtio::RingError::none;
  return pairs_[index / 2].start(index % 2 == kReceiveQueue, memory, setup);
}

void VirtioNet::on_driver_ok() noexcept {
  rules_.acknowledged = features();
  rules_.accepted = accepted_offloads(features());
  accepted_.store(features(), std::memory_order_release);
  if (has_feature(kFeatureControlVlan)) filter_.filter_vlans();
  if (live()) {
    const unsigned usable = has_feature(kFeatureMultiqueue) ? pair_count_ : 1;
    for (unsigned index = 0; index < usable; ++index) {
      pairs_[index].visit([](auto& queues) {
        queues.receive.ring().disable_notifications();
        queues.transmit.ring().disable_notifications();
      });
    }
    if (armed_) want_notifications(true);
    serve_control();
  }
  wake();  // chains may have been made available, and notified, before this
}

void VirtioNet::on_reset() noexcept {
  for (unsigned index = 0; index < pair_count_; ++index)
    pairs_[index].stop();
  std::visit([](auto& ring) { ring.disable(); }, control_);
  active_pairs_ = 1;
  next_pair_ = 0;
  pull_outstanding_ = false;
  config_.mac = mac_;
  config_.status = rules_.link_up ? kLinkUp : std::uint16_t{0};
  filter_.reset(mac_);
  rules_.acknowledged = 0;
  rules_.accepted = {};
  accepted_.store(0, std::memory_order_release);
}

}  // namespace patchbay::devices::net
