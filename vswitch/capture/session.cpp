#include "vswitch/capture/session.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "vswitch/brief_mutex.h"
#include "vswitch/capture/block_ring.h"
#include "vswitch/capture/checksum.h"
#include "vswitch/capture/filter.h"
#include "vswitch/capture/frame_copy.h"
#include "vswitch/counters.h"

namespace patchbay::vswitch::capture {
namespace {

constexpr std::string_view kUnsegmented = "larger than the wire takes: the sender left it to be segmented";

std::uint64_t realtime_now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

FileDescriptor make_eventfd() {
  FileDescriptor fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot create the eventfd of a capture; stop other captures or raise ulimit -n");
  }
  return fd;
}

/// As seen from the switch -> as seen from the interface that the capture is named after.
constexpr PacketDirection relative_to_interface(Direction direction) noexcept {
  return direction == Direction::from_port ? PacketDirection::outbound : PacketDirection::inbound;
}

}  // namespace

/// What the taps on one worker share: the ring they write to and the filter with its scratch memory. Frames
/// towards a port come on the workers of their sources, so the taps take turns.
struct CaptureSession::Channel {
  Channel(unsigned worker_, const CaptureOptions& options)
      : worker(worker_), filter(options.filter), ring(std::max(options.ring_bytes, kMinRingBytes)) {}

  unsigned worker;
  BriefMutex mutex;
  Filter filter;
  BlockRing ring;
};

class CaptureSession::Tap final : public TapPoint {
 public:
  Tap(CaptureSession& session, Channel& channel, std::uint32_t interface)
      : session_(session),
        channel_(channel),
        interface_(interface),
        snaplen_(session.options_.snaplen != 0 ? session.options_.snaplen
                                               : std::numeric_limits<std::uint32_t>::max()) {}

  void frames(Direction direction, std::span<const FrameView* const> frames) noexcept override {
    if (session_.stopped_.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock(channel_.mutex);
    received.add(frames.size());
    EnhancedPacket packet;
    packet.interface = interface_;
    packet.timestamp = realtime_now();
    packet.direction = relative_to_interface(direction);
    bool recorded = false;
    for (const FrameView* frame : frames) {
      if (channel_.filter.matches(*frame)) recorded |= record(*frame, packet);
    }
    if (!recorded) return;
    channel_.ring.publish();
    session_.wake();
  }

  // Written under the mutex of the channel.
  Counter received;
  Counter accepted;
  Counter dropped;
  // Written by the writer.
  alignas(64) Counter delivered;

 private:
  bool record(const FrameView& frame, EnhancedPacket& packet) noexcept {
    accepted.add();
    packet.original_length = frame.length;
    packet.captured_length = std::min(frame.length, snaplen_);
    packet.packet_id = frame.id;
    packet.drop_count = drops_since_last_;
    packet.comment = frame.offload.gso_type == Offload::kGsoNone ? std::string_view() : kUnsegmented;

    const std::span<std::byte> block = channel_.ring.reserve(encoded_size(packet));
    if (block.empty()) {
      dropped.add();
      ++drops_since_last_;
      return false;
    }
    const std::span<std::byte> data = encode(packet, block);
    const std::size_t copied = copy_frame(frame, data);
    std::fill(data.begin() + static_cast<std::ptrdiff_t>(copied), data.end(), std::byte{0});
    complete_checksum(frame, data);
    channel_.ring.commit();
    drops_since_last_ = 0;
    return true;
  }

  CaptureSession& session_;
  Channel& channel_;
  std::uint32_t interface_;
  std::uint32_t snaplen_;
  std::uint64_t drops_since_last_ = 0;
};

CaptureSession::CaptureSession(std::vector<CaptureInterface> interfaces, CaptureOptions options)
    : interfaces_(std::move(interfaces)),
      options_(std::move(options)),
      wake_fd_(make_eventfd()),
      start_time_(realtime_now()) {
  if (interfaces_.empty())
    throw std::invalid_argument("a capture needs an interface: name a link end such as r1:eth0");
  for (const CaptureInterface& interface : interfaces_) {
    auto channel = std::find_if(channels_.begin(), channels_.end(),
                                [&](const auto& known) { return known->worker == interface.worker; });
    if (channel == channels_.end()) {
      channel = channels_.insert(channels_.end(), std::make_unique<Channel>(interface.worker, options_));
    }
    taps_.push_back(std::make_unique<Tap>(*this, **channel, static_cast<std::uint32_t>(taps_.size())));
  }
  append_preamble();
}

CaptureSession::~CaptureSession() = default;

TapPoint& CaptureSession::tap(std::size_t index) noexcept {
  assert(index < taps_.size());
  return *taps_[index];
}

void CaptureSession::append_preamble() {
  SectionHeader section;
  section.os = "Linux";
  section.application = options_.application;
  append(control_, section);
  for (const CaptureInterface& interface : interfaces_) {
    InterfaceDescription description;
    description.snaplen = options_.snaplen;
    description.name = interface.name;
    description.description = interface.description;
    description.mac = interface.mac;
    description.speed = interface.speed;
    description.filter = options_.filter;
    description.hardware = interface.hardware;
    append(control_, description);
  }
}

void CaptureSession::append_statistics() {
  const std::uint64_t now = realtime_now();
  for (std::size_t i = 0; i < taps_.size(); ++i) {
    const CaptureStatistics counted = statistics(i);
    InterfaceStatistics block;
    block.interface = static_cast<std::uint32_t>(i);
    block.timestamp = now;
    block.start_time = start_time_;
    block.end_time = now;
    block.received = counted.received;
    block.dropped = counted.dropped;
    block.filter_accepted = counted.accepted;
    block.os_dropped = 0;
    block.delivered = counted.delivered;
    append(control_, block);
  }
}

std::size_t CaptureSession::read(std::span<std::byte> out) {
  if (out.size() < kMinReadBytes) {
    throw std::invalid_argument("the buffer of a capture's reader must hold " +
                                std::to_string(kMinReadBytes) + " bytes");
  }
  std::size_t filled = 0;
  if (stage_ == Stage::preamble) {
    filled += read_control(out);
    if (!control_.empty()) return filled;
    stage_ = Stage::packets;
  }
  if (stage_ == Stage::packets) {
    // Looked at first: what was published before stop() is then seen below.
    const bool stopped = stopped_.load(std::memory_order_acquire);
    filled += read_packets(out.subspan(filled));
    if (limit_reached()) {
      stopped_.store(true, std::memory_order_relaxed);
    } else if (!stopped || oldest() != nullptr) {
      return filled;
    }
    append_statistics();
    stage_ = Stage::statistics;
  }
  if (stage_ == Stage::statistics) {
    filled += read_control(out.subspan(filled));
    if (control_.empty()) stage_ = Stage::finished;
  }
  return filled;
}

std::size_t CaptureSession::read_control(std::span<std::byte> out) noexcept {
  std::size_t whole = 0;
  while (whole < control_.size()) {
    const std::size_t length = read_block_header(std::span(control_).subspan(whole)).length;
    if (length > out.size() - whole) break;
    whole += length;
  }
  std::copy_n(control_.begin(), whole, out.begin());
  control_.erase(control_.begin(), control_.begin() + static_cast<std::ptrdiff_t>(whole));
  return whole;
}

std::size_t CaptureSession::read_packets(std::span<std::byte> out) noexcept {
  std::size_t filled = 0;
  while (!limit_reached()) {
    Channel* const channel = oldest();
    if (channel == nullptr) break;
    const std::span<const std::byte> block = channel->ring.front();
    if (block.size() > out.size() - filled) break;
    std::memcpy(out.data() + filled, block.data(), block.size());
    taps_[read_packet_origin(block).interface]->delivered.add();
    channel->ring.pop();
    filled += block.size();
    ++packets_read_;
  }
  return filled;
}

CaptureSession::Channel* CaptureSession::oldest() noexcept {
  Channel* found = nullptr;
  std::uint64_t earliest = std::numeric_limits<std::uint64_t>::max();
  for (const std::unique_ptr<Channel>& channel : channels_) {
    const std::span<const std::byte> block = channel->ring.front();
    if (block.empty()) continue;
    const std::uint64_t timestamp = read_packet_origin(block).timestamp;
    if (found != nullptr && timestamp >= earliest) continue;
    found = channel.get();
    earliest = timestamp;
  }
  return found;
}

bool CaptureSession::arm() {
  if (stage_ == Stage::finished) return false;
  eventfd_t ignored = 0;
  (void)eventfd_read(wake_fd_.get(), &ignored);  // empty is fine
  // Both sides exchange this flag after their own step: either the tap finds it set, or its blocks are seen
  // here.
  writer_waits_.exchange(true, std::memory_order_acq_rel);
  const bool waiting =
      stage_ != Stage::packets || stopped_.load(std::memory_order_acquire) || oldest() != nullptr;
  if (waiting) writer_waits_.store(false, std::memory_order_relaxed);
  return waiting;
}

void CaptureSession::wake() noexcept {
  if (writer_waits_.exchange(false, std::memory_order_acq_rel)) (void)eventfd_write(wake_fd_.get(), 1);
}

void CaptureSession::stop() noexcept {
  stopped_.store(true, std::memory_order_release);
  wake();
}

CaptureStatistics CaptureSession::statistics(std::size_t interface) const noexcept {
  const Tap& tap = *taps_[interface];
  return {tap.received.value(), tap.accepted.value(), tap.dropped.value(), tap.delivered.value()};
}

}  // namespace patchbay::vswitch::capture
