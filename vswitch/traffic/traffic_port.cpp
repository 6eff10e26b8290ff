#include "vswitch/traffic/traffic_port.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <system_error>

namespace patchbay::vswitch::traffic {

namespace {

std::int64_t monotonic_now() noexcept {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}
static_assert(std::chrono::steady_clock::period::den == 1'000'000'000);

// How long the last frames of a trial may wait for room. Nanoseconds.
constexpr std::int64_t kGrace = 1'000'000;

FileDescriptor make_eventfd() {
  FileDescriptor fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) throw std::system_error(errno, std::generic_category(), "eventfd for a traffic generator");
  return fd;
}

}  // namespace

TrafficPort::TrafficPort(const StationConfig& config)
    : Port(config.port_name), wake_(make_eventfd()), arp_(config.mac, config.address) {}

void TrafficPort::wake() noexcept {
  ::eventfd_write(wake_.get(), 1);
}

void TrafficPort::disarm() {
  eventfd_t ignored = 0;
  ::eventfd_read(wake_.get(), &ignored);
}

void TrafficPort::shape(const StreamShape& stream) {
  std::vector<std::size_t> distinct = stream.sizes;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  templates_.clear();
  for (const std::size_t size : distinct)
    templates_.emplace_back(stream.addresses, size);
  sizes_.clear();
  for (const std::size_t size : stream.sizes) {
    const auto found = std::lower_bound(distinct.begin(), distinct.end(), size);
    sizes_.push_back(static_cast<std::size_t>(found - distinct.begin()));
  }
  flows_ = stream.flows;
  payload_.assign(distinct.back(), std::byte{0});
}

void TrafficPort::send(const SendOrder& order) noexcept {
  order_ = order;
  next_ = pulled_ = Cursor{};
  active_ = 0;
  stalled_ = false;
  pacer_.start(monotonic_now(), order.rate, order.duration.count());
  sending_.store(true, std::memory_order_release);
  wake();
}

void TrafficPort::stop() noexcept {
  if (sending()) finish(monotonic_now());
}

bool TrafficPort::all_sent() const noexcept {
  return order_.rate != 0 && next_.sequence == pacer_.intended();
}

void TrafficPort::finish(std::int64_t now) noexcept {
  active_ = std::max(pacer_.active(now), all_sent() ? order_.duration.count() : 0);
  sending_.store(false, std::memory_order_release);
}

SendReport TrafficPort::send_report() const noexcept {
  return {order_.rate == 0 ? next_.sequence : pacer_.intended(), next_.sequence, next_.bytes,
          std::chrono::nanoseconds(active_), std::chrono::nanoseconds(pacer_.paused())};
}

void TrafficPort::resolve(const Ipv4Bytes& address) noexcept {
  {
    const std::lock_guard lock(mutex_);
    arp_.resolve(address);
    arp_waits_.store(true);
  }
  wake();
}

std::optional<MacBytes> TrafficPort::resolved() const noexcept {
  const std::lock_guard lock(mutex_);
  return arp_.resolved();
}

LatencyHistogram TrafficPort::latency() const noexcept {
  const std::lock_guard lock(mutex_);
  return latency_;
}

void TrafficPort::expect(const ReceiveOrder& order) noexcept {
  const std::lock_guard lock(mutex_);
  expected_ = order;
  tracker_.reset(kMaxSequence + 1);
  latency_.reset();
  stale_ = foreign_ = 0;
}

ReceiveReport TrafficPort::receive_report() const noexcept {
  const std::lock_guard lock(mutex_);
  return {tracker_.unique(),
          tracker_.duplicates(),
          tracker_.reordered(),
          tracker_.too_late(),
          stale_,
          foreign_ + tracker_.invalid()};
}

void TrafficPort::advance(Cursor& cursor) const noexcept {
  cursor.bytes += templates_[sizes_[cursor.size]].length();
  ++cursor.sequence;
  if (++cursor.size == sizes_.size()) cursor.size = 0;
  if (++cursor.flow == flows_) cursor.flow = 0;
}

void TrafficPort::pull(Burst& burst) {
  arp_in_burst_ = false;
  if (arp_waits_.load(std::memory_order_relaxed)) [[unlikely]] {
    const std::lock_guard lock(mutex_);
    const ArpStation::Frame* const frame = arp_.waiting();
    FrameView& view = burst.next();
    view.length = ArpStation::kFrameBytes;
    view.offload = {};
    std::memcpy(view.header.data(), frame->data(), frame->size());
    burst.commit(0);
    arp_in_burst_ = true;
  }
  pulled_ = next_;
  if (!sending_.load(std::memory_order_relaxed)) return;

  const std::int64_t now = monotonic_now();
  const std::uint64_t due = pacer_.due(now, stalled_);
  const std::int64_t limit = order_.duration.count() + (order_.rate != 0 ? kGrace : 0);
  if (all_sent() || pacer_.active(now) >= limit) [[unlikely]] {
    finish(now);
    return;
  }
  while (pulled_.sequence < due && burst.has_room()) {
    const FrameTemplate& frame = templates_[sizes_[pulled_.size]];
    frame.fill(burst.next(), pulled_.flow, {order_.stream, order_.trial, pulled_.sequence, now});
    std::size_t pieces = 0;
    if (frame.length() > kHeaderBytes) {
      burst.next_pieces()[0] = Piece(payload_).first(frame.length() - kHeaderBytes);
      pieces = 1;
    }
    burst.commit(pieces);
    advance(pulled_);
  }
}

void TrafficPort::release(std::size_t consumed) {
  if (arp_in_burst_ && consumed != 0) {
    const std::lock_guard lock(mutex_);
    arp_.sent();
    arp_waits_.store(arp_.waiting() != nullptr);
    --consumed;
  }
  stalled_ = consumed != pulled_.sequence - next_.sequence;
  if (!stalled_) {
    next_ = pulled_;
  } else {
    for (std::size_t i = 0; i < consumed; ++i)
      advance(next_);
  }
}

std::size_t TrafficPort::push(std::span<const FrameView* const> frames) {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = expected_.record_latency ? monotonic_now() : 0;
  std::uint64_t bytes = 0;
  for (const FrameView* const frame : frames) {
    bytes += frame->length;
    const std::optional<StreamTag> tag = tag_of(*frame);
    if (!tag || tag->stream != expected_.stream) [[unlikely]] {
      if (!tag && arp_.receive(*frame)) {
        arp_waits_.store(arp_.waiting() != nullptr);
        if (arp_waits_) wake();
      } else {
        ++foreign_;
      }
      continue;
    }
    if (tag->trial != expected_.trial) [[unlikely]] {
      ++stale_;
      continue;
    }
    tracker_.record(tag->sequence);
    if (expected_.record_latency) latency_.record(now - tag->sent);
  }
  counters.out.delivered.add(frames.size());
  counters.out.bytes.add(bytes);
  return frames.size();
}

}  // namespace patchbay::vswitch::traffic
