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

constexpr std::uint16_t kSmallestMtu = 68;     // 5.1.4.1
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
      pair_count_(config.queue_pairs),
      lanes_(std::make_unique<Lane[]>(config.queue_pairs)),
      config_{config.mac,
              config.link_up ? kStatusLinkUp : std::uint16_t{0},
              config.queue_pairs,
              config.mtu,
              kSpeed,
              kFullDuplex,
              {}} {
  for (unsigned pair = 0; pair < pair_count_; ++pair) {
    lanes_[pair].wake.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!lanes_[pair].wake) {
      throw std::system_error(
          errno, std::generic_category(),
          "cannot create an eventfd for " + this->name() + "; raise the limit of open files (ulimit -n)");
    }
    if (pair != 0) lanes_[pair].source = std::make_unique<PairSource<VirtioNet>>(*this, pair);
  }
  filter_.reset(mac_);
  rules_.longest_frame = config.mtu + vswitch::kEthernetHeader + vswitch::kVlanTag;
  rules_.link_up = config.link_up;
}

// --- data path
// -----------------------------------------------------------------------------------------------

void VirtioNet::pull_from(unsigned index, vswitch::Burst& burst) {
  Lane& lane = lanes_[index];
  bool broken = false;
  {
    const std::lock_guard part(transmit_part(index));
    if (index >= active_pairs_ || !live()) return;
    const bool interrupt = lane.queues.visit([&](auto& queues) {
      const bool wanted =
          queues.transmit.pull(burst, rules_, source(index).received(), lane.copied.out_of_guest);
      broken = queues.transmit.ring().error() != virtio::RingError::none;
      return wanted;
    });
    if (interrupt) raise_queue_interrupt(2 * index + kTransmitQueue);
    lane.pull_outstanding = !burst.empty();
  }
  if (broken) [[unlikely]]
    stop_if_broken(index);
}

void VirtioNet::release_to(unsigned index, std::size_t consumed) {
  Lane& lane = lanes_[index];
  const std::lock_guard part(transmit_part(index));
  // A burst in flight is completed even if the driver has just cleared bus mastering: its buffers would be
  // lost.
  if (!std::exchange(lane.pull_outstanding, false) || !running()) return;
  if (lane.queues.visit([&](auto& queues) { return queues.transmit.release(consumed); }))
    raise_queue_interrupt(2 * index + kTransmitQueue);
}

void VirtioNet::stop_if_broken(unsigned index) noexcept {
  const std::lock_guard lock(locks());
  // The driver may have reset the device since.
  const virtio::RingError error = lanes_[index].queues.error();
  if (error != virtio::RingError::none && running()) stop(error);
}

std::size_t VirtioNet::push(Frames frames) {
  std::unique_lock held(receive_part(0));
  if (!rules_.link_up) {
    counters.out.drop(vswitch::DropReason::link_down, frames.size());
    return frames.size();
  }
  if (active_pairs_ == 1 && filter_.passes_all()) return push_to(0, frames, held);
  return push_sorted(frames, held);
}

std::size_t VirtioNet::push_to(unsigned index, Frames frames, std::unique_lock<Part>& held) noexcept {
  Lane& lane = lanes_[index];
  if (!live()) {
    counters.out.drop(vswitch::DropReason::not_ready, frames.size());
    return frames.size();
  }
  const auto outside = [&](auto copy) { Part::lease(held, shared(), copy); };
  bool ready = true;
  bool broken = false;
  const std::size_t pushed = lane.queues.visit([&](auto& queues) -> std::size_t {
    ready = queues.receive.ring().enabled();
    if (!ready) return 0;
    const auto result = queues.receive.push(frames, rules_, counters.out, lane.copied.into_guest, outside);
    if (result.interrupt) raise_queue_interrupt(2 * index + kReceiveQueue);
    broken = queues.receive.error() != virtio::RingError::none;
    return result.frames;
  });
  if (ready && !broken) [[likely]]
    return pushed;
  counters.out.drop(vswitch::DropReason::not_ready, frames.size() - pushed);
  if (broken) {
    held.unlock();
    stop_if_broken(index);
  }
  return frames.size();
}

std::size_t VirtioNet::sort(Frames frames, std::span<std::uint8_t> queue) const noexcept {
  std::size_t filtered = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    queue[i] = !filter_.passes(*frames[i]) ? kFiltered
               : active_pairs_ == 1        ? std::uint8_t{0}
                                           : static_cast<std::uint8_t>(flow_hash(*frames[i]) % active_pairs_);
    if (queue[i] == kFiltered) ++filtered;
  }
  return filtered;
}

std::size_t VirtioNet::push_sorted(Frames frames, std::unique_lock<Part>& held) noexcept {
  frames = frames.first(std::min(frames.size(), vswitch::kBurstFrames));
  std::array<std::uint8_t, vswitch::kBurstFrames> queue;
  std::size_t filtered = sort(frames, queue);
  const unsigned pairs = active_pairs_;
  std::size_t handled = frames.size();
  std::size_t left_over = 0;  // found no room in their queue
  for (unsigned index = 0; index < pairs; ++index) {
    std::array<const vswitch::FrameView*, vswitch::kBurstFrames> group;
    std::array<std::uint8_t, vswitch::kBurstFrames> place;
    std::size_t count = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      if (queue[i] != index) continue;
      place[count] = static_cast<std::uint8_t>(i);
      group[count++] = frames[i];
    }
    if (count == 0) continue;
    if (Part& part = receive_part(index); held.mutex() != &part) {
      if (held.owns_lock()) held.unlock();
      held = std::unique_lock(part);
    }
    const std::size_t taken = push_to(index, Frames(group).first(count), held);
    left_over += count - taken;
    // With one queue, what follows a frame that found no room waits with it.
    if (pairs == 1 && taken < count) {
      handled = place[taken];
      filtered =
          static_cast<std::size_t>(std::count_if(queue.begin(), queue.end(), [&](const std::uint8_t& q) {
            return q == kFiltered && &q < &queue[place[taken]];
          }));
    }
  }
  counters.out.drop(vswitch::DropReason::filtered, filtered);
  // With several, frames behind it may have been delivered already: a queue that is full loses frames.
  if (pairs > 1) counters.out.drop(vswitch::DropReason::no_room, left_over);
  return handled;
}

bool VirtioNet::arm(unsigned index) {
  Lane& lane = lanes_[index];
  bool waiting = false;
  bool broken = false;
  {
    const std::lock_guard part(transmit_part(index));
    lane.armed = true;
    if (index >= active_pairs_ || !live())
      return false;  // DRIVER_OK and a new number of pairs wake the worker
    waiting = lane.queues.visit([&](auto& queues) {
      const bool chains = queues.transmit.ring().enable_notifications();
      broken = queues.transmit.ring().error() != virtio::RingError::none;
      return chains;
    });
  }
  if (broken) [[unlikely]]
    stop_if_broken(index);
  return waiting;
}

void VirtioNet::disarm(unsigned index) {
  {
    const std::lock_guard part(transmit_part(index));
    lanes_[index].armed = false;
    if (index < active_pairs_ && live()) want_notifications(index, false);
  }
  std::uint64_t count = 0;
  while (::read(lanes_[index].wake.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

void VirtioNet::wake(unsigned index) noexcept {
  // Fails only when the counter is full, and then the descriptor is readable anyway.
  const std::uint64_t one = 1;
  while (::write(lanes_[index].wake.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void VirtioNet::want_notifications(unsigned index, bool wanted) noexcept {
  lanes_[index].queues.visit([wanted](auto& queues) {
    if (wanted) {
      static_cast<void>(queues.transmit.ring().enable_notifications());
    } else {
      queues.transmit.ring().disable_notifications();
    }
  });
}

CopiedBytes VirtioNet::copied() const noexcept {
  CopiedBytes sum;
  for (unsigned index = 0; index < pair_count_; ++index)
    sum += lanes_[index].copied;
  return sum;
}

// --- control
// -------------------------------------------------------------------------------------------------

void VirtioNet::set_link(bool up) {
  const std::lock_guard lock(locks());
  if (rules_.link_up == up) return;
  rules_.link_up = up;
  // 5.1.6.5.4: a driver that can is asked to announce itself, since the bridge forgot its address with the
  // link.
  config_.status = !up                             ? std::uint16_t{0}
                   : has_feature(kFeatureAnnounce) ? kStatusLinkUp | kStatusAnnounce
                                                   : kStatusLinkUp;
  if (has_feature(kFeatureStatus)) config_changed();
}

void VirtioNet::notify(unsigned queue) noexcept {
  if (queue >= queue_count()) return;
  {
    const std::lock_guard lock(locks());
    if (has_feature(kFeatureControlQueue) && queue == control_queue()) return serve_control();
  }
  if (queue / 2 < pair_count_) wake(queue / 2);
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
  return lanes_[index / 2].queues.start(index % 2 == kReceiveQueue, memory, setup);
}

void VirtioNet::on_driver_ok() noexcept {
  rules_.acknowledged = features();
  rules_.accepted = accepted_offloads(features());
  accepted_.store(features(), std::memory_order_release);
  if (has_feature(kFeatureControlVlan)) filter_.filter_vlans();
  if (live()) {
    const unsigned usable = has_feature(kFeatureMultiqueue) ? pair_count_ : 1;
    for (unsigned index = 0; index < usable; ++index) {
      lanes_[index].queues.visit([](auto& queues) {
        queues.receive.ring().disable_notifications();
        queues.transmit.ring().disable_notifications();
      });
    }
    if (lanes_[0].armed) want_notifications(0, true);
    serve_control();
  }
  wake(0);  // chains may have been made available, and notified, before this
}

void VirtioNet::on_reset() noexcept {
  for (unsigned index = 0; index < pair_count_; ++index) {
    lanes_[index].queues.stop();
    lanes_[index].pull_outstanding = false;
  }
  std::visit([](auto& ring) { ring.disable(); }, control_);
  active_pairs_ = 1;
  config_.mac = mac_;
  config_.status = rules_.link_up ? kStatusLinkUp : std::uint16_t{0};
  filter_.reset(mac_);
  rules_.acknowledged = 0;
  rules_.accepted = {};
  accepted_.store(0, std::memory_order_release);
}

}  // namespace patchbay::devices::net
