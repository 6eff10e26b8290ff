#include "vswitch/tap_port.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

namespace patchbay::vswitch {

namespace {

[[noreturn]] void fail(const std::string& what, int error) {
  throw std::system_error(error, std::generic_category(), what);
}

// UDP segmentation came with Linux 6.2; the header files may be older.
constexpr unsigned kUdpSegmentation = 0x20 | 0x40;  // TUN_F_USO4 | TUN_F_USO6

/// Turns on what the kernel has: what it may hand over, and what it takes.
OffloadSet enable_offloads(int tap) noexcept {
  constexpr unsigned kChecksum = TUN_F_CSUM;
  constexpr unsigned kSegmentation = kChecksum | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  const auto set = [tap](unsigned flags) { return ::ioctl(tap, TUNSETOFFLOAD, flags) == 0; };
  constexpr OffloadSet kWithSegmentation{.checksum = true, .tso4 = true, .tso6 = true, .ecn = true};
  if (set(kSegmentation | kUdpSegmentation)) {
    OffloadSet all = kWithSegmentation;
    all.uso = true;
    return all;
  }
  if (set(kSegmentation)) return kWithSegmentation;
  (void)set(0);
  return {};
}

/// struct virtio_net_hdr_v1; <linux/virtio_net.h> is no C++.
struct NetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_length = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  std::uint16_t buffers = 0;
};

Offload decode(const std::byte* bytes) noexcept {
  NetHeader header;
  std::memcpy(&header, bytes, sizeof header);
  return {.flags = static_cast<std::uint8_t>(header.flags & (Offload::kNeedsChecksum | Offload::kDataValid)),
          .gso_type = header.gso_type,
          .header_length = header.header_length,
          .gso_size = header.gso_size,
          .checksum_start = header.checksum_start,
          .checksum_offset = header.checksum_offset};
}

NetHeader encode(const Offload& offload) noexcept {
  return {offload.flags,    offload.gso_type,       offload.header_length,
          offload.gso_size, offload.checksum_start, offload.checksum_offset};
}

/// Opens the interface in the calling thread's network namespace.
FileDescriptor open_tap(const std::string& name, int net_header_bytes) {
  FileDescriptor tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tap)
    fail("cannot open /dev/net/tun (load it: modprobe tun; containers need --device /dev/net/tun)", errno);
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
  if (name.size() >= sizeof request.ifr_name)
    fail("interface name '" + name + "' is longer than 15 characters", EINVAL);
  std::copy(name.begin(), name.end(), request.ifr_name);
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    const int error = errno;
    fail("cannot create TAP interface '" + name + "'" +
             (error == EPERM   ? " (needs CAP_NET_ADMIN: run as root)"
              : error == EBUSY ? " (the name is taken: remove that interface or rename this one)"
                               : ""),
         error);
  }
  if (::ioctl(tap.get(), TUNSETVNETHDRSZ, &net_header_bytes) != 0) {
    fail("cannot set up TAP interface '" + name + "'", errno);
  }
  return tap;
}

}  // namespace

TapPort::TapPort(const TapConfig& config)
    : Port(config.port_name),
      buffers_(kBurstFrames * kSlotBytes, AnonymousMemory::Pages::on_use,
               "the buffers of '" + config.port_name + "'") {
  std::exception_ptr failure;
  std::thread visitor([&] {
    try {
      if (config.network_namespace >= 0 && ::setns(config.network_namespace, CLONE_NEWNET) != 0) {
        fail("cannot enter the network namespace of '" + config.port_name +
                 "' (needs CAP_SYS_ADMIN: run as root)",
             errno);
      }
      tap_ = open_tap(config.interface_name, kNetHeader);
      accepted_ = enable_offloads(tap_.get());
    } catch (...) {
      failure = std::current_exception();
    }
  });
  visitor.join();
  if (failure) std::rethrow_exception(failure);

  for (std::size_t i = 0; i < slots_.size(); ++i)
    slots_[i].bytes = buffers_.data() + i * kSlotBytes;
}

void TapPort::show(const Slot& slot, Burst& burst) noexcept {
  FrameView& view = burst.next();
  const std::byte* const frame = slot.bytes + kNetHeader;
  const std::size_t in_header = std::min(slot.length, kHeaderBytes);
  view.length = static_cast<std::uint32_t>(slot.length);
  view.offload = decode(slot.bytes);
  std::memcpy(view.header.data(), frame, in_header);
  std::size_t pieces = 0;
  if (slot.length > in_header) {
    burst.next_pieces()[0] = {frame + in_header, slot.length - in_header};
    pieces = 1;
  }
  burst.commit(pieces);
}

void TapPort::pull(Burst& burst) {
  // Frames that a full destination left over come first.
  std::size_t total = 0;
  for (std::size_t i = 0; i < held_; ++i) {
    show(slots_[i], burst);
    total += slots_[i].length;
  }
  while (held_ < slots_.size() && burst.has_room() && total < kBytesPerPull) {
    Slot& slot = slots_[held_];
    const ssize_t bytes = ::read(tap_.get(), slot.bytes, kSlotBytes);
    if (bytes <= static_cast<ssize_t>(kNetHeader)) break;
    slot.length = static_cast<std::size_t>(bytes) - kNetHeader;
    if (slot.length > kMaxFrameBytes) {
      counters.in.frames.add();
      counters.in.bytes.add(slot.length);
      counters.in.drop(DropReason::too_long);
      continue;
    }
    ++held_;
    total += slot.length;
    show(slot, burst);
  }
}

void TapPort::release(std::size_t consumed) {
  if (consumed == held_) {
    held_ = 0;
    return;
  }
  // Slots rotate, so that the frames left over come first next time.
  std::rotate(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(consumed), slots_.end());
  held_ -= consumed;
}

bool TapPort::write_frame(const FrameView& frame) noexcept {
  NetHeader net_header = encode(frame.offload);
  static_assert(sizeof net_header == kNetHeader);
  std::array<iovec, 2 + kMaxPieces> parts;
  const auto header = frame.header_bytes();
  parts[0] = {&net_header, sizeof net_header};
  parts[1] = {const_cast<std::byte*>(header.data()), header.size()};
  std::size_t count = 2;
  for (const Piece& piece : frame.tail)
    parts[count++] = {const_cast<std::byte*>(piece.data()), piece.size()};

  if (::writev(tap_.get(), parts.data(), static_cast<int>(count)) >= 0) {
    counters.out.delivered.add();
    counters.out.bytes.add(frame.length);
    return true;
  }
  switch (errno) {
    case EAGAIN:
      return false;
    case EIO:     // the interface is down
    case EBADFD:  // the interface is gone
      counters.out.drop(DropReason::not_ready);
      return true;
    case ENOMEM:
    case ENOBUFS:
      counters.out.drop(DropReason::no_buffer);
      return true;
    default:
      counters.out.drop(DropReason::malformed);
      return true;
  }
}

std::size_t TapPort::push(std::span<const FrameView* const> frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (!write_frame(*frames[i])) return i;
  }
  return frames.size();
}

void TapPort::set_link(bool up) {
  int carrier = up ? 1 : 0;
  (void)::ioctl(tap_.get(), TUNSETCARRIER, &carrier);
}

}  // namespace patchbay::vswitch
