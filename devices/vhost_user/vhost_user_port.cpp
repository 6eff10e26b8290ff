#include "devices/vhost_user/vhost_user_port.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "devices/net/flow_hash.h"

namespace patchbay::devices::vhost_user {
namespace {

using virtio::FeatureSet;
using virtio::RingError;

constexpr std::uint16_t kSmallestMtu = 68;  // 5.1.4.1
constexpr unsigned kMostPairs = 128;        // ring numbers have 8 bits on the socket

constexpr unsigned kReceive = 0;
constexpr unsigned kTransmit = 1;

FeatureSet offered(const VhostUserConfig& config) {
  return virtio::kFeatureVersion1 | virtio::kFeatureEventIndex | virtio::kFeatureIndirectDescriptors |
         virtio::kFeatureInOrder | (config.packed ? virtio::kFeaturePackedRing : 0) | net::kFeatureMtu |
         net::kFeatureStatus | net::kFeatureMergeableRx |
         (config.queue_pairs > 1 ? net::kFeatureControlQueue | net::kFeatureMultiqueue : 0) |
         (config.offloads ? net::kOffloadFeatures : 0);
}

FileDescriptor make_eventfd() {
  FileDescriptor fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot create an eventfd; raise the limit of open files (ulimit -n)");
  }
  return fd;
}

FileDescriptor make_epoll() {
  FileDescriptor fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot create an epoll instance; raise the limit of open files (ulimit -n)");
  }
  return fd;
}

/// Precondition: `fd` is an eventfd that does not block.
void signal(int fd) noexcept {
  const std::uint64_t one = 1;
  while (::write(fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

}  // namespace

void require_eventfd(const FileDescriptor& fd) {
  if (!fd) return;
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  std::array<char, 64> target{};
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  constexpr std::string_view kEventfd = "anon_inode:[eventfd]";
  if (length < 0 || std::string_view(target.data(), static_cast<std::size_t>(length)) != kEventfd ||
      ::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) {
    throw std::runtime_error("a notification descriptor is no eventfd");
  }
}

VhostUserPort::VhostUserPort(std::string name, const VhostUserConfig& config)
    : Port(std::move(name)),
      offered_(offered(config)),
      mtu_(config.mtu),
      attention_(make_eventfd()),
      locks_(std::max<std::size_t>(2 * std::size_t{config.queue_pairs}, 1)) {
  if (config.mtu < kSmallestMtu) {
    throw std::runtime_error(this->name() + ": MTU " + std::to_string(config.mtu) +
                             " is too small; use 68 to 65535");
  }
  if (config.queue_pairs == 0 || config.queue_pairs > kMostPairs) {
    throw std::runtime_error(this->name() + ": " + std::to_string(config.queue_pairs) +
                             " queue pairs are not possible; use 1 to " + std::to_string(kMostPairs));
  }
  for (unsigned i = 0; i < config.queue_pairs; ++i) {
    QueuePair& pair = *pairs_.emplace_back(std::make_unique<QueuePair>());
    pair.wake = make_epoll();
    pair.restart = make_eventfd();
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    if (::epoll_ctl(pair.wake.get(), EPOLL_CTL_ADD, pair.restart.get(), &event) != 0) {
      throw std::system_error(errno, std::generic_category(), "cannot watch an eventfd");
    }
    if (i != 0) pair.source = std::make_unique<net::PairSource<VhostUserPort>>(*this, i);
  }
  receivers_.reserve(config.queue_pairs);
  rules_.longest_frame = config.mtu + vswitch::kEthernetHeader + vswitch::kVlanTag;
  rules_.link_up = config.link_up;
}

// --- data path -------------------------------------------------------------------------------------------

void VhostUserPort::pull_from(std::size_t index, vswitch::Burst& burst) {
  QueuePair& pair = *pairs_[index];
  Part& part = transmit_part(index);
  const std::lock_guard lock(part);
  if (!pair.can_transmit()) return;
  const bool interrupt = pair.queues.visit([&](auto& queues) {
    const bool wanted =
        queues.transmit.pull(burst, rules_, source(index).received(), pair.copied.out_of_guest);
    if (queues.transmit.ring().error() != RingError::none) [[unlikely]]
      report();
    return wanted;
  });
  if (interrupt && pair.call[kTransmit]) signal(pair.call[kTransmit].get());
  if (burst.empty()) return;
  pair.pull_outstanding = true;
  part.begin_lease();
}

void VhostUserPort::release_to(std::size_t index, std::size_t consumed) {
  QueuePair& pair = *pairs_[index];
  Part& part = transmit_part(index);
  const std::lock_guard lock(part);
  if (!std::exchange(pair.pull_outstanding, false)) return;
  part.end_lease();
  const bool interrupt =
      pair.queues.visit([consumed](auto& queues) { return queues.transmit.release(consumed); });
  if (interrupt && pair.call[kTransmit]) signal(pair.call[kTransmit].get());
}

std::size_t VhostUserPort::push(Frames frames) {
  std::unique_lock held(receive_part(0));
  if (!rules_.link_up) {
    counters.out.drop(vswitch::DropReason::link_down, frames.size());
    return frames.size();
  }
  if (receivers_.empty()) {
    counters.out.drop(vswitch::DropReason::not_ready, frames.size());
    return frames.size();
  }
  const std::size_t receivers = receivers_.size();
  const std::size_t pair = receivers_.front();
  if (receivers > 1 || pair != 0) held.unlock();
  if (receivers > 1) return push_steered(frames);
  if (!held.owns_lock()) held = std::unique_lock(receive_part(pair));
  bool interrupt = false;
  const std::size_t pushed = push_to(pair, frames, interrupt, held);
  if (interrupt) signal(pairs_[pair]->call[kReceive].get());
  return pushed;
}

std::size_t VhostUserPort::push_to(std::size_t index, Frames frames, bool& interrupt,
                                   std::unique_lock<Part>& held) noexcept {
  QueuePair& pair = *pairs_[index];
  if (!pair.can_receive()) {
    counters.out.drop(vswitch::DropReason::not_ready, frames.size());
    return frames.size();
  }
  const auto outside = [&](auto copy) { Part::lease(held, shared(), copy); };
  bool broken = false;
  const std::size_t pushed = pair.queues.visit([&](auto& queues) {
    const auto result = queues.receive.push(frames, rules_, counters.out, pair.copied.into_guest, outside);
    interrupt |= result.interrupt && pair.call[kReceive].valid();
    broken = queues.receive.error() != RingError::none;
    return result.frames;
  });
  if (!broken) [[likely]]
    return pushed;
  // take_error() leaves the ring out of receivers_. Not here: the whole lock waits for leases, and a worker
  // that has one itself, from a pull, must not wait for another's.
  report();
  counters.out.drop(vswitch::DropReason::not_ready, frames.size() - pushed);
  return frames.size();
}

// Frames of one flow go to one queue. Runs of frames for the same queue are pushed as they come, so that what
// finds no room is a suffix.
std::size_t VhostUserPort::push_steered(Frames frames) noexcept {
  frames = frames.first(std::min(frames.size(), vswitch::kBurstFrames));
  std::array<std::uint16_t, vswitch::kBurstFrames> queue;
  {
    const std::lock_guard part(receive_part(0));
    if (receivers_.empty()) {
      counters.out.drop(vswitch::DropReason::not_ready, frames.size());
      return frames.size();
    }
    for (std::size_t i = 0; i < frames.size(); ++i)
      queue[i] = receivers_[net::flow_hash(*frames[i]) % receivers_.size()];
  }
  std::array<bool, kMostPairs> interrupt{};
  std::size_t done = 0;
  while (done < frames.size()) {
    const std::size_t pair = queue[done];
    std::size_t end = done + 1;
    while (end < frames.size() && queue[end] == pair)
      ++end;
    std::unique_lock held(receive_part(pair));
    const std::size_t pushed = push_to(pair, frames.subspan(done, end - done), interrupt[pair], held);
    done += pushed;
    if (done < end) break;
  }
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    if (!interrupt[i]) continue;
    const std::lock_guard part(receive_part(i));
    if (pairs_[i]->call[kReceive]) signal(pairs_[i]->call[kReceive].get());
  }
  return done;
}

vswitch::OffloadSet VhostUserPort::accepts() const noexcept {
  return net::accepted_offloads(acknowledged_.load(std::memory_order_acquire));
}

bool VhostUserPort::arm(std::size_t index) {
  QueuePair& pair = *pairs_[index];
  const std::lock_guard part(transmit_part(index));
  pair.armed = true;
  bool waiting = false;
  if (pair.can_transmit()) {
    // A peer that gave no descriptor has to be polled.
    pair.queues.visit([&](auto& queues) {
      waiting = queues.transmit.ring().enable_notifications() || !pair.kick[kTransmit];
      if (queues.transmit.ring().error() != RingError::none) report();
    });
  }
  if (memory_ != nullptr && memory_->lost()) [[unlikely]]
    report();
  return waiting;
}

void VhostUserPort::disarm(std::size_t index) {
  QueuePair& pair = *pairs_[index];
  {
    const std::lock_guard part(transmit_part(index));
    pair.armed = false;
    if (pair.can_transmit())
      pair.queues.visit([](auto& queues) { queues.transmit.ring().disable_notifications(); });
  }
  // Edge-triggered: taking the events is enough, and the peer's descriptors are never read.
  std::array<epoll_event, 4> events;
  while (::epoll_wait(pair.wake.get(), events.data(), static_cast<int>(events.size()), 0) ==
         static_cast<int>(events.size())) {
  }
}

void VhostUserPort::report() noexcept {
  if (reported_.exchange(true)) return;
  signal(attention_.get());
}

net::CopiedBytes VhostUserPort::copied() const noexcept {
  net::CopiedBytes sum;
  for (const auto& pair : pairs_)
    sum += pair->copied;
  return sum;
}

// --- control ---------------------------------------------------------------------------------------------

void VhostUserPort::find_receivers() noexcept {
  receivers_.clear();  // capacity for all was reserved
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    if (pairs_[i]->can_receive()) receivers_.push_back(static_cast<std::uint16_t>(i));
  }
}

void VhostUserPort::set_link(bool up) {
  const std::lock_guard lock(locks_);
  rules_.link_up = up;
}

void VhostUserPort::set_features(FeatureSet features) {
  const std::lock_guard lock(locks_);
  rules_.acknowledged = features;
  rules_.accepted = net::accepted_offloads(features);
  acknowledged_.store(features, std::memory_order_release);
}

void VhostUserPort::set_memory(std::shared_ptr<const PeerMemory> memory) {
  std::shared_ptr<const PeerMemory> old;  // unmapped after the lock is given up
  const std::lock_guard lock(locks_);
  old = std::exchange(memory_, std::move(memory));
}

RingError VhostUserPort::start(unsigned index, const virtio::RingSetup& setup) {
  const std::lock_guard lock(locks_);
  QueuePair& pair = *pairs_[index / 2];
  if (memory_ == nullptr) return RingError::unmapped_ring;
  const bool receive = index % 2 == kReceive;
  const RingError error = pair.queues.start(receive, memory_->guest(), setup);
  if (error != RingError::none) return error;
  pair.queues.visit([&](auto& queues) {
    if (receive) {
      queues.receive.forget_error();
      queues.receive.ring().disable_notifications();
    } else if (pair.armed) {
      static_cast<void>(queues.transmit.ring().enable_notifications());
    } else {
      queues.transmit.ring().disable_notifications();
    }
  });
  find_receivers();
  signal(pair.restart.get());  // chains may have been made available before
  return RingError::none;
}

std::uint16_t VhostUserPort::stop_locked(unsigned index) noexcept {
  net::QueuePair& queues = pairs_[index / 2]->queues;
  const bool receive = index % 2 == kReceive;
  const std::uint16_t position = queues.visit(
      [receive](auto& of) { return receive ? of.receive.ring().position() : of.transmit.ring().position(); });
  queues.stop(receive);
  find_receivers();
  return position;
}

std::uint16_t VhostUserPort::stop(unsigned index) {
  const std::lock_guard lock(locks_);
  return stop_locked(index);
}

void VhostUserPort::set_enabled(unsigned index, bool enabled) {
  const std::lock_guard lock(locks_);
  pairs_[index / 2]->enabled[index % 2] = enabled;
  find_receivers();
  signal(pairs_[index / 2]->restart.get());
}

void VhostUserPort::replace_kick(unsigned index, FileDescriptor fd) {
  FileDescriptor& kick = pairs_[index / 2]->kick[index % 2];
  const int wake = pairs_[index / 2]->wake.get();
  if (index % 2 == kTransmit) {
    if (kick) ::epoll_ctl(wake, EPOLL_CTL_DEL, kick.get(), nullptr);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    if (fd && ::epoll_ctl(wake, EPOLL_CTL_ADD, fd.get(), &event) != 0) {
      kick.reset();
      throw std::runtime_error("a notification descriptor cannot be watched");
    }
  }
  kick = std::move(fd);
}

void VhostUserPort::set_kick(unsigned index, FileDescriptor fd) {
  require_eventfd(fd);
  const std::lock_guard lock(locks_);
  replace_kick(index, std::move(fd));
}

void VhostUserPort::set_call(unsigned index, FileDescriptor fd) {
  require_eventfd(fd);
  const std::lock_guard lock(locks_);
  pairs_[index / 2]->call[index % 2] = std::move(fd);
}

void VhostUserPort::disconnect() {
  std::shared_ptr<const PeerMemory> old;
  const std::lock_guard lock(locks_);
  for (unsigned index = 0; index < ring_count(); ++index) {
    stop_locked(index);
    replace_kick(index, {});
    QueuePair& pair = *pairs_[index / 2];
    pair.call[index % 2].reset();
    pair.enabled[index % 2] = false;
  }
  find_receivers();
  rules_.acknowledged = 0;
  rules_.accepted = {};
  acknowledged_.store(0, std::memory_order_release);
  old = std::move(memory_);
  memory_ = nullptr;
}

VhostUserPort::Error VhostUserPort::take_error() {
  std::uint64_t count = 0;
  while (::read(attention_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
  const std::lock_guard lock(locks_);
  reported_ = false;
  find_receivers();
  Error error;
  error.memory_lost = memory_ != nullptr && memory_->lost();
  for (unsigned index = 0; index < ring_count(); ++index) {
    const RingError reason = ring_state_locked(index).error;
    if (reason == RingError::none) continue;
    error.ring = index;
    error.reason = reason;
    break;
  }
  return error;
}

VhostUserPort::RingState VhostUserPort::ring_state_locked(unsigned index) const noexcept {
  const QueuePair& pair = *pairs_[index / 2];
  const bool enabled = pair.enabled[index % 2];
  return pair.queues.visit([&](const auto& of) -> RingState {
    if (index % 2 == kReceive) return {of.receive.ring().size(), enabled, of.receive.error()};
    return {of.transmit.ring().size(), enabled, of.transmit.ring().error()};
  });
}

VhostUserPort::RingState VhostUserPort::ring_state(unsigned index) const {
  const std::lock_guard lock(locks_);
  return ring_state_locked(index);
}

std::uint64_t VhostUserPort::memory_bytes() const {
  const std::lock_guard lock(locks_);
  return memory_ != nullptr ? memory_->bytes() : 0;
}

}  // namespace patchbay::devices::vhost_user
