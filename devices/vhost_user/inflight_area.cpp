#include "devices/vhost_user/inflight_area.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "devices/virtio/packed_used_record.h"

namespace patchbay::devices::vhost_user {
namespace {

using virtio::PackedUsedRecord;

// QueueRegionSplit and QueueRegionPacked begin alike.
struct RegionHeader {
  static constexpr std::uint16_t kUnused = 0;  // "uninitialized"
  static constexpr std::uint16_t kVersion = 1;

  std::uint64_t features = 0;
  std::uint16_t version = kVersion;
  std::uint16_t descriptors = 0;
  std::uint16_t head = 0;          // split: of the last batch; packed: of the free list
  std::uint16_t used_or_head = 0;  // split: used index; packed: old head of the free list
};
static_assert(sizeof(RegionHeader) == 16);
constexpr std::size_t kVersionAt = offsetof(RegionHeader, version);

// In a packed region the header goes on.
constexpr std::size_t kRecordAt = sizeof(RegionHeader);
constexpr std::size_t kSplitHeader = sizeof(RegionHeader);
constexpr std::size_t kPackedHeader = 32;
// DescStateSplit and DescStatePacked; only the first field and the link to the next are of interest.
constexpr std::size_t kSplitState = 16;
constexpr std::size_t kPackedState = 32;
constexpr std::size_t kPackedNextAt = 2;
// Regions start with a cache line, as those of QEMU's and DPDK's libraries.
constexpr std::uint64_t kAlignment = 64;

constexpr std::uint64_t region_bytes(std::uint16_t queue_size, bool packed) noexcept {
  const std::uint64_t bytes = packed ? kPackedHeader + std::uint64_t{kPackedState} * queue_size
                                     : kSplitHeader + std::uint64_t{kSplitState} * queue_size;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::uint64_t useful_bytes(const Inflight& offered) {
  const std::uint64_t least = region_bytes(offered.queue_size, false) * offered.queues;
  if (offered.mmap_size < least) {
    throw std::runtime_error("an inflight area of " + std::to_string(offered.mmap_size) + " bytes, where " +
                             std::to_string(offered.queues) + " queues of " +
                             std::to_string(offered.queue_size) + " descriptors need " +
                             std::to_string(least));
  }
  if (offered.mmap_offset % alignof(std::uint64_t) != 0 ||
      offered.mmap_offset + offered.mmap_size < offered.mmap_offset) {
    throw std::runtime_error("an inflight area at an impossible offset");
  }
  return std::min(offered.mmap_size, InflightArea::bytes(offered.queues, offered.queue_size));
}

template <typename T>
T load(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

void set_version(std::span<std::byte> region, std::uint16_t version) noexcept {
  std::atomic_ref(*reinterpret_cast<std::uint16_t*>(&region[kVersionAt]))
      .store(version, std::memory_order_release);
}

/// Whether the descriptor at a position of a packed ring is still as its driver made it available.
bool is_available(std::uint16_t position, const virtio::RingSetup& setup,
                  const GuestMemory& memory) noexcept {
  constexpr unsigned kBoth = unsigned{virtio::PackedDescriptor::kAvail} | virtio::PackedDescriptor::kUsed;
  const std::uint64_t index = position & ~unsigned{virtio::kPackedWrap};
  const std::byte* const at = memory.translate(setup.descriptors + index * sizeof(virtio::PackedDescriptor),
                                               sizeof(virtio::PackedDescriptor));
  return at != nullptr && (load<std::uint16_t>(at + virtio::kPackedFlags) & kBoth) ==
                              virtio::available_flags((position & virtio::kPackedWrap) != 0);
}

}  // namespace

std::uint64_t InflightArea::bytes(std::uint16_t queues, std::uint16_t queue_size) noexcept {
  return region_bytes(queue_size, true) * queues;
}

FileDescriptor InflightArea::create(std::uint64_t bytes) {
  FileDescriptor fd(::memfd_create("patchbay-inflight", MFD_CLOEXEC));
  if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    throw std::runtime_error(std::string("no inflight area can be made: ") + std::strerror(errno));
  }
  return fd;
}

InflightArea::InflightArea(const Inflight& offered, int fd)
    : queues_(offered.queues),
      queue_size_(offered.queue_size),
      mapping_(fd, offered.mmap_offset, useful_bytes(offered)) {}

std::span<std::byte> InflightArea::region(unsigned ring, bool packed) const noexcept {
  const std::uint64_t size = region_bytes(queue_size_, packed);
  if (ring >= queues_ || (ring + 1) * size > mapping_.bytes().size()) return {};
  return mapping_.bytes().subspan(ring * size, size);
}

void InflightArea::start(unsigned ring, virtio::RingSetup& setup, const GuestMemory& memory) {
  setup.used_record = nullptr;
  if (ring >= queues_) return;
  const std::span<std::byte> of_ring = region(ring, setup.packed);
  if (of_ring.empty() || setup.size > queue_size_) {
    throw std::runtime_error("an inflight area that is too small for the ring");
  }
  if (mapping_.lost()) throw std::runtime_error("the peer took its inflight area away");
  const auto header = load<RegionHeader>(of_ring.data());
  if (header.version > RegionHeader::kVersion) {
    throw std::runtime_error("an inflight area of version " + std::to_string(header.version));
  }
  if (header.version == RegionHeader::kUnused) {
    begin(of_ring, setup);
  } else {
    setup.next_avail = resumed(of_ring, setup, memory);
    if (setup.packed) store_record(PackedUsedRecord::settled(setup.next_avail), &of_ring[kRecordAt]);
  }
  if (setup.packed) setup.used_record = &of_ring[kRecordAt];
}

std::uint16_t InflightArea::resumed(std::span<std::byte> region, const virtio::RingSetup& setup,
                                    const GuestMemory& memory) const {
  const std::size_t first = setup.packed ? kPackedHeader : kSplitHeader;
  const std::size_t each = setup.packed ? kPackedState : kSplitState;
  for (std::size_t i = 0; i < queue_size_; ++i) {
    if (region[first + i * each] != std::byte{0}) {
      throw std::runtime_error("an inflight area with chains that another back end took");
    }
  }
  if (!setup.packed) return setup.next_avail;
  const auto record = virtio::load_record(&region[kRecordAt]);
  if (record.wrap > 1 || record.old_wrap > 1 || record.at >= setup.size || record.old_at >= setup.size) {
    throw std::runtime_error("an inflight area with a position outside the ring");
  }
  return is_available(record.old_position(), setup, memory) ? record.old_position() : record.position();
}

void InflightArea::begin(std::span<std::byte> region, const virtio::RingSetup& setup) const noexcept {
  RegionHeader header;
  header.version = RegionHeader::kUnused;  // until all is written
  header.descriptors = queue_size_;
  // A back end that goes on after us subtracts this from the ring's used index, and finds a last batch of
  // which nothing is in flight.
  if (!setup.packed) header.used_or_head = setup.next_avail;
  std::memset(region.data(), 0, region.size());
  std::memcpy(region.data(), &header, sizeof header);
  if (setup.packed) {
    // All states are free, for a back end that wants some.
    for (std::uint16_t i = 0; i < queue_size_; ++i) {
      const auto next = static_cast<std::uint16_t>(i + 1);
      std::memcpy(&region[kPackedHeader + std::size_t{kPackedState} * i + kPackedNextAt], &next, sizeof next);
    }
    store_record(PackedUsedRecord::settled(setup.next_avail), &region[kRecordAt]);
  }
  set_version(region, RegionHeader::kVersion);
}

void InflightArea::finish(unsigned ring, bool packed) noexcept {
  if (const auto of_ring = region(ring, packed); !of_ring.empty()) {
    set_version(of_ring, RegionHeader::kUnused);
  }
}

}  // namespace patchbay::devices::vhost_user
