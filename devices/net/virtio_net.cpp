#include "devices/net/virtio_net.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace patchbay::devices::net {
namespace {

constexpr std::uint16_t kLinkUp = 1;        // VIRTIO_NET_S_LINK_UP
constexpr std::uint16_t kSmallestMtu = 68;  // 5.1.4.1
constexpr std::uint32_t kEthernetHeader = 14;
constexpr std::uint32_t kVlanTag = 4;
constexpr std::uint16_t kLargestQueue = 1024;  // what drivers and other VMMs are used to

FeatureSet offered(const VirtioNetConfig& config) {
  return virtio::kFeatureVersion1 | virtio::kFeatureEventIndex | virtio::kFeatureIndirectDescriptors |
         kFeatureMac | kFeatureStatus | kFeatureMtu | kFeatureMergeableRx |
         (config.offloads ? kOffloadFeatures : 0);
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
  return config;
}

}  // namespace

VirtioNet::VirtioNet(std::string name, const VirtioNetConfig& config)
    : Device(kDeviceType, offered(checked(name, config)), 2, config.queue_size),
      Port(std::move(name)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      config_{config.mac, config.link_up ? kLinkUp : std::uint16_t{0}, 1, config.mtu} {
  if (!wake_) {
    throw std::system_error(
        errno, std::generic_category(),
        "cannot create an eventfd for " + this->name() + "; raise the limit of open files (ulimit -n)");
  }
  rules_.longest_frame = config.mtu + kEthernetHeader + kVlanTag;
  rules_.link_up = config.link_up;
}

// --- data path
// -----------------------------------------------------------------------------------------------

void VirtioNet::pull(vswitch::Burst& burst) {
  const std::lock_guard lock(mutex());
  if (!live()) return;
  const bool interrupt = transmit_.pull(burst, rules_, counters.in, copied_);
  if (interrupt) raise_queue_interrupt(kTransmitQueue);
  pull_outstanding_ = !burst.empty();
  if (transmit_.ring().error() != virtio::RingError::none) [[unlikely]]
    stop(transmit_.ring().error());
}

void VirtioNet::release(std::size_t consumed) {
  const std::lock_guard lock(mutex());
  // A burst in flight is completed even if the driver has just cleared bus mastering: its buffers would be
  // lost.
  if (!std::exchange(pull_outstanding_, false) || !running()) return;
  if (transmit_.release(consumed)) raise_queue_interrupt(kTransmitQueue);
}

std::size_t VirtioNet::push(std::span<const vswitch::FrameView* const> frames) {
  const std::lock_guard lock(mutex());
  if (!rules_.link_up) {
    counters.out.drop(vswitch::DropReason::link_down, frames.size());
    return frames.size();
  }
  if (!live() || !receive_.ring().enabled()) {
    counters.out.drop(vswitch::DropReason::not_ready, frames.size());
    return frames.size();
  }
  const auto pushed = receive_.push(frames, rules_, counters.out, copied_);
  if (pushed.interrupt) raise_queue_interrupt(kReceiveQueue);
  if (receive_.error() != virtio::RingError::none) [[unlikely]] {
    stop(receive_.error());
    counters.out.drop(vswitch::DropReason::not_ready, frames.size() - pushed.frames);
    return frames.size();
  }
  return pushed.frames;
}

bool VirtioNet::arm() {
  const std::lock_guard lock(mutex());
  armed_ = true;
  if (!live()) return false;  // DRIVER_OK will wake the worker
  const bool waiting = transmit_.ring().enable_notifications();
  if (transmit_.ring().error() != virtio::RingError::none) [[unlikely]]
    stop(transmit_.ring().error());
  return waiting;
}

void VirtioNet::disarm() {
  {
    const std::lock_guard lock(mutex());
    armed_ = false;
    if (live()) transmit_.ring().disable_notifications();
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

// --- control
// -------------------------------------------------------------------------------------------------

void VirtioNet::set_link(bool up) {
  const std::lock_guard lock(mutex());
  if (rules_.link_up == up) return;
  rules_.link_up = up;
  config_.status = up ? kLinkUp : 0;
  if (has_feature(kFeatureStatus)) config_changed();
}

void VirtioNet::notify(unsigned queue) noexcept {
  if (queue < queue_count()) wake();
}

virtio::RingError VirtioNet::start_queue(unsigned index, const GuestMemory& memory,
                                         const virtio::RingSetup& setup) noexcept {
  return index == kReceiveQueue ? receive_.ring().enable(memory, setup)
                                : transmit_.ring().enable(memory, setup);
}

void VirtioNet::on_driver_ok() noexcept {
  rules_.acknowledged = features();
  rules_.accepted = accepted_offloads(features());
  acknowledged_.store(features(), std::memory_order_release);
  if (live()) {
    receive_.ring().disable_notifications();
    if (armed_) {
      static_cast<void>(transmit_.ring().enable_notifications());
    } else {
      transmit_.ring().disable_notifications();
    }
  }
  wake();  // chains may have been made available, and notified, before this
}

void VirtioNet::on_reset() noexcept {
  receive_.ring().disable();
  receive_.forget_error();
  transmit_.ring().disable();
  pull_outstanding_ = false;
  rules_.acknowledged = 0;
  rules_.accepted = {};
  acknowledged_.store(0, std::memory_order_release);
}

}  // namespace patchbay::devices::net
